from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from earth_scenes import Patch, warmth_of, write_warmth
from generated_scenes import write_raster
from scene_fixture import opened

from fusion_core.errors import OverlapError
from fusion_core.scenes.aligned_raster import AlignedRaster
from fusion_core.scenes.coverage import find_coverage
from fusion_core.scenes.grid import match_grids
from fusion_core.scenes.place import place_of
from fusion_core.settings.scenes import SceneSettings

DEGREES = "EPSG:4326"
MERCATOR = 20037508.342789244
DISK = "+proj=geos +sweep=x +lon_0={} +h=35786023 +ellps=GRS80"


def disk(longitude: float, pixel: float = 30000.0) -> Patch:
    """What a geostationary satellite sees; the corners lie off the Earth."""
    side = round(2 * 5434895 / pixel)
    return Patch(DISK.format(longitude), -5434895, 5434895, pixel, (side, side))


def in_degrees(west: float, north: float, pixel: float, *size: int) -> Patch:
    return Patch(DEGREES, west, north, pixel, (size[0], size[1]))


VISIBLE = {
    "UTM 33": Patch("EPSG:32633", 3e5, 5.6e6, 4000, (72, 96)),
    "equal area": Patch("EPSG:3035", 4e6, 3.5e6, 6000, (72, 96)),
    "UTM 1 over 180": Patch("EPSG:32601", 1e5, 1.2e6, 4000, (60, 150)),
    "UTM 60 over 180": Patch("EPSG:32660", 6e5, 7.2e6, 4000, (60, 100)),
    "degrees over 180": in_degrees(178, 10, 0.04, 60, 100),
    "degrees over -180": in_degrees(-182, 10, 0.04, 60, 100),
    "another datum over 180": Patch("EPSG:4258", 178, 10, 0.04, (60, 100)),
    "degrees at -170": in_degrees(-170, 10, 0.04, 60, 100),
    "degrees at 190": in_degrees(190, 10, 0.04, 60, 100),
    "degrees over 0": in_degrees(-2, 50, 0.04, 60, 100),
    "degrees over 360": in_degrees(358, 50, 0.04, 60, 100),
    "Pacific": Patch("EPSG:3832", -1e6, 1e6, 20000, (100, 120)),
    "north pole": Patch("EPSG:3995", -3e6, 3e6, 30000, (200, 200)),
    "beside the north pole": Patch("EPSG:3413", -1e5, 2e5, 3000, (100, 100)),
    "south pole": Patch("EPSG:3031", -3e6, 3e6, 30000, (200, 200)),
    "world": in_degrees(-180, 90, 2, 90, 180),
    "world from 0": in_degrees(0, 90, 2, 90, 180),
}
"""Visible scenes on which no pixel is off the Earth."""

GLOBAL = {
    "from -180": in_degrees(-180, 90, 0.5, 360, 720),
    "from 0": in_degrees(0, 90, 0.5, 360, 720),
    "from 20": in_degrees(20, 90, 0.5, 360, 720),
    "centred on pixels": in_degrees(-180.25, 90.25, 0.5, 361, 720),
    "with a column twice": in_degrees(-180, 90, 0.5, 360, 721),
}
"""Infrared images around the whole Earth."""


@contextmanager
def matched(
    folder: Path, visible: Patch, infrared: Patch, dtype: str = "float32"
) -> Iterator[AlignedRaster]:
    """The infrared on the visible scene's grid."""
    paths = folder / "vi.tif", folder / "ir.tif"
    write_raster(paths[0], np.ones(visible.size, np.uint8), **visible.profile)
    write_warmth(paths[1], infrared, dtype)
    with opened(paths[0]) as vi, opened(paths[1]) as ir:
        grid = match_grids(vi, ir, resize=False)
        with closing(AlignedRaster(ir, grid, SceneSettings(), warped=not grid.same)) as side:
            yield side


def check_whole(folder: Path, visible: Patch, infrared: Patch, off: float) -> None:
    """Check that all of a visible scene is covered, by the right values.

    Args:
        folder: Where files go.
        visible: The visible scene.
        infrared: The infrared image.
        off: How far values may be off, of waves that are 60 high.
    """
    with matched(folder, visible, infrared) as side:
        grid = side.grid
        assert (grid.top, grid.left, (grid.height, grid.width)) == (0, 0, visible.size)
        found = side.read((slice(0, grid.height), slice(0, grid.width)))
        coarse = side.decimated(4)
    expected = warmth_of(visible)
    assert found.valid.all()
    assert found.luminance == pytest.approx(expected, abs=off)
    assert coarse.valid.all()


@pytest.mark.parametrize("visible", VISIBLE)
@pytest.mark.parametrize("infrared", GLOBAL)
def test_a_grid_around_the_earth_covers_every_scene_on_it(
    tmp_path: Path, visible: str, infrared: str
) -> None:
    # The meridians crowd together at a pole, and a pixel of 2 degrees is a mean of many.
    off = 8 if "pole" in visible or "world" in visible else 3
    check_whole(tmp_path, VISIBLE[visible], GLOBAL[infrared], off)


REGIONAL = {
    "geostationary": (in_degrees(-70, 40, 0.2, 72, 96), disk(-75)),
    "geostationary over 180": (in_degrees(150, 30, 0.4, 150, 120), disk(-170)),
    "geostationary in UTM": (Patch("EPSG:32620", 3e5, 4e6, 4000, (72, 96)), disk(-75)),
    "from 170 to 190": (VISIBLE["degrees over -180"], in_degrees(170, 20, 0.1, 400, 200)),
    "from -190 to -170": (VISIBLE["UTM 1 over 180"], in_degrees(-190, 20, 0.1, 400, 200)),
    "another datum": (VISIBLE["another datum over 180"], in_degrees(-190, 20, 0.1, 400, 200)),
    "east of 180 alone": (in_degrees(185, 10, 0.04, 60, 100), in_degrees(-179, 20, 0.1, 400, 200)),
    "UTM 1 for UTM 60": (
        Patch("EPSG:32660", 7e5, 1e6, 1000, (100, 120)),
        Patch("EPSG:32601", -1e5, 1.3e6, 4000, (150, 150)),
    ),
    "UTM 60 for degrees": (
        in_degrees(179, 8, 0.02, 60, 100),
        Patch("EPSG:32660", 6e5, 1.3e6, 4000, (150, 150)),
    ),
    "a world of Mercator": (
        VISIBLE["UTM 60 over 180"],
        Patch("EPSG:3857", -MERCATOR, MERCATOR, 2 * MERCATOR / 720, (720, 720)),
    ),
    "heights in the system": (
        VISIBLE["UTM 1 over 180"],
        Patch("EPSG:4326+5773", 0, 90, 0.5, (360, 720)),
    ),
    "three dimensions": (
        VISIBLE["UTM 1 over 180"],
        Patch("EPSG:4979", -180, 90, 0.5, (360, 720)),
    ),
    "the pole": (
        VISIBLE["beside the north pole"],
        Patch("EPSG:3995", -2e6, 2e6, 20000, (200, 200)),
    ),
}
"""Visible scenes, and infrared images of a part of the Earth that cover them."""


@pytest.mark.parametrize("case", REGIONAL)
def test_what_the_warp_can_fill_counts_as_covered(tmp_path: Path, case: str) -> None:
    check_whole(tmp_path, *REGIONAL[case], 4)


def test_no_column_is_missing_or_blurred_where_a_global_grid_begins(tmp_path: Path) -> None:
    """The rows beside the seam are as good as any, whatever the resampling."""
    visible = in_degrees(179, 10, 0.01, 20, 200)
    with matched(tmp_path, visible, GLOBAL["from -180"]) as side:
        assert side.grid.source is not None
        assert side.grid.source.ring is not None
        found = side.read((slice(0, 20), slice(0, 200))).luminance
    steps = np.diff(found, axis=1)
    usual = np.abs(np.diff(warmth_of(visible), axis=1)).max()
    assert np.abs(steps).max() < 1.5 * usual


def test_an_infrared_where_the_file_says_is_read_as_ever(tmp_path: Path) -> None:
    beside = in_degrees(176, 10, 0.04, 60, 100)
    for visible in (VISIBLE["UTM 33"], VISIBLE["degrees at -170"], beside):
        with matched(tmp_path, visible, GLOBAL["from -180"]) as side:
            assert side.grid.source is None


PARTS = {
    # Visible scene, infrared, expected rows and columns.
    "a region of the world": (
        in_degrees(-180, 90, 1, 180, 360),
        in_degrees(20, 50, 0.25, 80, 120),
        (40, 60, 200, 230),
    ),
    "of the world from 0": (
        in_degrees(0, 90, 1, 180, 360),
        in_degrees(-40, 50, 0.25, 80, 120),
        (40, 60, 320, 350),
    ),
    "half over 180": (
        in_degrees(178, 10, 0.04, 60, 100),
        in_degrees(-180, 20, 0.1, 400, 200),
        (0, 60, 50, 100),
    ),
    "few pixels in many": (
        in_degrees(0, 40, 0.001, 20000, 20000),
        in_degrees(12.3456, 30.1234, 0.001, 7, 9),
        (9877, 9883, 12346, 12354),
    ),
}


@pytest.mark.parametrize("case", PARTS)
def test_a_part_is_found_wherever_longitudes_begin(tmp_path: Path, case: str) -> None:
    visible, infrared, expected = PARTS[case]
    vi = write_raster(tmp_path / "vi.tif", np.ones((1, 1), np.uint8), **visible.profile)
    ir = write_warmth(tmp_path / "ir.tif", infrared)
    with opened(vi) as a, opened(ir) as b:
        place = place_of(a.dataset)
        assert place is not None
        place = replace(place, height=visible.size[0], width=visible.size[1])
        there = place_of(b.dataset)
        assert there is not None
        found = find_coverage(place, there.turned(), "vi.tif", "ir.tif")
    assert (*found.rows, *found.columns) == expected


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float32"])
def test_off_the_earth_nothing_is_covered(tmp_path: Path, dtype: str) -> None:
    """The visible scene is a whole disk, of which the infrared holds all but the corners."""
    visible = disk(-170)
    with matched(tmp_path, visible, GLOBAL["from -180"], dtype) as side:
        height, width = visible.size
        assert (side.grid.top, side.grid.left) == (0, 0)
        assert (side.grid.height, side.grid.width) == visible.size
        found = side.read((slice(0, height), slice(0, width)))
    expected = warmth_of(visible)
    assert np.array_equal(found.valid, np.isfinite(expected))
    inner = found.valid & (np.hypot(*np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]) < 0.9)
    if dtype != "uint8":
        assert found.luminance[inner] == pytest.approx(expected[inner], abs=5)


def test_a_disk_within_the_visible_scene_is_a_part_of_it(tmp_path: Path) -> None:
    visible = in_degrees(-180, 90, 1, 180, 360)
    with matched(tmp_path, visible, disk(-75)) as side:
        grid = side.grid
        found = side.read((slice(0, grid.height), slice(0, grid.width)))
    # A satellite sees 81 degrees far.
    assert grid.top == pytest.approx(9, abs=1.5)
    assert grid.left == pytest.approx(180 - 75 - 81, abs=1.5)
    assert grid.height == pytest.approx(162, abs=3)
    assert grid.width == pytest.approx(162, abs=3)
    rows, columns = (
        slice(grid.top, grid.top + grid.height),
        slice(grid.left, grid.left + grid.width),
    )
    near = np.hypot(*np.mgrid[-80.5 : 80.5 : grid.height * 1j, -80.5 : 80.5 : grid.width * 1j]) < 60
    assert found.valid[near].all()
    assert found.luminance[near] == pytest.approx(warmth_of(visible)[rows, columns][near], abs=5)


@pytest.mark.parametrize(
    ("visible", "infrared"),
    [
        (in_degrees(178, 10, 0.04, 60, 100), in_degrees(-170, 20, 0.1, 400, 200)),
        (in_degrees(-60, 10, 0.04, 60, 100), disk(140)),
        (VISIBLE["UTM 33"], disk(140)),
        (VISIBLE["north pole"], in_degrees(-180, 0, 1, 90, 360)),
    ],
    ids=["beside 180", "behind the Earth", "behind the Earth in UTM", "other hemisphere"],
)
def test_what_lies_elsewhere_is_refused(tmp_path: Path, visible: Patch, infrared: Patch) -> None:
    with (
        pytest.raises(OverlapError, match=r"ir\.tif.*vi\.tif.*which files were paired"),
        matched(tmp_path, visible, infrared),
    ):
        pass


def test_systems_without_a_way_between_them_are_refused(tmp_path: Path) -> None:
    moon = Patch("IAU_2015:30100", -180, 90, 1, (180, 360))
    write_raster(tmp_path / "vi.tif", np.ones((9, 9), np.uint8))
    write_raster(tmp_path / "ir.tif", np.ones(moon.size, np.uint8), **moon.profile)
    with (
        opened(tmp_path / "vi.tif") as vi,
        opened(tmp_path / "ir.tif") as ir,
        pytest.raises(OverlapError, match=r"ir\.tif can't be brought to .* vi\.tif"),
    ):
        match_grids(vi, ir, resize=False)
