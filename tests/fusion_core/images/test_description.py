import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from declared_tiff import page
from declared_writers import OPACITY, PREMULTIPLIED, UNSPECIFIED, jp2
from rasterio.io import MemoryFile
from raw_images import raw_png
from raw_pages import BYTE, tiff_of_pages
from raw_tags import ASCII, DOUBLE, SHORT, UTM_KEYS, geo_tags

from fusion_core.images.description import Description, describe_dataset
from fusion_core.images.jp2_boxes import read_boxes
from fusion_core.images.tiff_tags import read_tags

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

UNSPECIFIED_SAMPLE, ASSOCIATED, STRAIGHT = 0, 1, 2
PLACE = {f"t{number}": tag for number, tag in geo_tags(UTM_KEYS).items()}
COLOUR_MAP = (SHORT, [257 * (k % 256) for k in range(768)])


def photograph(**changes: Any) -> Description:
    return Description(**{"colours": "rgb", "dtype": "uint8", "bits": 8, **changes})


def scene(**changes: Any) -> Description:
    return photograph(**{"placed": True, **changes})


def described(body: bytes) -> Description:
    file = io.BytesIO(body)
    with MemoryFile(body) as memory, memory.open() as dataset:
        return describe_dataset(dataset, read_tags(file), read_boxes(file))


def tiff(
    count: int,
    photometric: int,
    extra: Sequence[int] = (),
    dtype: Any = np.uint8,
    **tags: Any,
) -> bytes:
    samples = np.zeros((count, 6, 8), dtype)
    return tiff_of_pages([page(samples, photometric, extra=extra, **tags)])


@pytest.mark.parametrize(("bits", "white"), [(1, 1), (8, 255), (12, 4095), (16, 65535)])
def test_white_is_the_largest_value_of_so_many_bits(bits: int, white: int) -> None:
    assert photograph(bits=bits).white == white


@pytest.mark.parametrize("colours", ["grey", "rgb", "palette", "cmyk", "lab", "mosaic", "other"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_grey_and_colour_of_up_to_sixteen_bits_is_a_photograph(colours: str, dtype: str) -> None:
    assert photograph(colours=colours, dtype=dtype).is_photograph


@pytest.mark.parametrize(
    "changes",
    [
        {"placed": True},
        {"nodata": True},
        {"scaled": True},
        {"colours": "bands"},
        *({"dtype": name} for name in ("int8", "int16", "uint32", "float32", "other")),
    ],
)
def test_a_place_a_declaration_bands_or_another_type_make_a_scene(changes: dict[str, Any]) -> None:
    assert not photograph(**changes).is_photograph


@pytest.mark.parametrize(
    ("changes", "as_stored"),
    [
        ({}, True),
        ({"colours": "grey"}, True),
        ({"colours": "bands"}, True),
        ({"alpha": "straight"}, True),
        ({"orientation": 3}, False),
        ({"inverted": True}, False),
        ({"alpha": "premultiplied"}, False),
        *(({"colours": name}, False) for name in ("palette", "cmyk", "lab", "mosaic", "other")),
    ],
)
def test_values_mean_what_they_seem_to_unless_something_else_is_declared(
    changes: dict[str, Any], as_stored: bool
) -> None:
    assert photograph(**changes).as_stored == as_stored


@pytest.mark.parametrize(
    ("description", "words"),
    [
        (photograph(colours="mosaic"), "camera's raw file, .* Convert it to TIFF"),
        (scene(colours="mosaic"), "camera's raw file"),
        (photograph(colours="other"), r"photometric interpretation is none .*L\*a\*b\*. Convert"),
        (photograph(pages=3), r"holds 3 pages of one size; .* Split it \(tiffsplit\)"),
        (scene(pages=2), "holds 2 pages"),
        (scene(inverted=True, dtype="float32"), "white .MinIsWhite., .* no meaning for float32"),
        (photograph(colours="palette", dtype="uint16", bits=16), "palette pixels have 16 bits"),
        (photograph(colours="lab", dtype="uint16", bits=12), "lab pixels have 12 bits; .* to RGB"),
        (scene(orientation=6), r"orientation tag of 6, .* Correct the tag \(274\)"),
        (scene(colours="palette"), r"indices into a palette; .*-expand rgb"),
        (scene(bits=4), "have 4 bits; expected 8 or more. Store it as 8 bits"),
        (scene(colours="cmyk"), "its colours are CMYK; .* Convert it"),
        (scene(colours="lab"), "its colours are CIE Lab; .* Convert it"),
    ],
)
def test_what_cannot_be_fused_is_told_with_its_remedy(description: Description, words: str) -> None:
    problem = description.problem()
    assert problem is not None
    with pytest.raises(ValueError, match=words):
        raise ValueError(problem)


@pytest.mark.parametrize(
    "description",
    [
        photograph(),
        *(photograph(colours=name) for name in ("grey", "palette", "cmyk", "lab")),
        photograph(colours="cmyk", dtype="uint16", bits=16),
        photograph(colours="grey", bits=1),
        photograph(orientation=6, inverted=True, alpha="premultiplied"),
        scene(),
        scene(colours="bands", dtype="float32", bits=32, nodata=True, scaled=True),
        scene(inverted=True, dtype="uint16", bits=12),
        photograph(orientation=6, nodata=True),
    ],
)
def test_what_can_be_fused_has_no_problem(description: Description) -> None:
    assert description.problem() is None


@pytest.mark.parametrize(
    ("count", "photometric", "extra", "colours", "alpha"),
    [
        (1, 0, (), "grey", "none"),
        (1, 1, (), "grey", "none"),
        (3, 2, (), "rgb", "none"),
        (4, 5, (), "cmyk", "none"),
        (3, 8, (), "lab", "none"),
        (1, 32803, (), "mosaic", "none"),
        (1, 777, (), "other", "none"),
        (2, 1, (STRAIGHT,), "grey", "straight"),
        (2, 1, (ASSOCIATED,), "grey", "premultiplied"),
        (2, 1, (UNSPECIFIED_SAMPLE,), "bands", "none"),
        (2, 1, (), "bands", "none"),
        (3, 1, (), "rgb", "none"),
        (3, 1, (0, 0), "rgb", "none"),
        (3, 1, (0, STRAIGHT), "bands", "straight"),
        (4, 2, (STRAIGHT,), "rgb", "straight"),
        (4, 2, (ASSOCIATED,), "rgb", "premultiplied"),
        (4, 2, (UNSPECIFIED_SAMPLE,), "bands", "none"),
        (4, 2, (), "bands", "none"),
        (5, 2, (STRAIGHT, 0), "bands", "straight"),
        (5, 2, (STRAIGHT, STRAIGHT), "bands", "straight"),
        (4, 1, (0, 0, 0), "bands", "none"),
    ],
)
def test_tags_tell_what_the_channels_are(
    count: int, photometric: int, extra: tuple[int, ...], colours: str, alpha: str
) -> None:
    found = described(tiff(count, photometric, extra))
    assert (found.colours, found.alpha) == (colours, alpha)
    assert found.inverted == (photometric == 0)


@pytest.mark.parametrize("photometric", [1, 3])
def test_a_palette_makes_indices_whatever_the_photometric_interpretation(photometric: int) -> None:
    assert described(tiff(1, photometric, t320=COLOUR_MAP)).colours == "palette"


@pytest.mark.parametrize("tags", [{"t50706": (BYTE, [1, 4, 0, 0])}, {"t254": (SHORT, [1])}])
def test_a_cameras_raw_file_is_known_by_its_version_or_by_its_thumbnail(
    tags: dict[str, Any],
) -> None:
    assert described(tiff(3, 2, **tags)).colours == "mosaic"


@pytest.mark.parametrize(
    ("dtype", "bits", "wanted"),
    [
        (np.uint8, None, ("uint8", 8)),
        (np.uint8, 1, ("uint8", 1)),
        (np.uint8, 4, ("uint8", 4)),
        (np.uint16, 12, ("uint16", 12)),
        (np.uint16, None, ("uint16", 16)),
        (np.int16, None, ("int16", 16)),
        (np.float32, None, ("float32", 32)),
    ],
)
def test_type_and_bits_are_those_of_the_samples(
    dtype: Any, bits: int | None, wanted: tuple[str, int]
) -> None:
    found = described(tiff(1, 1, dtype=dtype, bits=bits))
    assert (found.dtype, found.bits) == wanted


def test_complex_values_are_of_another_type() -> None:
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", width=8, height=6, count=1, dtype="complex64") as target:
            target.write(np.zeros((1, 6, 8), np.complex64))
        found = described(bytes(memory.read()))
    assert (found.dtype, found.is_photograph) == ("other", False)


def test_orientation_and_pages_come_from_the_tags() -> None:
    pages = [page(np.zeros((1, 6, 8), np.uint8), 1, t274=(SHORT, [7])) for _ in range(3)]
    found = described(tiff_of_pages(pages))
    assert (found.orientation, found.pages) == (7, 3)


def test_a_place_a_nodata_value_and_a_scale_are_found() -> None:
    plain = described(tiff(1, 1))
    assert (plain.placed, plain.nodata, plain.scaled) == (False, False, False)
    assert described(tiff(1, 1, **PLACE)).placed
    only_scaled = {"t33550": (DOUBLE, [10.0, 10.0, 0.0]), "t33922": (DOUBLE, [0.0] * 6)}
    assert described(tiff(1, 1, **only_scaled)).placed
    assert described(tiff(1, 1, t42113=(ASCII, b"0\0"))).nodata
    item = '<Item name="{}" sample="0" role="{}">2</Item>'
    for name, role in (("SCALE", "scale"), ("OFFSET", "offset")):
        xml = f"<GDALMetadata>{item.format(name, role)}</GDALMetadata>\0".encode()
        assert described(tiff(1, 1, t42112=(ASCII, xml))).scaled


@pytest.mark.parametrize(
    ("count", "extra", "space", "wanted"),
    [
        (1, None, None, ("grey", "none")),
        (2, OPACITY, None, ("grey", "straight")),
        (2, PREMULTIPLIED, None, ("grey", "premultiplied")),
        (3, None, None, ("rgb", "none")),
        (4, OPACITY, None, ("rgb", "straight")),
        (4, PREMULTIPLIED, None, ("rgb", "premultiplied")),
        (4, UNSPECIFIED, None, ("bands", "none")),
        (3, None, 18, ("rgb", "none")),
    ],
)
def test_boxes_tell_what_the_channels_of_jpeg_2000_are(
    count: int, extra: int | None, space: int | None, wanted: tuple[str, str]
) -> None:
    body = jp2(np.zeros((count, 6, 8), np.uint8), placed=False, extra=extra, colour=space)
    found = described(body)
    assert (found.colours, found.alpha) == wanted


def test_indices_of_jpeg_2000_are_told_from_grey() -> None:
    palette = np.arange(12, dtype=np.uint8).reshape(4, 3)
    body = jp2(np.zeros((1, 6, 8), np.uint8), placed=False, palette=palette)
    assert described(body).colours == "palette"
    assert described(jp2(np.zeros((1, 6, 8), np.uint8), placed=True)).placed


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((6, 8), ("grey", "none")),
        ((6, 8, 2), ("grey", "straight")),
        ((6, 8, 3), ("rgb", "none")),
        ((6, 8, 4), ("rgb", "straight")),
    ],
)
def test_png_is_described_by_its_colour_type(
    shape: tuple[int, ...], wanted: tuple[str, str]
) -> None:
    found = described(raw_png(np.zeros(shape, np.uint16)))
    assert (found.colours, found.alpha, found.bits, found.orientation) == (*wanted, 16, 1)
