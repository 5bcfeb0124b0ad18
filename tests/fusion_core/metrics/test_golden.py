"""The published TNO table: 16 of its fused images, two methods by eight scenes."""

import csv
from pathlib import Path

import numpy as np
import pytest
from metric_reference import reference_scores
from PIL import Image

from fusion_core.metrics import METRIC_NAMES, score

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
METHODS = ("densefuse", "u2fusion")
SCENES = ("03", "08", "11", "15", "20", "26", "33", "40")
COLUMNS = dict(zip(METRIC_NAMES, ("VIF", "AG", "SCD", "Qabf", "SF", "EN", "SSIM"), strict=True))
TOLERANCE = {"vif": 1e-4, "sf": 1e-6, "en": 1e-6}


@pytest.fixture(scope="module")
def golden() -> dict[tuple[str, str], dict[str, str]]:
    table = DATA / "metrics_golden.csv"
    if not table.is_file() or not (DATA / "tno").is_dir():
        pytest.skip("needs metrics_golden.csv and tno/ in ../shared/data, which aren't in the repo")
    with table.open(newline="") as lines:
        rows = {(row["method"], row["image"]): row for row in csv.DictReader(lines)}
    assert set(rows) == {(method, f"{scene}.png") for method in METHODS for scene in SCENES}
    return rows


def load(folder: str, image: str) -> np.ndarray:
    with Image.open(DATA / "tno" / folder / image) as opened:
        return np.asarray(opened)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("method", METHODS)
def test_published_images_score_as_in_the_table(golden, method, scene):
    image = f"{scene}.png"
    found = score(load("ir", image), load("vi", image), load(f"fused_{method}", image))
    for name, value in found.items():
        expected = float(golden[method, image][COLUMNS[name]])
        assert value == pytest.approx(expected, rel=TOLERANCE.get(name, 1e-5), abs=0), name


@pytest.mark.parametrize("method", METHODS)
def test_means_over_the_set_are_those_of_the_table_to_four_decimals(golden, method):
    scores = [
        score(*(load(folder, f"{scene}.png") for folder in ("ir", "vi", f"fused_{method}")))
        for scene in SCENES
    ]
    for name in METRIC_NAMES:
        column = [float(golden[method, f"{scene}.png"][COLUMNS[name]]) for scene in SCENES]
        mean = np.mean([found[name] for found in scores])
        assert f"{mean:.4f}" == f"{np.mean(column):.4f}", name


def test_the_reference_agrees_with_the_table_too(golden):
    image = "08.png"
    ir, vi = (load(folder, image)[:, :, 0] for folder in ("ir", "vi"))
    found = reference_scores(ir, vi, load("fused_densefuse", image))
    for name, value in found.items():
        expected = float(golden["densefuse", image][COLUMNS[name]])
        assert value == pytest.approx(expected, rel=TOLERANCE.get(name, 1e-5), abs=0), name
