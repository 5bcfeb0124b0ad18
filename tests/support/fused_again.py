"""An output whose pairs were fused more than once, of which the earlier rows may go."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from archive_fixture import ArchiveFixture
from blind_publisher import begin, end
from tiny import TODAY, pair_refs, picture_pair, png

from fusion_core.archive.index.update import IndexUpdate
from fusion_core.archive.layout import part_path
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk, PairRef
from fusion_core.archive.stored_images import image_path
from fusion_core.storage.store import Storage

PART_OF_BEFORE = "manifest/date=2026-01-01/part-0f.parquet"
GONE = {("a", None, "ok", "before"), ("a", 1, "ok", "0a"), ("b", 1, "ok", "0a")}
GONE |= {("c/d", 1, "ok", "0a")}  # whose image the row of its second attempt names too
KEPT = {("a", 2, "ok", "0b"), ("c/d", 2, "ok", "0b"), ("e", 2, "failed", "0b")}
KEPT |= {("e", 1, "ok", "0a"), ("b", 2, "ok", "0c")}
"""Pair, attempt, status and run of the rows."""


def make(folder: Path) -> None:
    """Three nights: all four; a changed, e damaged, c/d by hand; b by other settings.

    A part of a version before holds one row more of a, and an image's quicklook and item lie
    beside it.
    """
    archive = ArchiveFixture(str(folder))
    night(archive, "0a", archive.chunk().pairs)
    archive.source.write("ir/a.png", png(picture_pair(77)[0]))
    archive.source.write("ir/e.png", b"no image any more")
    refs = pair_refs(archive.settings.source, ["a", "b", "c/d", "e"])
    a, b, cd, e = (replace(ref, attempt=2) for ref in refs)
    night(archive, "0b", [a, cd, e])
    archive.settings = archive.settings.model_copy(update={"png_level": 9})
    night(archive, "0c", [b])
    lay_row_of_before(archive.output)
    IndexUpdate(archive.output, "manifest", folder).run(3)
    stem = image_path_of(archive.output, "a", "0a").removesuffix("png")
    for name in ("quicklook.png", "json"):
        archive.output.write(f"{stem}{name}", b"beside it")


def night(archive: ArchiveFixture, name: str, pairs: Sequence[PairRef]) -> None:
    publisher = begin(archive.output, name)
    publisher.declare([part_path(TODAY, name)])
    publisher.committed(archive.worker(name).run(Chunk(name, tuple(pairs))).parts)
    end(publisher)


def lay_row_of_before(output: Storage) -> None:
    """A version before has fused pair a, by a schema without attempts and methods."""
    table = read_part(output, part_path(TODAY, "0a"))
    row = next(row for row in table.to_pylist() if row["pair_id"] == "a")
    row |= {"settings_hash": "0123", "run_id": "before", "precision": None, "engine": None}
    image = image_path(row)
    assert image is not None
    output.write(image, output.read(image_path_of(output, "a", "0a")))
    rows = pa.Table.from_pylist([row], schema=table.schema).drop_columns(["attempt", "method"])
    path = Path(output.fs_path(PART_OF_BEFORE))
    path.parent.mkdir(parents=True)
    pq.write_table(rows, path)


def image_path_of(output: Storage, pair_id: str, part: str) -> str:
    rows = read_part(output, part_path(TODAY, part)).to_pylist()
    path = image_path(next(row for row in rows if row["pair_id"] == pair_id))
    assert path is not None
    return path
