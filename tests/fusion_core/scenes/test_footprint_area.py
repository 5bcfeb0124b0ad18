"""Outlines of areas within a grid on the Earth: holes, parts, the 180th meridian and the poles."""

from typing import Any

import numpy as np
import pytest
import shapely
from rasterio.crs import CRS

from fusion_core.scenes.footprint import Affine, footprint

PACIFIC: Affine = (0.1, 0, 170.0, 0, -0.1, 10.0)  # 170 east to 170 west, 10 north to 10 south
POLAR: Affine = (10_000, 0, -3e6, 0, -10_000, 3e6)
SIZE = 200, 200


def wkt(code: int) -> str:
    text: str = CRS.from_epsg(code).to_wkt()
    return text


def placed(
    area: shapely.Geometry, code: int = 4326, transform: Affine = PACIFIC, size: Any = SIZE
) -> tuple[shapely.Geometry, list[float]]:
    """The outline, after it was found valid and to turn as RFC 7946 says, and its box."""
    parts = shapely.MultiPolygon(list(shapely.get_parts(area)))
    geometry, bbox = footprint(wkt(code), transform, *size, parts)
    assert geometry is not None
    assert bbox is not None
    outline = shapely.geometry.shape(geometry)
    assert outline.is_valid
    assert shapely.box(-180, -90, 180, 90).covers(outline)
    for part in shapely.get_parts(outline):
        assert part.exterior.is_ccw
        assert not any(hole.is_ccw for hole in part.interiors)
    return outline, bbox


def test_an_area_lies_where_its_pixels_do() -> None:
    utm: Affine = (30.0, 0.0, 300000.0, 0.0, -30.0, 4000000.0)
    tilted = shapely.Polygon([(50, 0), (200, 60), (150, 200), (0, 140)])
    outline, bbox = placed(tilted, 32654, utm)
    assert outline.bounds == tuple(bbox)
    whole, _ = placed(shapely.box(0, 0, *SIZE), 32654, utm)
    assert whole.buffer(1e-4).covers(outline)  # a third of a pixel
    assert outline.area / whole.area == pytest.approx(tilted.area / 200**2, rel=1e-3)
    assert len(shapely.get_coordinates(outline)) < 10


def test_sides_bend_where_that_can_be_seen() -> None:
    """A straight line between its corners would leave a scene of 600 km by a cell."""
    wide: Affine = (600.0, 0.0, 200_000.0, 0.0, -600.0, 6_000_000.0)
    size = (1000, 1000)
    all_of_it = shapely.box(0, 0, *size)
    outline, _ = placed(all_of_it, 32654, wide, size)
    every_bend, _ = footprint(wkt(32654), wide, *size)
    assert 12 < len(shapely.get_coordinates(outline)) < 65
    difference = outline.symmetric_difference(shapely.geometry.shape(every_bend))
    assert difference.area < 1e-4 * outline.area


def test_an_area_on_one_side_of_the_meridian_is_one_polygon() -> None:
    outline, bbox = placed(shapely.box(120, 20, 180, 80))
    assert bbox == [-178, 2, -172, 8]
    assert outline.equals(shapely.box(-178, 2, -172, 8))


def test_a_hole_over_the_180th_meridian() -> None:
    ring = shapely.box(20, 20, 180, 180) - shapely.box(60, 60, 140, 140)
    outline, bbox = placed(ring)
    assert bbox == [172, -8, -172, 8]
    eastern, western = shapely.get_parts(outline)
    assert eastern.bounds == (172, -8, 180, 8)
    assert western.bounds == (-180, -8, -172, 8)
    assert outline.area == pytest.approx(ring.area / 100)
    for lon in (179.9, -179.9):
        assert not outline.contains(shapely.Point(lon, 0))
        assert outline.contains(shapely.Point(lon, 7))


def test_a_hole_on_one_side_of_the_meridian() -> None:
    outline, _ = placed(shapely.box(20, 20, 180, 180) - shapely.box(120, 60, 160, 140))
    eastern, western = shapely.get_parts(outline)
    assert (len(eastern.interiors), len(western.interiors)) == (0, 1)


def test_two_areas_on_either_side_of_the_meridian_have_the_box_between_them() -> None:
    outline, bbox = placed(shapely.box(10, 20, 50, 80) | shapely.box(150, 20, 190, 80))
    assert bbox == [171, 2, -171, 8]
    assert [part.bounds for part in shapely.get_parts(outline)] == [
        (171, 2, 175, 8),
        (-175, 2, -171, 8),
    ]


def test_a_scene_of_the_whole_earth_of_which_some_holds_data() -> None:
    world: Affine = (1, 0, 0, 0, -1, 90)
    pacific = shapely.box(170, 80, 190, 100)
    outline, bbox = placed(pacific, transform=world, size=(360, 180))
    assert bbox == [170, -10, -170, 10]
    outline, bbox = placed(shapely.box(0, 30, 360, 60), transform=world, size=(360, 180))
    assert bbox == [-180, 30, 180, 60]
    assert outline.area == 360 * 30


@pytest.mark.parametrize(("code", "sign"), [(3995, 1), (3031, -1)])
def test_an_area_around_a_pole_with_a_hole_over_it(code: int, sign: int) -> None:
    """As polar orbits leave it: data all around, and none where no satellite looks."""
    size = (600, 600)
    disk = shapely.Point(300, 300).buffer(250)
    outline, bbox = placed(disk, code, POLAR, size)
    assert (bbox[0], bbox[2], bbox[2 + sign]) == (-180, 180, 90 * sign)
    ring, bbox = placed(disk - shapely.Point(300, 300).buffer(60), code, POLAR, size)
    assert (bbox[0], bbox[2]) == (-180, 180)
    assert abs(bbox[2 + sign]) < 86
    assert ring.area < outline.area
    for lon in np.linspace(-179, 179, 9):
        assert outline.contains(shapely.Point(lon, 89 * sign))
        assert not ring.contains(shapely.Point(lon, 89 * sign))
        assert ring.contains(shapely.Point(lon, 80 * sign))


@pytest.mark.parametrize("code", [3995, 3031])
def test_an_area_beside_a_pole_does_not_hold_it(code: int) -> None:
    outline, bbox = placed(shapely.box(320, 320, 400, 400), code, POLAR, (600, 600))
    assert bbox[2] - bbox[0] < 90
    assert max(abs(bbox[1]), abs(bbox[3])) < 89
    assert outline.geom_type == "Polygon"


def test_what_holds_data_has_a_place_where_the_corners_of_the_grid_have_none() -> None:
    disk = CRS.from_proj4("+proj=geos +h=35785863 +lon_0=140.7").to_wkt()
    grid: Affine = (11000, 0, -5.5e6, 0, -11000, 5.5e6)
    assert footprint(disk, grid, 1000, 1000) == (None, None)
    middle = shapely.MultiPolygon([shapely.Point(500, 500).buffer(300)])
    geometry, bbox = footprint(disk, grid, 1000, 1000, middle)
    assert geometry is not None
    assert bbox is not None
    assert bbox[0] < 140.7 < bbox[2]
