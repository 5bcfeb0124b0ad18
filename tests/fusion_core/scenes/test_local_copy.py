"""Copies are compared with what NumPy makes of the stored values, piece by piece."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from generated_scenes import UTM, write_raster
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC
from raw_pages import Page, tiff_of_pages
from raw_tags import LONG, SHORT
from scene_fixture import opened

from fusion_core.scenes import local_copy
from fusion_core.scenes.local_copy import copy_scene

SIZE = HEIGHT, WIDTH = 70, 90
SOME, OTHER = 100, 200
"""Values that mean no data."""

SHOWN_AT: dict[int, Callable[[Any, Any], tuple[Any, Any]]] = {
    1: lambda r, c: (r, c),
    2: lambda r, c: (r, WIDTH - 1 - c),
    3: lambda r, c: (HEIGHT - 1 - r, WIDTH - 1 - c),
    4: lambda r, c: (HEIGHT - 1 - r, c),
    5: lambda r, c: (c, r),
    6: lambda r, c: (c, HEIGHT - 1 - r),
    7: lambda r, c: (WIDTH - 1 - c, HEIGHT - 1 - r),
    8: lambda r, c: (WIDTH - 1 - c, r),
}
"""Where TIFF 6.0 says that a stored row and column is shown, by orientation."""


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_copy, "_PIECE", 1500)


def noise(dtype: str, bands: int = 1, size: tuple[int, int] = SIZE, top: int = 255) -> NDArray[Any]:
    values = np.random.default_rng(3).integers(0, top, (bands, *size), endpoint=True)
    return (values - (top // 2 if dtype == "int16" else 0)).astype(dtype)


def shown(stored: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return stored bands or a mask (…, H, W) as they are to be seen."""
    rows, columns = np.indices(SIZE)
    size = SIZE if orientation < 5 else SIZE[::-1]
    seen = np.zeros((*stored.shape[:-2], *size), stored.dtype)
    seen[(..., *SHOWN_AT[orientation](rows, columns))] = stored
    return seen


def turned_tiff(
    stored: NDArray[Any],
    orientation: int,
    mask: NDArray[np.bool_] | None = None,
    *,
    tiled: bool = False,
) -> bytes:
    """Return a TIFF without a place, in strips of 8 rows or in tiles of 16 pixels a side."""
    kind = {"f": 3, "i": 2, "u": 1}[stored.dtype.kind]
    count = len(stored)
    pixels = np.moveaxis(stored, 0, -1)
    common = {256: (LONG, [WIDTH]), 257: (LONG, [HEIGHT]), 259: (SHORT, [1])}
    tags = {
        **common,
        258: (SHORT, [8 * stored.itemsize] * count),
        262: (SHORT, [2 if count == 3 else 1]),
        274: (SHORT, [orientation]),
        277: (SHORT, [count]),
        339: (SHORT, [kind] * count),
    }
    if tiled:
        tags |= {322: (LONG, [16]), 323: (LONG, [16])}
        padded = np.pad(pixels, ((0, -HEIGHT % 16), (0, -WIDTH % 16), (0, 0)))
        corners = itertools.product(range(0, HEIGHT, 16), range(0, WIDTH, 16))
        blocks = [padded[y : y + 16, x : x + 16].tobytes() for y, x in corners]
    else:
        tags[278] = LONG, [8]
        blocks = [pixels[top : top + 8].tobytes() for top in range(0, HEIGHT, 8)]
    pages = [Page(tags, blocks)]
    if mask is not None:
        marked = {254: (LONG, [4]), 258: (SHORT, [1]), 262: (SHORT, [4]), 277: (SHORT, [1])}
        whole = {**common, **marked, 278: (LONG, [HEIGHT])}
        pages.append(Page(whole, [np.packbits(mask, axis=1).tobytes()]))
    return tiff_of_pages(pages)


def copied(source: Path) -> Path:
    copy = source.parent / "copy.tif"
    with opened(source) as raster:
        copy_scene(raster, copy)
    return copy


def values(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as dataset:
        return np.asarray(dataset.read())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize(("dtype", "bands"), [("float32", 1), ("int16", 3)])
def test_a_turned_scene_comes_to_lie_upright(
    tmp_path: Path, orientation: int, dtype: str, bands: int, tiled: bool
) -> None:
    stored = noise(dtype, bands, top=30000)
    (tmp_path / "a.tif").write_bytes(turned_tiff(stored, orientation, tiled=tiled))
    assert np.array_equal(values(copied(tmp_path / "a.tif")), shown(stored, orientation))


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_its_mask_turns_with_it(tmp_path: Path, orientation: int) -> None:
    stored, mask = noise("float32"), noise("uint8")[0] > 100
    (tmp_path / "a.tif").write_bytes(turned_tiff(stored, orientation, mask))
    copy = copied(tmp_path / "a.tif")
    with rasterio.open(copy) as dataset:
        assert np.array_equal(dataset.dataset_mask() > 0, shown(mask, orientation))
    assert np.array_equal(values(copy), shown(stored, orientation))


BLOCKS: dict[str, dict[str, Any]] = {
    "strips": {"blockysize": 8},
    "one strip": {"blockysize": HEIGHT},
    "predicted": {"blockysize": 8, "predictor": 2},
    "band by band": {"blockysize": 8, "interleave": "band"},
    "one strip a band": {"blockysize": HEIGHT, "interleave": "band"},
    "tiles": {"tiled": True, "blockxsize": 32, "blockysize": 32},
    "tiles that reach beyond": {"tiled": True, "blockxsize": 64, "blockysize": 128},
    "tiles band by band": {"tiled": True, "blockxsize": 32, "blockysize": 48, "interleave": "band"},
}


@pytest.mark.parametrize("piece", [1, 1500, 9000, 1 << 25])
@pytest.mark.parametrize("layout", BLOCKS)
def test_a_copy_holds_the_values_of_the_file_however_that_is_cut(
    tmp_path: Path, layout: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_copy, "_PIECE", piece)
    stored = noise("uint16", 5)
    copy = copied(write_raster(tmp_path / "a.tif", stored, **BLOCKS[layout]))
    assert np.array_equal(values(copy), stored)
    with rasterio.open(copy) as dataset:
        height, width = dataset.block_shapes[0]
    assert width == 512
    assert 16 <= height <= 512


def test_of_a_file_whose_bands_lie_apart_each_is_copied_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or each piece would be looked for in as many places as there are bands."""
    asked: list[list[int]] = []
    real = local_copy._copy_bands
    monkeypatch.setattr(
        local_copy,
        "_copy_bands",
        lambda r, t, bands, part: (asked.append(bands), real(r, t, bands, part)),
    )
    stored = noise("uint16", 3)
    copied(write_raster(tmp_path / "a.tif", stored, interleave="band", blockysize=8))
    assert [k for at, k in enumerate(asked) if k not in asked[:at]] == [[1], [2], [3]]
    assert asked == sorted(asked)


@pytest.mark.parametrize(
    ("dtype", "bits", "top", "sum_of_both"),
    [
        ("uint8", 8, 255, 255),
        ("uint16", 16, 65535, 65535),
        ("uint16", 12, 4095, 4095),
        ("int16", 16, 65535, -1),
    ],
)
def test_where_the_smallest_value_is_white_values_are_mirrored_and_no_data_too(
    tmp_path: Path, dtype: str, bits: int, top: int, sum_of_both: int
) -> None:
    stored = noise(dtype, top=top)
    stored[0, :9, :9] = SOME
    depth = {} if bits in (8, 16) else {"nbits": bits}
    file = write_raster(
        tmp_path / "a.tif", stored, photometric="miniswhite", nodata=SOME, blockysize=8, **depth
    )
    copy = copied(file)
    assert np.array_equal(values(copy), (sum_of_both - stored.astype(int)).astype(dtype))
    with rasterio.open(copy) as dataset, rasterio.open(file) as source:
        assert dataset.nodata == sum_of_both - SOME
        assert np.array_equal(dataset.read_masks(1), source.read_masks(1))
        assert dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS") == (str(bits) if depth else None)
        assert (dataset.crs, dataset.transform) == (source.crs, source.transform)
    with opened(copy) as raster:
        assert raster.description.as_stored


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_colours_that_were_multiplied_by_their_opacity_are_divided_by_it(
    tmp_path: Path, dtype: str, interleave: str
) -> None:
    top = int(np.iinfo(dtype).max)
    straight, alpha = noise(dtype, 3, top=top), noise(dtype, top=top)[0]
    alpha[:5] = 0
    stored = np.rint(straight * (alpha / top)).astype(dtype)
    file = write_raster(
        tmp_path / "a.tif",
        np.concatenate([stored, alpha[None]]),
        photometric="rgb",
        alpha="premultiplied",
        interleave=interleave,
        blockysize=8,
    )
    copy = copied(file)
    found = values(copy)
    assert np.array_equal(found[3], alpha)
    assert (found[:3, alpha == 0] == 0).all()
    known = alpha > 0
    error = np.abs(found[:3, known].astype(float) - straight[:, known])
    assert (error <= 0.5 * top / alpha[known] + 0.5).all()
    with opened(copy) as raster:
        assert raster.description.alpha == "straight"
        assert raster.dataset.colorinterp[3] is ColorInterp.alpha


def test_a_copy_says_of_its_bands_what_the_file_does(tmp_path: Path) -> None:
    file = write_raster(tmp_path / "a.tif", noise("int16", 2), nodata=OTHER, blockysize=8)
    with rasterio.open(file, "r+") as dataset:
        dataset.update_tags(ACQUISITIONDATETIME="2020-01-02T03:04:05Z")
        dataset.update_tags(2, wavelength="10.8")
        dataset.descriptions, dataset.units = ("red", "heat"), ("1", "K")
        dataset.scales, dataset.offsets = (0.5, 0.01), (0.0, 273.0)
    with rasterio.open(copied(file)) as copy, rasterio.open(file) as source:
        for name in ("crs", "transform", "nodata", "descriptions", "units", "scales", "offsets"):
            assert getattr(copy, name) == getattr(source, name), name
        assert copy.tags()["ACQUISITIONDATETIME"] == "2020-01-02T03:04:05Z"
        assert copy.tags(2)["wavelength"] == "10.8"


def test_points_and_polynomials_of_its_place_are_kept(tmp_path: Path) -> None:
    nowhere = {"crs": None, "transform": None, "blockysize": 8}
    file = write_raster(tmp_path / "a.tif", noise("int16"), **nowhere)
    points = [GroundControlPoint(k, 2 * k % 7, 1e5 + k, 4e6 - k) for k in (0, 20, 39)]
    linear = [1.0] + [0.0] * 19
    rpcs = RPC(0, 1, 35, 1, linear, linear, 35, 35, 139, 1, linear, linear, 45, 45)
    with rasterio.open(file, "r+") as dataset:
        dataset.gcps, dataset.rpcs = (points, rasterio.CRS.from_string(UTM)), rpcs
    with rasterio.open(copied(file)) as copy:
        found, crs = copy.gcps
        assert [(p.row, p.col, p.x, p.y) for p in found] == [
            (p.row, p.col, p.x, p.y) for p in points
        ]
        assert crs.to_epsg() == 32654
        assert copy.rpcs is not None
        assert (copy.rpcs.lat_off, copy.rpcs.samp_off) == (35, 45)
