"""The whole evaluation: a real Prefect API, a real Ray cluster, local files."""

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from prefect.artifacts import Artifact
from strict_html import complaints
from tiny import tiny_weights, write_pairs

from flows.evaluate import evaluate, runs_of_models
from flows.run import Run
from fusion_core.errors import SettingsError, TooManyFailuresError, WeightsError
from fusion_core.jobs.evaluate_settings import EvaluateSettings
from fusion_core.metrics import METRIC_NAMES
from fusion_core.models.baselines import baseline_hash


def settings_for(folder: Path, **changes: object) -> EvaluateSettings:
    fields = {"source": str(folder / "in"), "output": str(folder / "out"), "worker": "cpu:1"}
    return EvaluateSettings.model_validate({**fields, "max_workers": 1, "io_threads": 2, **changes})


def means_of(output: str, model_hash: str, *pairs: str) -> dict[str, float]:
    rows = pd.read_parquet(f"{output}/manifest")
    rows = rows[(rows.model_hash == model_hash) & rows.pair_id.isin(pairs) & (rows.status == "ok")]
    assert len(rows) == len(pairs)
    return {name: float(rows[name].mean()) for name in METRIC_NAMES}


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("prefect_api", "ray_nodes")
def test_models_are_compared_and_what_is_fused_is_not_fused_again(tmp_path: Path) -> None:
    write_pairs(tmp_path / "in", ["bad", "p1", "p2", "p3"])
    (tmp_path / "in/vi/bad.png").write_bytes(b"broken")
    mine = tiny_weights(tmp_path)
    models = {"mine": mine, "average": "mean"}
    settings = settings_for(tmp_path, models=models, published="tno", contact_sheet=2)

    # The pair that can't be read is a failed row of each model, and too many of them an error.
    with pytest.raises(TooManyFailuresError, match=r"2 of 8 images failed .*bad of average \(dec"):
        evaluate(settings)
    rows = pd.read_parquet(f"{settings.output}/manifest")
    assert len(rows) == 8
    assert rows.groupby("status").size().to_dict() == {"failed": 2, "ok": 6}
    assert {*rows[rows.status == "failed"]["pair_id"]} == {"bad"}
    assert {*rows["method"]} == {"refinefuse", "mean"}
    (told,) = (tmp_path / "out/runs").glob("*/summary.json")
    first = json.loads(told.read_text())
    assert first["pairs"] == 3
    hashes = {name: outcome["model_hash"] for name, outcome in first["models"].items()}
    for name, model_hash in hashes.items():
        expected = means_of(settings.output, model_hash, "p1", "p2", "p3")
        assert first["means"][name] == pytest.approx(expected)
    assert first["means"]["mine"] != first["means"]["average"]

    # A second run has no more to do than what is new: a model, but no pair that has gone.
    (tmp_path / "in/ir/p3.png").unlink()
    more = settings.model_copy(update={"models": {**models, "maximum": "maximum"}})
    second = evaluate(more.model_copy(update={"max_failed": 0.5}))
    assert (second.found, second.unpaired) == (3, ("vi/p3.png",))
    assert (second.done_before, second.known_failed) == (4, 2)
    counts = {name: (of.fused, of.failed, of.done_before) for name, of in second.models.items()}
    assert counts == {"mine": (0, 0, 2), "average": (0, 0, 2), "maximum": (2, 1, 0)}
    assert len(pd.read_parquet(f"{settings.output}/manifest")) == 11
    assert [(row["pair_id"], row["method"]) for row in second.failures] == [("bad", "maximum")]
    assert second.pairs == 2
    for name in ("mine", "average"):
        expected = means_of(settings.output, hashes[name], "p1", "p2")
        assert second.means[name] == pytest.approx(expected)

    folder = tmp_path / "out/runs" / second.run_id
    assert second.table == (folder / "table.md").read_text()
    assert "Means over the 2 pairs" in second.table
    assert "| DenseFuse (published) | 42 | 0.6584 |" in second.table
    assert "DenseFuse (published) & 42 & 0.6584" in (folder / "table.tex").read_text()
    with (folder / "table.csv").open() as file:
        table = {row["method"]: row for row in csv.DictReader(file)}
    assert list(table)[:4] == ["mine", "average", "maximum", "MST"]
    assert float(table["average"]["ssim"]) == second.means["average"]["ssim"]
    artifact = Artifact.get("evaluate-summary")
    assert artifact is not None
    assert "DenseFuse (published)" in str(artifact.data)
    assert second.contact_sheet == str(folder / "contact_sheet.png")
    with Image.open(folder / "contact_sheet.png") as sheet:
        assert sheet.width > 5 * 240  # both sources and three models

    page = (folder / "report.html").read_text()
    assert complaints(page) == []
    assert "DenseFuse (published)" in page
    assert "data:image/webp" in page

    # What has gone leaves the comparison, although the rows of all models stay.
    (tmp_path / "in/vi/p2.png").unlink()
    without_sheet = {"max_failed": 0.0, "contact_sheet": 0}
    third = evaluate(more.model_copy(update=without_sheet))
    assert (third.found, third.pairs, third.succeeded, third.failed) == (2, 1, 0, 0)
    assert third.means["maximum"] == pytest.approx(
        means_of(settings.output, second.models["maximum"].model_hash, "p1")
    )
    assert third.contact_sheet is None


def test_a_model_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tiny_weights(tmp_path)
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(Path(path).read_bytes())
    settings = settings_for(tmp_path, models={"a": path, "mean": "mean", "b": str(copy)})
    with pytest.raises(SettingsError, match=r"a and b are the same model \(sha256 .*Leave one"):
        runs_of_models(Run.begin(settings, settings_hash=""))


def test_a_model_that_is_missing_is_named(tmp_path: Path) -> None:
    settings = settings_for(
        tmp_path, models={"mean": "mean", "mine": f"{tmp_path}/gone.safetensors"}
    )
    with pytest.raises(WeightsError, match=r"gone\.safetensors"):
        runs_of_models(Run.begin(settings, settings_hash=""))


def test_each_model_has_a_run_of_fuse_archive_of_its_own(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, models={"m": "mean", "refinefuse": "refinefuse"}, limit=3)
    run = Run.begin(settings, settings_hash="")
    runs = runs_of_models(run)
    assert [own.identity.run_id for own in runs.values()] == [run.identity.run_id] * 2
    assert runs["m"].identity.model_hash == baseline_hash("mean")
    assert (runs["m"].settings.model, runs["m"].settings.limit) == ("mean", 3)
    for own in runs.values():
        assert own.identity.settings_hash == own.settings.image_settings().settings_hash()
