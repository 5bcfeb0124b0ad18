import io

import numpy as np
import pytest
from PIL import Image

from fusion_core.reports import preview
from fusion_core.storage import Storage


def written(size: tuple[int, int], *, noise: bool) -> Storage:
    rng = np.random.default_rng(3)
    high = 256 if noise else 1
    image = Image.fromarray(rng.integers(0, high, (*size, 3), dtype=np.uint8))
    body = io.BytesIO()
    image.save(body, "PNG")
    storage = Storage("memory://preview")
    storage.write("sheet.png", body.getvalue())
    return storage


@pytest.mark.parametrize(
    ("size", "noise", "most"),
    [((300, 400), False, 300_000), ((900, 1200), True, 300_000), ((400, 400), True, 2_000)],
)
def test_a_preview_is_a_jpeg_file_that_is_not_large(
    size: tuple[int, int], noise: bool, most: int
) -> None:
    body = preview(written(size, noise=noise), "sheet.png", most)
    assert len(body) <= most
    with Image.open(io.BytesIO(body)) as image:
        assert image.format == "JPEG"
        assert image.width / image.height == pytest.approx(size[1] / size[0], rel=0.05)


def test_what_is_small_enough_keeps_its_size_and_what_is_wide_does_not() -> None:
    for width, shown in ((400, 400), (2400, 1600)):
        body = preview(written((100, width), noise=False), "sheet.png")
        with Image.open(io.BytesIO(body)) as image:
            assert image.width == shown
