"""One transform for all pairs of a camera that never moves."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_fixture import ArchiveFixture
from off_pairs import Off, distance, pair
from tiny import pair_refs, png

from fusion_core.archive.layout import camera_path
from fusion_core.archive.plan import Chunk, PairRef
from fusion_core.errors import ManifestError
from fusion_core.jobs.cameras import PAIRS, CameraNames, Cameras, read_camera, sample_pairs
from fusion_core.jobs.fusion_worker import FusionWorker
from fusion_core.jobs.loading import load_pair
from fusion_core.settings.fuse import FuseArchiveSettings

SIZE = (160, 208)
OFF = Off(12, -6)
TEMPLATES = {"ir": "ir/{camera}/{pair}.png", "vi": "vi/{camera}/{pair}.png"}
BY_CAMERA = {**TEMPLATES, "registration": "affine", "registration_by": "{camera}"}


class Street(ArchiveFixture):
    """Two cameras: one that is off by ``OFF`` and one that is aligned, of four pairs each."""

    def __init__(self, root: Path, **changes: Any):
        super().__init__(str(root), **{**BY_CAMERA, **changes})
        self.names = [f"{camera}/{number}" for camera in ("bent", "fine") for number in range(4)]
        for number, name in enumerate(self.names):
            self.put(name, *pair(20 + number, OFF if name.startswith("bent") else Off(), SIZE))

    def put(self, name: str, ir: Any, vi: Any) -> None:
        for side, plane in (("ir", ir), ("vi", vi)):
            path = Path(self.settings.source, side, f"{name}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(np.rint(255 * plane).astype(np.uint8)))

    @property
    def refs(self) -> tuple[PairRef, ...]:
        return pair_refs(self.settings.source, self.names)

    @property
    def samples(self) -> dict[str, Any]:
        rows = [{name: getattr(ref, name) for name in PairRef.__annotations__} for ref in self.refs]
        kept = {name for name in rows[0] if name not in ("key_columns",)}
        table = pa.Table.from_pylist([{name: row[name] for name in kept} for row in rows])
        return sample_pairs(table, self.settings)

    def fuse(self, run_id: str, samples: dict[str, Any] | None = None) -> dict[str, Any]:
        identity = self.identity(run_id)
        worker = FusionWorker(
            *(self.source, self.output, self.fuser, self.settings, identity),
            samples=self.samples if samples is None else samples,
        )
        worker.run(Chunk("part", self.refs))
        return self.rows()

    def cameras(self, samples: dict[str, Any] | None = None) -> Cameras:
        def load(ref: PairRef) -> Any:
            return load_pair(ref, self.source, settings=self.settings, max_megapixels=1)

        return Cameras(
            self.output,
            self.settings,
            self.run.settings_hash,
            samples=self.samples if samples is None else samples,
            load=load,
        )

    def path(self, camera: str) -> str:
        return camera_path(self.run.settings_hash, camera)


def test_all_pairs_of_a_camera_are_aligned_by_one_transform(tmp_path: Path) -> None:
    street = Street(tmp_path)
    street.put("bent/3", np.full(SIZE, 0.5), pair(23, Off(), SIZE)[1])  # too dark to tell by itself
    rows = street.fuse("first")
    bent = [rows[f"bent/{number}"] for number in range(4)]
    assert {row["registration"] for row in bent} == {"corrected"}
    assert len({tuple(row["registration_matrix"]) for row in bent}) == 1
    assert {row["registration_score"] for row in bent} == {1.0}
    matrix = np.array(bent[0]["registration_matrix"]).reshape(3, 3)
    assert distance(matrix, OFF, SIZE) < 1
    assert {rows[f"fine/{number}"]["registration"] for number in range(4)} == {"aligned"}


def test_the_table_of_cameras_is_read_like_the_manifest(tmp_path: Path) -> None:
    street = Street(tmp_path)
    street.fuse("first")
    table = pd.read_parquet(street.output.fs_path("registration")).set_index("camera")
    assert table.loc["bent", ["registration", "pairs", "height"]].tolist() == ["corrected", 4, 160]
    assert table.loc["fine", "registration"] == "aligned"
    assert table.loc["bent", "shift_x"] == pytest.approx(OFF.x, abs=1)
    assert table["settings"].tolist() == [street.run.settings_hash] * 2


def test_a_later_run_uses_what_an_earlier_one_has_estimated(tmp_path: Path) -> None:
    street = Street(tmp_path)
    first = read_after(street)
    _, later = street.cameras(samples={}).of(street.refs[0])
    assert later is not None
    assert np.array_equal(later.matrix, first)


def read_after(street: Street) -> Any:
    street.cameras().of(street.refs[0])
    return read_camera(street.output, street.path("bent")).matrix


def test_of_two_that_estimate_at_once_the_first_to_write_counts_for_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    street = Street(tmp_path)
    full = street.samples
    fewer = {"bent": full["bent"][:3]}
    second = street.cameras()
    estimate = second._estimate

    def overtaken(camera: str) -> Any:
        found = estimate(camera)
        street.cameras(fewer).of(street.refs[0])  # another worker, who is faster
        return found

    monkeypatch.setattr(second, "_estimate", overtaken)
    _, found = second.of(street.refs[0])
    stored = read_camera(street.output, street.path("bent"))
    assert found is not None
    assert (found.pairs, stored.pairs) == (3, 3)
    assert np.array_equal(found.matrix, stored.matrix)


def test_a_camera_that_too_few_pairs_tell_of_is_left_and_not_written(tmp_path: Path) -> None:
    street = Street(tmp_path)
    samples = {camera: refs[:2] for camera, refs in street.samples.items()}
    row = street.fuse("first", samples)["bent/0"]
    assert (row["status"], row["registration"]) == ("ok", "unsure")
    assert row["registration_matrix"] is None
    assert "no transform of the camera bent is sure for its size: the pair stays" in row["remark"]
    assert not street.output.exists(street.path("bent"))


def test_pairs_of_another_size_are_left(tmp_path: Path) -> None:
    street = Street(tmp_path)
    street.put("bent/3", *pair(30, OFF, (150, 208)))
    rows = street.fuse("first")
    assert [rows[f"bent/{number}"]["registration"] for number in (0, 3)] == ["corrected", "unsure"]


def test_a_pair_that_cannot_be_read_tells_nothing_of_its_camera(tmp_path: Path) -> None:
    street = Street(tmp_path)
    Path(street.settings.source, "ir/bent/2.png").write_bytes(b"no image")
    rows = street.fuse("first")
    assert rows["bent/2"]["error_type"] == "DecodeError"
    assert rows["bent/1"]["registration"] == "corrected"
    assert read_camera(street.output, street.path("bent")).pairs == 3


def settings_of(**changed: Any) -> FuseArchiveSettings:
    return FuseArchiveSettings(source="in", output="out", **{**BY_CAMERA, **changed})


def test_a_camera_is_named_by_the_fields_of_its_paths() -> None:
    template = {"ir": "{site}/{date}/{camera:path}/ir-*{pair}.png"}
    template["vi"] = template["ir"].replace("ir-", "vi-")
    names = CameraNames(settings_of(**template, registration_by="{site}: {camera:path}"))
    assert names.of("north (1)/2026/gate/left/ir-x7.png") == "north (1): gate/left"


def test_the_sample_of_a_camera_is_bounded_and_the_same_in_any_order() -> None:
    rows = [
        {
            "pair_id": f"{camera}/{number:04}",
            **{f"{side}_path": f"{side}/{camera}/{number:04}.png" for side in ("ir", "vi")},
            **{f"{side}_bytes": 1 for side in ("ir", "vi")},
            **{f"{side}_version": "v" for side in ("ir", "vi")},
        }
        for camera, count in (("a", 500), ("b", 3))
        for number in range(count)
    ]
    found = sample_pairs(pa.Table.from_pylist(rows), settings_of())
    assert {camera: len(refs) for camera, refs in found.items()} == {"a": PAIRS, "b": 3}
    assert found == sample_pairs(pa.Table.from_pylist(rows[::-1]), settings_of())
    numbers = [int(ref.pair_id[2:]) for ref in found["a"]]
    assert max(numbers) - min(numbers) > 300
    assert sample_pairs(pa.Table.from_pylist(rows), settings_of(registration_by=None)) == {}


@pytest.mark.parametrize("body", [b"", b"PAR1", "far", "text"])
def test_what_is_no_transform_is_refused_by_name(tmp_path: Path, body: Any) -> None:
    street = Street(tmp_path)
    if isinstance(body, str):
        read_after(street)
        table = pq.read_table(street.output.fs_path(street.path("bent")))
        values = [[1.0, 0, 9e5, 0, 1, 0, 0, 0, 1]] if body == "far" else [["x"] * 9]
        place = table.schema.get_field_index("registration_matrix")
        buffer = io.BytesIO()
        pq.write_table(table.set_column(place, "registration_matrix", pa.array(values)), buffer)
        body = buffer.getvalue()
    street.output.write(street.path("bent"), body)
    with pytest.raises(ManifestError, match=r"bent.*is no transform of a camera: .*Remove it"):
        street.cameras().of(street.refs[0])
