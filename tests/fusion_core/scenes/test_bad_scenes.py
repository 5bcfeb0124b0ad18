"""Each bad scene is worked off in one chunk with a good one, which must be fused all the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from generated_scenes import PLACE, UTM, scene_bands
from rasterio.transform import Affine
from raw_tags import (
    ASCII,
    DOUBLE,
    GEO_KEYS,
    GEOGRAPHIC,
    LONG,
    NODATA,
    PIXEL_SCALE,
    PROJECTED,
    SHORT,
    TIE_POINT,
    Tag,
    geo_tags,
    grey_tags,
    tiff_of_tags,
    utm_tiff,
)
from scene_fixture import SIZE, SceneFixture
from spoiled_scenes import (
    AGAIN,
    BODY,
    DAMAGED,
    GREY,
    HEIGHT,
    TAGS,
    WIDTH,
    check_failed,
    made,
    raw,
    scenes_with_temp,
)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SceneFixture:
    return scenes_with_temp(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "tags",
    [
        pytest.param(grey_tags(0, HEIGHT), id="no width"),
        pytest.param(grey_tags(WIDTH, 0), id="no height"),
        pytest.param({**TAGS, 259: (SHORT, [9999])}, id="unknown compression"),
        pytest.param({**TAGS, 258: (SHORT, [77])}, id="77 bits"),
        pytest.param({**TAGS, 339: (SHORT, [99])}, id="unknown sample format"),
        pytest.param({**TAGS, 273: (LONG, [4_000_000_000])}, id="pixels far behind the end"),
        pytest.param({256: (LONG, [WIDTH])}, id="nearly no tags"),
        pytest.param(grey_tags(4_294_967_295, 4_294_967_295, counts=[1]), id="18 exapixels"),
    ],
)
def test_absurd_tags(archive: SceneFixture, tags: dict[int, Tag]) -> None:
    check_failed(archive, raw(tags), "decode", [f"vi/bad.tif {DAMAGED}", AGAIN])


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        pytest.param({**TAGS, 277: (SHORT, [65535])}, ["65535 bands", "MiB"], id="bands"),
        pytest.param(
            {
                **{tag: value for tag, value in TAGS.items() if tag not in (273, 278, 279)},
                256: (LONG, [60000]),
                257: (LONG, [60000]),
                322: (LONG, [60000]),
                323: (LONG, [60000]),
                324: (LONG, [0]),
                325: (LONG, [0]),
            },
            ["60000x60000 pixels take 6866 MiB", "expected at most 1024", "TILED=YES"],
            id="one tile",
        ),
    ],
)
def test_a_tiny_file_that_would_need_gigabytes(
    archive: SceneFixture, tags: dict[int, Tag], words: list[str]
) -> None:
    check_failed(archive, raw(tags, b""), "decode", ["vi/bad.tif", *words])


def test_a_tiny_file_of_huge_size_is_read_where_the_infrared_lies(archive: SceneFixture) -> None:
    archive.put("bad")
    huge = grey_tags(60000, 60000, offsets=[0], counts=[0], rows=[1])
    archive.put_bytes("vi", "bad", utm_tiff(huge, b""))
    row = archive.fuse_one("bad")
    assert (row["height"], row["width"]) == SIZE
    assert row["overlap"] == pytest.approx(HEIGHT * WIDTH / 60000**2)
    assert "60000x60000" in row["remark"]


@pytest.mark.parametrize("side", ["ir", "vi"])
@pytest.mark.parametrize(
    "keys",
    [
        pytest.param([(1024, 0, 1, PROJECTED), (3072, 0, 1, 9999)], id="no such code"),
        pytest.param([(1024, 0, 1, PROJECTED), (3072, 0, 1, 32767)], id="user-defined"),
        pytest.param([(1024, 0, 1, PROJECTED)], id="projected somehow"),
        pytest.param([(1024, 0, 1, 32767)], id="no kind"),
        pytest.param([(1024, 0, 1, GEOGRAPHIC), (2048, 0, 1, 9999)], id="no such geographic code"),
        pytest.param([(1024, 0, 1, GEOGRAPHIC), (2048, 0, 1, 32767)], id="some ellipsoid"),
    ],
)
def test_a_coordinate_system_that_says_nothing(
    archive: SceneFixture, side: str, keys: list[tuple[int, ...]]
) -> None:
    place: dict[int, Tag] = geo_tags([*keys, (1025, 0, 1, 1)])
    if keys[0][3] == GEOGRAPHIC:
        place[PIXEL_SCALE] = (DOUBLE, [1e-4, 1e-4, 0.0])
        place[TIE_POINT] = (DOUBLE, [0.0, 0.0, 0.0, 139.0, 36.0, 0.0])
    words = [f"{side}/bad.tif: ", "can't be identified", "EPSG code", "-a_srs"]
    check_failed(archive, raw({**TAGS, **place}, side=side), "decode", words)


def test_a_coordinate_system_without_a_place_is_matched_by_pixel(archive: SceneFixture) -> None:
    """The keys name a system, but no tag says where: GDAL gives pixel coordinates."""
    archive.put("bad")
    keys = {GEO_KEYS: geo_tags([(1024, 0, 1, PROJECTED), (3072, 0, 1, 32654)])[GEO_KEYS]}
    archive.put_bytes("vi", "bad", tiff_of_tags({**TAGS, **keys}, BODY))
    (row,) = archive.fuse(archive.ref("bad"))
    assert (row["status"], row["stage"]) == ("failed", "pair")
    assert "don't overlap" in row["error_message"]


@pytest.mark.parametrize("turn", [Affine.rotation(20), Affine.shear(5), Affine.rotation(90)])
def test_a_visible_grid_that_is_not_upright(archive: SceneFixture, turn: Affine) -> None:
    words = ["vi/bad.tif: the grid is rotated or sheared", "gdalwarp"]
    check_failed(archive, made(transform=PLACE @ turn), "decode", words)


def write_special(archive: SceneFixture, side: str, dtype: str, colours: bool) -> None:
    with rasterio.open(
        archive.path(side, "bad"),
        "w",
        driver="GTiff",
        height=HEIGHT,
        width=WIDTH,
        count=1,
        dtype=dtype,
        crs=UTM,
        transform=PLACE,
    ) as target:
        if colours:
            target.write((GREY % 256).astype(np.uint8))
            target.write_colormap(1, {k: (k, 0, 0, 255) for k in range(256)})


@pytest.mark.parametrize("side", ["ir", "vi"])
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("1 bit", ["have 1 bits", "8 or more"]),
        ("2 bits", ["have 2 bits"]),
        ("4 bits", ["have 4 bits"]),
        ("complex64", ["of type complex64", "float64"]),
        ("complex_int16", ["of type complex_int16", "float64"]),
        ("int64", ["of type int64"]),
        ("uint64", ["of type uint64"]),
        ("palette", ["indices into a palette", "-expand rgb"]),
    ],
)
def test_pixels_of_a_kind_that_is_not_fused(
    archive: SceneFixture, side: str, kind: str, words: list[str]
) -> None:
    def spoil(archive: SceneFixture) -> None:
        bands, fields = GREY, {}
        if "bit" in kind:
            fields = {"nbits": int(kind[0])}
            bands = (GREY % 2).astype(np.uint8)
        elif kind in ("palette", "complex_int16"):
            palette = kind == "palette"
            return write_special(archive, side, "uint8" if palette else kind, palette)
        else:
            bands = GREY.astype(kind)
        if side == "vi":
            return archive.put("bad", vi=bands, **fields)
        return archive.put("bad", ir=bands, ir_profile=fields)

    check_failed(archive, spoil, "decode", [f"{side}/bad.tif: ", *words])


@pytest.mark.parametrize("side", ["ir", "vi"])
@pytest.mark.parametrize("nodata", ["-9999", "70000", "65536", "nan", "0.5", "inf", "-1"])
def test_a_nodata_value_that_the_type_can_not_hold(
    archive: SceneFixture, side: str, nodata: str
) -> None:
    tags = {**TAGS, NODATA: (ASCII, f"{nodata}\0".encode())}
    words = [f"{side}/bad.tif: the nodata value is {nodata}", "uint16", "0 to 65535", "-a_nodata"]
    check_failed(archive, raw(tags, side=side), "decode", words)


@pytest.mark.parametrize(
    ("crs", "place"),
    [
        (UTM, PLACE @ Affine.translation(WIDTH, 0)),
        (UTM, PLACE @ Affine.translation(0, -9e4)),
        ("EPSG:32733", PLACE),
        ("EPSG:4326", Affine(1e-4, 0, -60, 0, -1e-4, 10)),
    ],
    ids=["beside", "north", "zone 33", "degrees"],
)
def test_footprints_that_do_not_overlap(archive: SceneFixture, crs: str, place: Affine) -> None:
    words = ["ir/bad.tif", "vi/bad.tif", "overlap", "which files were paired"]
    check_failed(archive, made(ir_profile={"crs": crs, "transform": place}), "pair", words)


@pytest.mark.parametrize("without", ["ir", "vi"])
def test_one_without_coordinates_and_of_another_size(archive: SceneFixture, without: str) -> None:
    small = scene_bands(1, (50, 60), 1, None)[0]
    nowhere = {"crs": None, "transform": None}
    profiles = {"ir_profile": nowhere} if without == "ir" else nowhere
    words = ["ir/bad.tif is 60x50", f"vi/bad.tif {WIDTH}x{HEIGHT}", "resize_ir"]
    check_failed(archive, made(ir=small, **profiles), "pair", words)


LEFT = GREY * (np.arange(WIDTH) < WIDTH // 2).astype(np.uint16)


@pytest.mark.parametrize(
    ("ir", "vi"),
    [(0 * GREY, GREY), (GREY, 0 * GREY), (LEFT, GREY - LEFT)],
    ids=["infrared", "visible", "halves"],
)
def test_no_pixel_that_both_hold(archive: SceneFixture, ir: Any, vi: Any) -> None:
    words = ["ir/bad.tif and vi/bad.tif hold data at no common place", "nodata"]
    spoil = made(ir=ir, vi=vi, nodata=0, ir_profile={"nodata": 0})
    check_failed(archive, spoil, "pair", words)
