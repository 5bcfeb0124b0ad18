"""The whole flow: a real Prefect API, a real Ray cluster, local files."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from onnx_models import onnx_file
from prefect.artifacts import Artifact
from ray.cluster_utils import Cluster
from strict_html import complaints
from tiny import small_archive, write_pairs

from flows.fuse_archive import fuse_archive
from flows.summaries.dry_run import DryRun
from flows.summaries.run import RunSummary
from fusion_core.errors import StorageError, TooManyFailuresError, WeightsError
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.usefixtures("prefect_api", "ray_nodes"),
]


class FirstRun:
    """An archive after its first run, which is made once and put back for each test.

    Args:
        folder: A folder of its own.
    """

    def __init__(self, folder: Path):
        self._live, self._kept = folder / "live", folder / "kept"
        self._settings: FuseArchiveSettings | None = None

    def restored(self) -> FuseArchiveSettings:
        """Return its settings; all that tests wrote since is gone."""
        if self._settings is None:
            self._settings = small_archive(self._live)
            first = run(self._settings)
            assert (first.found, first.fused, first.failed) == (8, 8, 0)
            shutil.copytree(self._live, self._kept)
        else:
            shutil.rmtree(self._live)
            shutil.copytree(self._kept, self._live)
        return self._settings


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    return FirstRun(tmp_path_factory.mktemp("first"))


@pytest.fixture
def fused(first_run: FirstRun, ray_nodes: Cluster, prefect_api: None) -> FuseArchiveSettings:
    """Settings of a run that has fused its eight pairs."""
    return first_run.restored()


def run(settings: FuseArchiveSettings, **changes: Any) -> RunSummary:
    summary = fuse_archive(settings.model_copy(update=changes))
    assert isinstance(summary, RunSummary)
    return summary


def manifest(settings: FuseArchiveSettings) -> pd.DataFrame:
    return pd.read_parquet(f"{settings.output}/manifest")


def test_a_run_fuses_every_pair_and_the_next_fuses_none_and_says_why(
    fused: FuseArchiveSettings,
) -> None:
    rows = manifest(fused)
    assert sorted(rows["pair_id"]) == [f"p{k}" for k in range(8)]
    for row in rows.itertuples():
        assert hashlib.sha256(Path(row.fused_url).read_bytes()).hexdigest() == row.fused_sha256
    again = run(fused)
    assert (again.fused, again.done_before) == (0, 8)
    assert "8 left alone, because the manifest holds a successful row" in again.sentence()
    assert len(manifest(fused)) == 8


def test_only_new_and_changed_pairs_are_fused(fused: FuseArchiveSettings) -> None:
    write_pairs(fused.source, ["new1", "new2"])
    changed = Path(fused.source) / "vi/p3.png"
    changed.write_bytes((Path(fused.source) / "vi/p4.png").read_bytes())
    summary = run(fused)
    assert (summary.fused, summary.done_before) == (3, 7)
    latest = manifest(fused).sort_values("ended").drop_duplicates("pair_id", keep="last")
    assert len(manifest(fused)) == 11
    assert len(latest) == 10


def test_bad_files_become_failed_rows_and_every_other_pair_is_fused(
    archive: FuseArchiveSettings,
) -> None:
    source = Path(archive.source)
    write_pairs(source, ["cut", "empty", "text", "half"])
    write_pairs(source, ["small"], size=(10, 10))
    cut = source / "vi/cut.png"
    cut.write_bytes(cut.read_bytes()[:200])
    (source / "ir/empty.png").write_bytes(b"")
    (source / "vi/text.png").write_text("this is no image")
    write_pairs(source.parent / "other", ["small"], size=(12, 10))
    (source / "vi/small.png").write_bytes((source.parent / "other/vi/small.png").read_bytes())
    (source / "ir/half.png").unlink()
    (source / "readme.txt").write_text("stray")
    summary = run(archive, max_failed=0.5)
    assert (summary.fused, summary.failed) == (8, 4)
    assert {row["pair_id"]: row["stage"] for row in summary.failures} == {
        "cut": "decode",
        "empty": "decode",
        "text": "decode",
        "small": "pair",
    }
    assert summary.unpaired == ("vi/half.png",)
    assert summary.unmatched == ("readme.txt",)
    failed = manifest(archive).set_index("pair_id").loc["text"]
    assert failed["status"] == "failed"
    assert "vi/text.png: the file is no image" in failed["error_message"]
    # The same broken files are left alone until told otherwise, and named as such.
    again = run(archive, max_failed=0.5)
    assert (again.fused, again.failed, again.known_failed) == (0, 0, 4)
    mended = run(archive, reprocess="failed", size_mismatch="error", max_failed=1.0)
    assert (mended.fused, mended.failed) == (0, 4)


def test_too_many_failures_fail_the_run_after_everything_was_recorded(
    archive: FuseArchiveSettings,
) -> None:
    for name in ("p0", "p1"):
        (Path(archive.source) / f"ir/{name}.png").write_bytes(b"broken")
    told = r"8 pairs found: 6 fused and 2 failed in \d+ s\. 2 of 8 pairs failed \(25%; max_failed"
    with pytest.raises(TooManyFailuresError, match=told) as why:
        run(archive, max_failed=0.2)
    assert "2 at decode" in str(why.value)
    assert "p0 (decode): ir/p0.png" in str(why.value)
    assert manifest(archive)["status"].value_counts().to_dict() == {"ok": 6, "failed": 2}


def test_another_model_or_settings_are_other_work(fused: FuseArchiveSettings) -> None:
    other = run(fused, format="tiff")
    assert other.fused == 8
    assert manifest(fused)["fused_url"].nunique() == 16


def test_any_method_fuses_the_archive_and_is_work_of_its_own(
    archive: FuseArchiveSettings, tmp_path: Path
) -> None:
    program = onnx_file(tmp_path)
    for model, done in (("laplacian", 0), (program, 0), ("laplacian", 2)):
        summary = run(archive, model=model, engine="auto", limit=2)
        assert (summary.fused, summary.done_before) == (2, done)
    rows = manifest(archive)
    assert rows["status"].eq("ok").all()
    assert rows.groupby("method").size().to_dict() == {"laplacian": 4, "plain": 2}
    hashes = rows.groupby("method")["model_hash"].unique().str[0].to_dict()
    engines = rows.groupby("method")["engine"].unique().str[0].to_dict()
    assert engines == {"laplacian": "eager", "plain": "openvino"}
    assert hashes["plain"] == hashlib.sha256(Path(program).read_bytes()).hexdigest()
    assert rows["fused_url"].nunique() == rows["fused_sha256"].nunique() == 6
    with pytest.raises(WeightsError, match="expected 00"):
        run(archive, model="laplacian", model_sha256="00" * 32)


def test_all_pairs_again_on_request_keeps_the_images_that_rows_name(
    fused: FuseArchiveSettings,
) -> None:
    before = {url: Path(url).stat().st_mtime_ns for url in manifest(fused)["fused_url"]}
    assert run(fused, reprocess="all").fused == 8
    assert len(manifest(fused)) == 16
    assert {url: Path(url).stat().st_mtime_ns for url in before} == before


def test_a_limit_leaves_the_rest_for_the_next_run(archive: FuseArchiveSettings) -> None:
    assert run(archive, limit=3).over_limit == 5
    assert run(archive).fused == 5


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    archive: FuseArchiveSettings,
) -> None:
    told = fuse_archive(archive.model_copy(update={"dry_run": True}))
    assert isinstance(told, DryRun)
    assert (told.found, told.to_fuse) == (8, 8)
    sizes = [path.stat().st_size for path in Path(archive.source).rglob("*.png")]
    assert told.bytes_to_read == sum(sizes)
    assert told.estimated_seconds is not None
    assert told.estimated_seconds > 0
    assert "8 would be fused" in told.markdown()
    assert not Path(archive.output).exists()


def test_the_output_may_lie_inside_the_source(archive: FuseArchiveSettings) -> None:
    inside = archive.model_copy(update={"output": f"{archive.source}/results"})
    assert run(inside).unmatched == ()
    again = run(inside)
    assert (again.fused, again.unmatched) == (0, ())


def test_summary_sheet_and_artifacts_are_left_behind(archive: FuseArchiveSettings) -> None:
    (Path(archive.source) / "ir/p0.png").write_bytes(b"broken")
    summary = run(archive, max_failed=0.5, contact_sheet=2, report=True)
    folder = Path(archive.output) / "runs" / summary.run_id
    assert json.loads((folder / "summary.json").read_text())["fused"] == 7
    assert "| mean |" in (folder / "summary.md").read_text()
    assert summary.details == str(folder / "details.parquet")
    (listed,) = pd.read_parquet(summary.details).to_dict("records")
    assert (listed["list"], listed["pair_id"], listed["stage"]) == ("failures", "p0", "decode")
    assert (summary.counts["failures"], summary.stages) == (1, {"decode": 1})
    assert summary.contact_sheet == str(folder / "contact_sheet.png")
    assert Path(summary.contact_sheet).read_bytes().startswith(b"\x89PNG")
    assert summary.report == str(folder / "report.html")
    page = Path(summary.report).read_text()
    assert complaints(page) == []
    assert page.count('src="data:image/webp') == 3 * 7
    assert len(list((folder / "thumbnails").glob("*.webp"))) == 3 * 7
    assert sum(summary.histograms["en"].counts) == 7
    assert summary.stage_seconds["cpu"]["fuse"] > 0
    index = (Path(archive.output) / "index.html").read_text()
    assert f'href="runs/{summary.run_id}/report.html"' in index
    text = Artifact.get("fuse-archive-summary")
    assert text is not None
    assert summary.run_id in str(text.data)
    table = Artifact.get("fuse-archive-failures")
    assert table is not None
    assert "p0" in str(table.data)
    progress = Artifact.get("fuse-archive-progress")
    assert progress is not None
    assert progress.data == 100.0


def test_an_archive_that_is_not_there_is_an_error(archive: FuseArchiveSettings) -> None:
    with pytest.raises(StorageError, match="there is no folder"):
        run(archive, source=f"{archive.source}-gone")


def test_a_store_that_ignores_conditional_writes_is_named_at_the_start(
    archive: FuseArchiveSettings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(Storage, "check_exclusive", lambda *_: False)
    assert run(archive, limit=1).fused == 1
    assert "ignores conditional writes (If-None-Match)" in caplog.text
    assert "Run one at a time" in caplog.text
