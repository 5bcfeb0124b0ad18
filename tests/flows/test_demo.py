from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from flows.demo import run_demo

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.usefixtures("prefect_api", "ray_nodes"),
]


def test_the_demo_fuses_once_and_tells_where_everything_lies(tmp_path: Path) -> None:
    told = run_demo(str(tmp_path), pairs=2, seed=3).markdown()
    assert "2 pairs found: 2 fused and 0 failed" in told
    assert "| mean |" in told
    (sheet,) = tmp_path.glob("output/runs/*/contact_sheet.png")
    assert str(sheet) in told
    assert Image.open(sheet).width > 1000
    line = next(line for line in told.splitlines() if line.startswith("pd.read_parquet"))
    frame = eval(line, {"pd": pd})
    assert frame["status"].tolist() == ["ok", "ok"]
    again = run_demo(str(tmp_path), pairs=2, seed=3).markdown()
    assert "0 fused" in again
    assert "2 left alone, because the manifest holds a successful row" in again
    assert "| mean |" in again
