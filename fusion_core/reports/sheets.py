"""Draws and writes a run's sheets, from the files of its pairs.

Pictures of any size are reduced as soon as they are decoded to what the sheets can show.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from fusion_core.errors import FuseArchiveError, UnreachableError
from fusion_core.images.codecs import decode
from fusion_core.images.colour import Pixels
from fusion_core.images.picture import Picture, reduced, resize
from fusion_core.reports.comparison_sheet import ComparisonRow, draw_comparison_sheet
from fusion_core.reports.contact_sheet import SheetRow, draw_contact_sheet
from fusion_core.reports.detail import MAGNIFICATION, TALLEST, THUMBNAIL_WIDTH
from fusion_core.reports.drawing import told_picture
from fusion_core.scenes.quicklook import scene_pictures
from fusion_core.storage.store import Storage
from fusion_core.storage.stored_file import StoredFile

# A detail as large as a thumbnail takes this much of the whole.
_SHOWN = (MAGNIFICATION * TALLEST, MAGNIFICATION * THUMBNAIL_WIDTH)


@dataclass(frozen=True)
class ShownPair:
    """A pair that is to be shown, by its files; no others are opened for it.

    Attributes:
        pair_id: Its id.
        ir: Its infrared image.
        vi: Its visible image.
        fused: Its fused images by the name of their method: one or more, and on a contact sheet
            just one.
        metrics: Metrics of that one, by name.
    """

    pair_id: str
    ir: StoredFile
    vi: StoredFile
    fused: Mapping[str, StoredFile]
    metrics: Mapping[str, float | None] = field(default_factory=dict)


def write_contact_sheet(output: Storage, path: str, pairs: Sequence[ShownPair], title: str) -> str:
    """Draw pairs with their fused images, and write the sheet as PNG.

    A picture that is gone, damaged or not the one that was written is replaced by words that say
    so.

    Args:
        output: Where the sheet goes.
        path: Its path there.
        pairs: What is shown.
        title: The sheet's heading.

    Returns:
        URL of the sheet.

    Raises:
        StorageError: A store gives no answer, or the sheet can't be written.
    """
    rows = []
    for pair in pairs:
        ir, vi, fused = pictures_of(pair)
        rows.append(SheetRow(pair.pair_id, ir, vi, fused, pair.metrics))
    return _write(output, path, draw_contact_sheet(rows, title))


def write_comparison_sheet(
    output: Storage, path: str, pairs: Sequence[ShownPair], title: str
) -> str:
    """Draw what several methods made of the same pairs, and write the sheet as PNG.

    Args:
        output: Where the sheet goes.
        path: Its path there.
        pairs: What is shown, one or more; failing pictures as on a contact sheet.
        title: The sheet's heading.

    Returns:
        URL of the sheet.

    Raises:
        StorageError: A store gives no answer, or the sheet can't be written.
    """

    def loaded() -> Iterator[ComparisonRow]:
        for pair in pairs:
            ir, vi, *others = pictures_of(pair)
            fused = dict(zip(pair.fused, others, strict=True))
            yield ComparisonRow(pair.pair_id, ir, vi, fused)

    return _write(output, path, draw_comparison_sheet(loaded(), title))


def pictures_of(pair: ShownPair) -> list[Pixels]:
    """Return a pair's infrared, visible and fused images in one size, in this order.

    Whatever is wrong with a pair, it costs the sheet no other one.
    """
    # Whoever only chooses what is shown loads no FFmpeg.
    from fusion_core.video.pictures import clip_pictures

    files = [pair.ir, pair.vi, *pair.fused.values()]
    try:
        return clip_pictures(files, _SHOWN) or scene_pictures(files, files[2]) or photographs(files)
    except UnreachableError:
        raise
    except Exception as error:
        return [_told(error)] * len(files)


def photographs(files: Sequence[StoredFile]) -> list[Pixels]:
    """Return photographs, reduced to what sheets can show; the first in the size of the second.

    One that is gone or damaged is replaced by words that say so.

    Args:
        files: An infrared and a visible image, and any others.

    Raises:
        UnreachableError: A store gives no answer.
    """
    ir, vi, *fused = map(_picture, files)
    height, width = vi.pixels.shape[:2]
    if ir.pixels.shape[:2] != (height, width):
        ir = resize(ir, height, width)
    return [picture.pixels for picture in (ir, vi, *fused)]


def _picture(file: StoredFile) -> Picture:
    try:
        return reduced(decode(file.read()), *_SHOWN)
    except UnreachableError:
        raise
    except (FuseArchiveError, FileNotFoundError) as error:
        return Picture(_told(error), None)


def _told(error: Exception) -> Pixels:
    if isinstance(error, FileNotFoundError):
        return told_picture("the file is gone")
    return told_picture(f"{error}")


def _write(output: Storage, path: str, sheet: Image.Image) -> str:
    file = io.BytesIO()
    sheet.save(file, format="PNG")
    output.write(path, file.getvalue())
    return output.url(path)
