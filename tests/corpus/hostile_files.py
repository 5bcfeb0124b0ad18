"""The corpus: every hostile file, trap and name."""

from __future__ import annotations

from collections.abc import Iterator

from findings import findings
from hostile_case import Hostile
from hostile_jpeg import jpeg_files
from hostile_others import other_files
from hostile_png import png_files
from hostile_tiff import tiff_files


def files() -> Iterator[Hostile]:
    """All hostile files."""
    yield from png_files()
    yield from jpeg_files()
    yield from tiff_files()
    yield from other_files()
    yield from findings()
