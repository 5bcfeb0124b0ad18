"""The whole scoring flow: a real Prefect API, a real Ray cluster, local files and S3."""

import csv
import json
import statistics
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prefect.artifacts import Artifact
from prefect.blocks.system import Secret
from s3_servers import S3Server
from tiny import score_settings_for, write_fused, write_pairs

from flows.score_archive import score_archive
from flows.summaries.score import ScoreSummary
from fusion_core.archive.manifest import read_manifest
from fusion_core.errors import TooManyFailuresError
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.metrics import METRIC_NAMES
from fusion_core.storage.store import Storage

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.usefixtures("prefect_api", "ray_nodes"),
]
NAMES = ["p0", "p1", "p2", "p3"]


@pytest.fixture
def settings(tmp_path: Path) -> ScoreArchiveSettings:
    """Settings of a run over four pairs; method n lacks one of them and has one too many."""
    write_pairs(tmp_path / "in", NAMES)
    write_fused(tmp_path / "in", "m", NAMES)
    write_fused(tmp_path / "in", "n", [*NAMES[:3], "nothing"])
    return score_settings_for(tmp_path / "in", tmp_path / "out", "m", "n", chunk_pairs=3)


def rows_of(settings: ScoreArchiveSettings) -> pd.DataFrame:
    return pd.read_parquet(f"{settings.output}/scores")


def test_methods_are_scored_once_and_compared_over_all_runs(settings: ScoreArchiveSettings) -> None:
    first = score_archive(settings)
    assert (first.found, first.images, first.scored, first.failed) == (4, 7, 7, 0)
    assert first.missing == {"m": (), "n": ("p3",)}
    assert first.unpaired_images == {"m": (), "n": ("fused_n/nothing.png",)}
    rows = rows_of(settings)
    assert len(rows) == 7
    common = rows[rows.pair_id != "p3"].groupby("method")[list(METRIC_NAMES)].mean()
    for method in ("m", "n"):
        assert first.means[method] == pytest.approx(common.loc[method].to_dict())
    assert "Means over the 3 pairs" in first.table
    assert "- m: 4 images scored, 3 of them compared" in first.table

    again = score_archive(settings)
    assert (again.scored, again.done_before) == (0, 7)
    assert again.table == first.table

    write_fused(settings.source, "n", ["p3"])
    third = score_archive(settings)
    assert (third.scored, third.done_before, third.missing["n"]) == (1, 7, ())
    assert "Means over the 4 pairs" in third.table
    assert len(rows_of(settings)) == 8

    folder = Path(settings.output) / "runs" / third.run_id
    assert json.loads((folder / "summary.json").read_text())["means"] == third.means
    assert (folder / "table.md").read_text() == third.table
    assert (folder / "summary.md").read_text().endswith(third.table)
    assert "toprule" in (folder / "table.tex").read_text()
    with (folder / "table.csv").open() as file:
        by_method = {row["method"]: row for row in csv.DictReader(file)}
    assert float(by_method["n"]["ssim"]) == third.means["n"]["ssim"]
    artifact = Artifact.get("score-archive-summary")
    assert artifact is not None
    assert third.run_id in str(artifact.data)

    # What has gone or changed leaves the table, although its rows stay.
    (Path(settings.source) / "fused_m/p0.png").unlink()
    changed = Path(settings.source) / "fused_m/p1.png"
    changed.write_bytes((Path(settings.source) / "fused_m/p2.png").read_bytes())
    fourth = score_archive(settings)
    assert (fourth.scored, fourth.done_before, fourth.missing["m"]) == (1, 6, ("p0",))
    assert "Means over the 3 pairs" in fourth.table
    of_m = rows_of(settings).query("method == 'm' and pair_id != 'p0'").sort_values("ended")
    left = of_m.drop_duplicates("pair_id", keep="last")
    assert fourth.means["m"]["vif"] == pytest.approx(left["vif"].mean())

    # Other definitions are other scores, which no run of before stands for.
    other = score_archive(settings.model_copy(update={"size_mismatch": "resize_ir", "limit": 3}))
    assert (other.scored, other.done_before, other.over_limit) == (3, 0, 4)
    assert "Means over the 1 pairs" in other.table


def test_too_many_failures_fail_the_run_after_everything_was_recorded(
    settings: ScoreArchiveSettings,
) -> None:
    for name in ("p0", "p1"):
        (Path(settings.source) / f"fused_m/{name}.png").write_bytes(b"broken")
    with pytest.raises(TooManyFailuresError, match=r"2 of 7 images failed .*p0 of m \(decode\)"):
        score_archive(settings)
    assert rows_of(settings)["status"].value_counts().to_dict() == {"ok": 5, "failed": 2}


def test_the_published_images_have_the_published_means(shared_data: Path, tmp_path: Path) -> None:
    methods = ("densefuse", "u2fusion")
    settings = score_settings_for(shared_data / "tno", tmp_path, *methods)
    summary = score_archive(settings)
    assert (summary.found, summary.scored) == (8, 16)
    with (shared_data / "metrics_golden.csv").open() as file:
        golden = list(csv.DictReader(file))
    titles = dict(zip(METRIC_NAMES, ("VIF", "AG", "SCD", "Qabf", "SF", "EN", "SSIM"), strict=True))
    for method in methods:
        line = next(line for line in summary.table.splitlines() if line.startswith(f"| {method} "))
        cells = line.replace("*", "").split("|")[2:-2]
        for cell, title in zip(cells, titles.values(), strict=True):
            values = [float(row[title]) for row in golden if row["method"] == method]
            assert len(values) == 8
            assert cell.split()[0] == f"{statistics.fmean(values):.4f}", (method, title)


@pytest.mark.s3
def test_scores_of_images_in_another_bucket_by_a_block_that_leaks_nowhere(
    s3: S3Server,
    s3_bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = f"{s3_bucket}-other"
    s3.make_bucket(other)
    write_pairs(f"s3://{s3_bucket}/in", ["a", "b"])
    write_fused(f"s3://{other}/x", "m", ["a", "b"])
    options: Any = s3.storage_options()
    Secret(value=options).save("scores", overwrite=True)
    for name in s3.env():
        monkeypatch.delenv(name)
    settings = score_settings_for(
        f"s3://{s3_bucket}/in",
        f"s3://{s3_bucket}/out",
        fused={"m": f"s3://{other}/x/fused_m/{{pair}}.png"},
        credentials_block="scores",
    )
    summary: ScoreSummary = score_archive(settings)
    assert summary.scored == 2
    output = Storage(settings.output, options)
    rows = read_manifest(output.url("scores"), storage_options=options).to_pylist()
    assert [row["fused_url"] for row in rows] == [
        f"s3://{other}/x/fused_m/{name}.png" for name in ("a", "b")
    ]
    assert rows[0]["fused_version"]
    written = b"".join(output.read(path) for path in output.list()["path"].to_pylist())
    everything = written.decode("latin-1") + caplog.text
    assert s3.secret_key not in everything
    assert s3.access_key not in everything
    assert score_archive(settings).done_before == 2
