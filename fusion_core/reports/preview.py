"""Makes small pictures of large ones, for those who should see them at once."""

from __future__ import annotations

import io

from PIL import Image

from fusion_core.storage.store import Storage

MOST_BYTES = 300_000
_WIDEST = 1600
_QUALITIES = (85, 75, 60, 45, 30)


def preview(output: Storage, path: str, most_bytes: int = MOST_BYTES) -> bytes:
    """Return a picture of ours as a JPEG file that isn't large, as sharp as that allows.

    Args:
        output: Where the picture is.
        path: Its path there.
        most_bytes: How large the JPEG file may be.

    Raises:
        StorageError: The picture can't be read.
    """
    image = Image.open(io.BytesIO(output.read(path))).convert("RGB")
    image.thumbnail((_WIDEST, image.height), Image.Resampling.LANCZOS)
    while True:
        for quality in _QUALITIES:
            body = io.BytesIO()
            image.save(body, "JPEG", quality=quality, optimize=True)
            if body.tell() <= most_bytes:
                return body.getvalue()
        image = image.resize((max(image.width // 2, 1), max(image.height // 2, 1)))
