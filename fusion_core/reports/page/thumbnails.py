"""Makes the small pictures of a page: some that stand in it, and larger ones beside it."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image

from fusion_core.reports.drawing import as_rgb
from fusion_core.reports.sheets import ShownPair, pictures_of
from fusion_core.storage.store import Storage

ROLES = ("ir", "vi", "fused")
LARGER = 640
"""Longest side of the pictures beside a page, in pixels."""

EMBEDDED_BYTES = 3_200_000
"""What all pictures in a page may take as it has them: the page stays below 5 MB."""

_SIDES = (320, 256, 192, 144, 96)
_QUALITIES = (72, 50)
_READERS = 2  # each may hold a photograph of 178 megapixels for a moment


@dataclass(frozen=True)
class Thumbnail:
    """The pictures of a pair on a page.

    Attributes:
        width: Of the pictures, in pixels.
        height: Likewise.
        data: By role, a small picture as a data URI.
        larger: By role, the path of a larger one from the page.
    """

    width: int
    height: int
    data: dict[str, str]
    larger: dict[str, str]


def make_thumbnails(
    output: Storage,
    folder: str,
    pairs: Sequence[ShownPair],
    *,
    seconds: float,
    bytes_embedded: int = EMBEDDED_BYTES,
) -> list[Thumbnail | None]:
    """Draw pairs small, and write larger pictures of them beside a page.

    Args:
        output: Where the page is.
        folder: Its folder there.
        pairs: The pairs, each with one fused image.
        seconds: No pair is begun after so long.
        bytes_embedded: Most that all small pictures take in the page.

    Returns:
        For each pair its pictures; None where there was no time.

    Raises:
        StorageError: A store gives no answer, or a picture can't be written.
    """
    until = time.monotonic() + seconds
    most = bytes_embedded // max(len(ROLES) * len(pairs), 1)

    def made(numbered: tuple[int, ShownPair]) -> Thumbnail | None:
        if time.monotonic() > until:
            return None
        number, pair = numbered
        return _thumbnail(output, folder, f"thumbnails/{number:03}", pair, most)

    with ThreadPoolExecutor(_READERS, "thumbnails") as readers:
        return list(readers.map(made, enumerate(pairs, 1)))


def _thumbnail(output: Storage, folder: str, name: str, pair: ShownPair, most: int) -> Thumbnail:
    pictures = [as_rgb(pixels) for pixels in pictures_of(pair)]
    small: list[str] | None = None
    for side in _SIDES:
        if small := _uris(pictures, side, most):
            break
    larger = {}
    for role, picture in zip(ROLES, pictures, strict=True):
        larger[role] = f"{name}-{role}.webp"
        output.write(f"{folder}/{larger[role]}", _webp(_reduced(picture, LARGER), quality=82))
    data = dict(zip(ROLES, small, strict=True)) if small else {}
    return Thumbnail(*_reduced(pictures[1], side).size, data, larger)


def _uris(pictures: Sequence[Image.Image], side: int, most: int) -> list[str] | None:
    """Return pictures as data URIs, all of one size; None if one of them is too long."""
    found = []
    for picture in pictures:
        text = _uri(picture, side, most)
        if text is None:
            return None
        found.append(text)
    return found


def _uri(picture: Image.Image, side: int, most: int) -> str | None:
    """Return a picture as a data URI, of the best quality that is short enough; None if none is."""
    small = _reduced(picture, side)
    for quality in _QUALITIES:
        text = base64.b64encode(_webp(small, quality=quality)).decode()
        if len(text) + 30 <= most:
            return f"data:image/webp;base64,{text}"
    return None


def _reduced(picture: Image.Image, side: int) -> Image.Image:
    if max(picture.size) <= side:
        return picture
    copy = picture.copy()
    copy.thumbnail((side, side), Image.Resampling.BOX if side < 400 else Image.Resampling.LANCZOS)
    return copy


def _webp(picture: Image.Image, *, quality: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="WEBP", quality=quality, method=2)
    return file.getvalue()
