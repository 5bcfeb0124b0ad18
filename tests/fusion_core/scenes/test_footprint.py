import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from fusion_core.scenes.footprint import Affine, footprint, read_crs

NORTH_UP = (30.0, 0.0, 300000.0, 0.0, -30.0, 4000000.0)
LOCAL = 'LOCAL_CS["site grid",UNIT["metre",1]]'


def wkt(code: int) -> str:
    text: str = CRS.from_epsg(code).to_wkt()
    return text


def area(ring: list[list[float]]) -> float:
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring)) / 2


def rings(geometry: dict[str, object] | None) -> list[list[list[float]]]:
    assert geometry is not None
    coordinates = geometry["coordinates"]
    assert isinstance(coordinates, list)
    if geometry["type"] == "Polygon":
        return coordinates
    assert geometry["type"] == "MultiPolygon"
    return [part for parts in coordinates for part in parts]


def check_rings(geometry: dict[str, object] | None) -> None:
    for ring in rings(geometry):
        assert ring[0] == ring[-1]
        assert len(ring) >= 4
        assert area(ring) >= 0, "exterior rings are counterclockwise"
        assert all(-180 <= lon <= 180 and -90 <= lat <= 90 for lon, lat in ring)


def test_utm_scene() -> None:
    geometry, bbox = footprint(wkt(32654), NORTH_UP, 7000, 7000)
    check_rings(geometry)
    (ring,) = rings(geometry)
    for x, y in ((300000, 4000000), (510000, 4000000), (300000, 3790000), (510000, 3790000)):
        lon, lat = transform_points("EPSG:32654", "EPSG:4326", [x], [y])
        assert min(math.dist(point, (lon[0], lat[0])) for point in ring) < 1e-7
    assert bbox is not None
    assert bbox == [
        *(min(point[axis] for point in ring) for axis in (0, 1)),
        *(max(point[axis] for point in ring) for axis in (0, 1)),
    ]
    assert len(ring) == 4 * 16 + 1


def test_utm_by_hand() -> None:
    # Zone 54 has its meridian at 141 east; the arc from the equator to 45 north is 4984944.378 m.
    north = 0.9996 * 4984944.378
    _, bbox = footprint(wkt(32654), (10, 0, 500000, 0, -10, north), 100, 100)
    assert bbox is not None
    assert bbox[0] == 141
    assert bbox[3] == pytest.approx(45, abs=1e-7)


def test_edges_are_curved() -> None:
    geometry, _ = footprint(wkt(32654), NORTH_UP, 7000, 7000)
    (ring,) = rings(geometry)
    lon, lat = transform_points("EPSG:32654", "EPSG:4326", [405000], [4000000])
    assert min(math.dist(point, (lon[0], lat[0])) for point in ring) < 1e-7
    left, right = ring[0], max(ring, key=sum)
    share = (lon[0] - left[0]) / (right[0] - left[0])
    assert abs(left[1] + share * (right[1] - left[1]) - lat[0]) > 1e-3


def test_rotated_and_mirrored_grids_turn_the_same_way() -> None:
    for transform in (
        (20.0, 15.0, 300000.0, 15.0, -20.0, 4000000.0),
        (30.0, 0.0, 300000.0, 0.0, 30.0, 3790000.0),
        (-30.0, 0.0, 510000.0, 0.0, 30.0, 3790000.0),
    ):
        geometry, _ = footprint(wkt(32654), transform, 700, 700)
        check_rings(geometry)
        assert area(rings(geometry)[0]) > 0


@pytest.mark.parametrize("west", [-550.0, -190.0, 170.0, 530.0])
def test_over_the_180th_meridian(west: float) -> None:
    geometry, bbox = footprint(wkt(4326), (1, 0, west, 0, -1, 10), 20, 20)
    check_rings(geometry)
    assert bbox == [170, -10, -170, 10]
    eastern, western = rings(geometry)
    assert {lon for lon, _ in eastern if abs(lon) > 179} == {180}
    assert min(lon for lon, _ in eastern) == 170
    assert (min(lon for lon, _ in western), max(lon for lon, _ in western)) == (-180, -170)
    assert area(eastern) == area(western) == 200


def test_utm_over_the_180th_meridian() -> None:
    geometry, bbox = footprint(wkt(32601), (30, 0, 200000, 0, -30, 7000000), 5000, 5000)
    check_rings(geometry)
    assert len(rings(geometry)) == 2
    assert bbox is not None
    lon, _ = transform_points("EPSG:32601", "EPSG:4326", [200000, 350000], [7000000, 6850000])
    assert bbox[0] == pytest.approx(lon[0], abs=1e-7)
    assert bbox[2] == pytest.approx(lon[1], abs=1e-7)
    assert bbox[0] > 0 > bbox[2]


@pytest.mark.parametrize(("west", "east"), [(160, 180), (-180, -160), (180, 200)])
def test_up_to_the_180th_meridian(west: int, east: int) -> None:
    geometry, bbox = footprint(wkt(4326), (1, 0, west, 0, -1, 10), 20, 20)
    assert len(rings(geometry)) == 1
    assert bbox == ([160, -10, 180, 10] if west == 160 else [-180, -10, -160, 10])


@pytest.mark.parametrize("west", [-180, 0, 20])
def test_whole_world(west: int) -> None:
    geometry, bbox = footprint(wkt(4326), (0.5, 0, west, 0, -0.5, 90.25), 720, 361)
    check_rings(geometry)
    assert bbox == [-180, -90, 180, 90]
    assert area(rings(geometry)[0]) == 360 * 180


@pytest.mark.parametrize(("code", "sign"), [(3031, -1), (3995, 1)])
def test_pole_inside(code: int, sign: int) -> None:
    geometry, bbox = footprint(wkt(code), (1000, 0, -3e6, 0, -1000, 3e6), 6000, 6000)
    check_rings(geometry)
    assert bbox is not None
    assert (bbox[0], bbox[2]) == (-180, 180)
    (ring,) = rings(geometry)
    assert {90.0 * sign} <= {lat for _, lat in ring}
    # On a square about the pole the corners are farthest from it, the middles of edges nearest.
    corner, middle = (
        abs(transform_points(CRS.from_epsg(code), "EPSG:4326", [3e6], [y])[1][0]) for y in (3e6, 0)
    )
    assert min(abs(lat) for _, lat in ring) == pytest.approx(corner, abs=1e-6)
    assert 360 * (90 - middle) < area(ring) < 360 * (90 - corner)


@pytest.mark.parametrize("text", [None, "", "nonsense", LOCAL, 'PROJCS["x"'])
def test_no_place_on_earth(text: str | None, capfd: pytest.CaptureFixture[str]) -> None:
    assert footprint(text, NORTH_UP, 10, 10) == (None, None)
    assert capfd.readouterr() == ("", "")


def test_the_moon_is_not_the_earth() -> None:
    moon = CRS.from_string("IAU_2015:30100").to_wkt()
    assert footprint(moon, (1, 0, 0, 0, -1, 0), 10, 10) == (None, None)


def test_beyond_the_projection() -> None:
    disk = CRS.from_proj4("+proj=geos +h=35785863 +lon_0=140.7").to_wkt()
    assert footprint(disk, (11000, 0, -5.5e6, 0, -11000, 5.5e6), 1000, 1000) == (None, None)
    inside, _ = footprint(disk, (1000, 0, -5e5, 0, -1000, 5e5), 1000, 1000)
    check_rings(inside)


def test_degrees_without_a_transform_are_no_place() -> None:
    assert footprint(wkt(4326), (1, 0, 0, 0, 1, 0), 100, 100) == (None, None)


def test_a_centimetre_is_a_ring_still() -> None:
    geometry, bbox = footprint(wkt(4326), (1e-9, 0, 139.0, 0, -1e-9, 35.0), 1, 1)
    check_rings(geometry)
    assert bbox == [139, 35, 139, 35]


def test_read_crs() -> None:
    assert read_crs(wkt(32654)) == CRS.from_epsg(32654)
    assert read_crs(None) is None
    assert read_crs("nonsense") is None


@given(
    st.floats(-400, 400),
    st.floats(-80, 80),
    st.floats(0.01, 1),
    st.integers(1, 300),
    st.integers(1, 100),
)
def test_area_is_kept(west: float, north: float, step: float, width: int, height: int) -> None:
    transform: Affine = (step, 0, west, 0, -step, north)
    south = max(north - step * height, -90)
    geometry, bbox = footprint(wkt(4326), transform, width, height)
    if geometry is None:
        assert north - step * height < -93
        return
    check_rings(geometry)
    total = sum(area(ring) for ring in rings(geometry))
    assert total == pytest.approx(step * width * (north - south), rel=1e-3, abs=1e-4)
    assert bbox is not None
    assert (bbox[0] > bbox[2]) == (len(rings(geometry)) == 2)
    assert (bbox[2] - bbox[0]) % 360 == pytest.approx(step * width % 360, abs=1e-6)
