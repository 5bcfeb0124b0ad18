import hashlib
import io
import json
import math
import uuid
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pystac
import pytest
import rasterio
import shapely
from generated_scenes import PLACE, collar, scene_bands
from numpy.typing import NDArray
from PIL import Image
from rasterio.transform import Affine
from scene_fixture import SIZE, SceneFixture, path_of, pixels_of
from stac_schemas import go_offline
from tiny import listed_pair

from fusion_core.metrics import METRIC_NAMES, StreamedScores, score
from fusion_core.models.baselines import BaselineFuser

GREY = scene_bands(3, SIZE, bands=1, nodata=None)[1]


@pytest.fixture
def archive(tmp_path: Path) -> SceneFixture:
    return SceneFixture(tmp_path)


def greys(values: NDArray[Any], row: dict[str, Any], side: str) -> NDArray[np.uint8]:
    low, high = row[f"{side}_low"], row[f"{side}_high"]
    unit = np.clip((values.astype(np.float64) - low) / (high - low), 0, 1)
    return np.floor(255 * unit + 0.5).astype(np.uint8)


def luminance(bands: NDArray[Any]) -> NDArray[np.float64]:
    weights = [0.299, 0.587, 0.114] if len(bands) == 3 else [1 / len(bands)] * len(bands)
    return np.asarray(np.einsum("n,nhw->hw", weights, bands.astype(np.float64)))


@pytest.mark.parametrize("bands", [1, 3, 5])
def test_the_scores_are_those_of_the_stored_files(archive: SceneFixture, bands: int) -> None:
    ir, vi = scene_bands(3, SIZE, bands, None)
    archive.put("a", ir=ir, vi=vi)
    row = archive.fuse_one("a")
    fused = luminance(pixels_of(row["fused_url"]))
    sides = greys(ir, row, "ir"), greys(luminance(vi), row, "vi"), greys(fused, row, "vi")
    expected = score(*sides)
    assert {name: row[name] for name in METRIC_NAMES} == pytest.approx(expected, rel=1e-4)


def test_the_metrics_ignore_what_holds_no_data(archive: SceneFixture) -> None:
    ir, vi = scene_bands(3, (150, 170), 1, 0)
    archive.put("a", ir=ir, vi=vi, nodata=0, ir_profile={"nodata": 0})
    row = archive.fuse_one("a")
    fused = pixels_of(row["fused_url"])[0]
    stream = StreamedScores(150, 170)
    for part in stream.windows():
        top, left, bottom, right = part.read
        where = slice(top, bottom), slice(left, right)
        sides = (greys(ir[where], row, "ir"), greys(vi[0][where], row, "vi"))
        stream.add(part, *sides, greys(fused[where], row, "vi"), valid=collar((150, 170))[where])
    found = {name: row[name] for name in METRIC_NAMES}
    # The fill under nodata is smooth and may round to another grey level where windows touch it.
    assert found == pytest.approx(stream.scores(), rel=1e-3)
    bare = score(greys(ir, row, "ir"), greys(vi[0], row, "vi"), greys(fused, row, "vi"))
    assert any(abs(found[name] - bare[name]) > 0.1 for name in METRIC_NAMES)


def test_the_scaling_is_of_valid_pixels_and_stands_in_the_row(archive: SceneFixture) -> None:
    ir, vi = scene_bands(3, SIZE, 1, 0)
    archive.put("a", ir=ir, vi=vi, nodata=0, ir_profile={"nodata": 0})
    row = archive.fuse_one("a")
    inside = collar(SIZE)
    for side, values in (("ir", ir[inside]), ("vi", vi[0][inside])):
        assert row[f"{side}_scaling"] == "percentiles"
        low, high = np.percentile(values, (0.5, 99.5))
        assert (row[f"{side}_low"], row[f"{side}_high"]) == pytest.approx((low, high))


def test_eight_bits_take_the_range_of_their_type(archive: SceneFixture) -> None:
    archive.put("a", vi=(GREY // 64).astype(np.uint8))
    row = archive.fuse_one("a")
    assert (row["vi_scaling"], row["vi_low"], row["vi_high"]) == ("type", 0, 255)
    assert row["ir_scaling"] == "percentiles"


def test_a_row_describes_its_files(archive: SceneFixture) -> None:
    archive.put("a", vi=scene_bands(3, SIZE, 5, None)[1])
    with rasterio.open(archive.path("vi", "a"), "r+") as dataset:
        dataset.update_tags(ACQUISITION_DATE="2024-05-06", ACQUISITION_TIME="07:08:09")
    row = archive.fuse_one("a")
    body = Path(row["fused_url"]).read_bytes()
    assert row["fused_sha256"] == hashlib.sha256(body).hexdigest()
    assert row["fused_bytes"] == len(body)
    assert (row["height"], row["width"], row["bands"]) == (*SIZE, 5)
    assert (row["fused_format"], row["data_type"], row["bit_depth"]) == ("cog", "uint16", 16)
    assert row["crs"] == "EPSG:32654"
    with rasterio.open(row["fused_url"]) as fused:
        bounds = rasterio.warp.transform_bounds(fused.crs, "EPSG:4326", *fused.bounds)
    box = [row[name] for name in ("west", "south", "east", "north")]
    assert box == pytest.approx(bounds, abs=1e-6)
    assert row["acquired"].isoformat() == "2024-05-06T07:08:09+00:00"
    assert row["remark"] is None
    stem = row["fused_url"].removesuffix(".tif")
    assert row["quicklook_url"] == f"{stem}.quicklook.png"
    assert row["item_url"] == f"{stem}.json"
    assert archive.fused() == sorted(
        path_of(archive, row, name) for name in ("fused_url", "quicklook_url", "item_url")
    )
    assert all(row[f"seconds_{stage}"] > 0 for stage in ("fuse", "encode", "score", "write"))


def test_the_item_is_valid_and_names_the_files(
    archive: SceneFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_offline(monkeypatch)
    archive.put("a", vi=scene_bands(3, SIZE, 3, 0)[1], nodata=0)
    row = archive.fuse_one("a")
    item = pystac.Item.from_dict(json.loads(Path(row["item_url"]).read_text()))
    assert len(item.validate()) >= 4
    sums = {"1220" + row["fused_sha256"]}
    picture = Path(row["quicklook_url"]).read_bytes()
    sums.add("1220" + hashlib.sha256(picture).hexdigest())
    folder = Path(row["item_url"]).parent
    local = {
        asset.href: asset
        for asset in item.assets.values()
        if (folder / asset.href).is_file() and "file:checksum" in asset.extra_fields
    }
    assert {asset.extra_fields["file:checksum"] for asset in local.values()} == sums
    grid = shapely.box(*(row[name] for name in ("west", "south", "east", "north")))
    outline = shapely.from_wkb(row["outline"])
    assert shapely.geometry.shape(item.geometry).equals(outline)
    assert item.bbox == pytest.approx(outline.bounds)
    assert grid.contains(outline)
    assert 0.75 < outline.area / grid.area < 0.85  # a tilted scene of 72x88 pixels in its collar


@pytest.mark.parametrize("stac", ["none", "items"])
def test_an_item_is_written_where_it_is_wanted(tmp_path: Path, stac: str) -> None:
    archive = SceneFixture(tmp_path, stac=stac)
    archive.put("a")
    row = archive.fuse_one("a")
    assert (row["item_url"] is None) == (stac == "none")
    assert sum(path.endswith(".json") for path in archive.fused()) == (stac == "items")


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_the_quicklook_shows_the_scene_and_is_clear_where_it_is_not(
    archive: SceneFixture, bands: int
) -> None:
    size = (1200, 160)
    ir, vi = scene_bands(3, size, bands, 0)
    archive.fuser = BaselineFuser("mean", "cpu", "fp32")
    archive.put("a", ir=ir, vi=vi, nodata=0, ir_profile={"nodata": 0})
    row = archive.fuse_one("a")
    with Image.open(row["quicklook_url"]) as picture:
        assert picture.size == (round(160 * 1024 / 1200), 1024)
        assert picture.mode == ("RGBA" if bands == 3 else "LA")
        shown = np.asarray(picture)
    seen = np.asarray(Image.fromarray(collar(size)).resize((137, 1024), Image.Resampling.NEAREST))
    assert (shown[..., -1] > 0).mean() == pytest.approx(seen.mean(), abs=0.01)
    assert ((shown[..., -1] > 0) == seen).mean() > 0.99
    colours = shown[..., :-1][shown[..., -1] > 0].astype(float)
    assert colours.std() > 20
    if bands == 1:  # against the fused file itself, made small by a mean of its own
        fused = greys(pixels_of(row["fused_url"])[0], row, "vi")
        small = np.asarray(Image.fromarray(fused).resize((137, 1024), Image.Resampling.BOX))
        inner = np.zeros_like(seen)
        inner[200:800, 40:100] = True
        assert np.corrcoef(shown[..., 0][inner], small[inner])[0, 1] > 0.95


def test_a_part_that_the_infrared_covers_is_fused_and_remarked(archive: SceneFixture) -> None:
    archive.fuser = BaselineFuser("mean", "cpu", "fp32")
    ir = scene_bands(5, (40, 50), 1, None)[0]
    place = PLACE @ Affine.translation(30, 20)
    archive.put("a", ir=ir, vi=GREY, ir_profile={"transform": place})
    row = archive.fuse_one("a")
    assert (row["height"], row["width"]) == (40, 50)
    assert row["overlap"] == pytest.approx(40 * 50 / (72 * 88))
    share = f"{40 * 50 / (72 * 88):.1%}"
    assert row["remark"] == (
        f"the infrared covers {share} of the visible scene's 88x72 pixels; fused are the 50x40 "
        "from column 30, row 20"
    )
    with rasterio.open(row["fused_url"]) as fused:
        assert fused.transform == place
        part = fused.read(1).astype(float)
    corner = GREY[0, 20:60, 30:80].astype(float)
    span = row["vi_high"] - row["vi_low"]
    units = [
        np.clip((values - row[f"{side}_low"]) / (row[f"{side}_high"] - row[f"{side}_low"]), 0, 1)
        for side, values in (("ir", ir), ("vi", corner))
    ]
    assert np.abs(part - corner - span * (units[0] - units[1]) / 2).max() <= 0.51


def test_pixels_without_infrared_keep_the_visible_values(archive: SceneFixture) -> None:
    ir = scene_bands(5, SIZE, 1, None)[0]
    ir[:, :33] = 0
    archive.put("a", ir=ir, vi=GREY, ir_profile={"nodata": 0})
    row = archive.fuse_one("a")
    fused = pixels_of(row["fused_url"])
    assert np.array_equal(fused[:, :, :33], GREY[:, :, :33])
    assert not np.array_equal(fused[:, :, 33:], GREY[:, :, 33:])
    assert row["overlap"] == pytest.approx(55 / 88)
    assert row["remark"] == f"{72 * 33} pixels without infrared keep the visible values"


def test_a_float_scene_with_nan_is_fused_around_it(archive: SceneFixture) -> None:
    vi = (GREY / 30).astype(np.float32)
    vi[0, 20:40, 20:50] = np.nan
    archive.put("a", vi=vi)
    row = archive.fuse_one("a")
    fused = pixels_of(row["fused_url"])
    assert np.array_equal(np.isnan(fused), np.isnan(vi))
    assert all(math.isfinite(row[name]) for name in METRIC_NAMES)


def test_ratios_between_five_bands_are_held(archive: SceneFixture) -> None:
    vi = (1000 + scene_bands(3, SIZE, 5, None)[1].astype(np.float64)).astype(np.float64)
    archive.put("a", vi=vi)
    fused = pixels_of(archive.fuse_one("a")["fused_url"])
    ratios = fused / vi
    assert np.ptp(ratios, axis=0).max() < 1e-9
    assert np.ptp(ratios) > 0.01
    before, after = ((b[3] - b[0]) / (b[3] + b[0]) for b in (vi, fused))
    assert after == pytest.approx(before, abs=1e-9)


def test_a_scene_goes_to_any_store(tmp_path: Path) -> None:
    archive = SceneFixture(tmp_path, output=f"memory://out-{uuid.uuid4().hex}")
    archive.put("a")
    row = archive.fuse_one("a")
    assert row["fused_url"].startswith("memory:///out-")
    bodies = {}
    for name in ("fused_url", "quicklook_url", "item_url"):
        with fsspec.open(row[name]) as file:
            bodies[name] = file.read()
    assert hashlib.sha256(bodies["fused_url"]).hexdigest() == row["fused_sha256"]
    with rasterio.MemoryFile(bodies["fused_url"]) as memory, memory.open() as fused:
        assert fused.shape == SIZE
    assert Image.open(io.BytesIO(bodies["quicklook_url"])).size == (88, 72)
    assert json.loads(bodies["item_url"])["type"] == "Feature"


def test_a_scene_is_fused_from_a_store_as_from_files(tmp_path: Path) -> None:
    archive = SceneFixture(tmp_path)
    archive.put("a")
    local = archive.fuse_one("a")
    url = f"memory://in-{uuid.uuid4().hex}"
    other = SceneFixture(tmp_path, source=url, output=str(tmp_path / "second"))
    for side in ("ir", "vi"):
        other.source.write(f"{side}/a.tif", archive.path(side, "a").read_bytes())
    listing = {row["path"]: row for row in other.source.list().to_pylist()}
    ref = listed_pair("a", listing["ir/a.tif"], listing["vi/a.tif"])
    (row,) = other.fuse(ref)
    assert row["status"] == "ok", row["error_message"]
    assert row["fused_sha256"] == local["fused_sha256"]
