"""Georeferenced scenes through the whole flow, from and to an S3 server."""

import hashlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import fsspec
import numpy as np
import pandas as pd
import pystac
import pytest
import rasterio
from generated_scenes import write_scene_pair
from prefect.blocks.system import Secret
from rio_cogeo import cog_validate
from s3_servers import S3Server
from stac_schemas import go_offline
from strict_html import complaints
from tiny import settings_for, tiny_weights

from flows.fuse_archive import fuse_archive
from flows.summaries.dry_run import DryRun
from flows.summaries.run import RunSummary
from fusion_core.metrics import METRIC_NAMES
from fusion_core.settings.fuse import FuseArchiveSettings

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("prefect_api", "ray_nodes"),
]
TEMPLATES = {"ir": "ir/{pair}.tif", "vi": "vi/{pair}.tif"}


def run(settings: FuseArchiveSettings) -> RunSummary:
    summary = fuse_archive(settings)
    assert not isinstance(summary, DryRun)
    return summary


def fetched(url: str, folder: Path) -> Path:
    """Copy what a row names to a local file."""
    target = folder / url.rpartition("/")[2]
    fsspec.filesystem("s3").get_file(url, str(target))
    return target


def check_scene(row: dict[str, Any], visible: Path, nodata: float | None, folder: Path) -> None:
    """Compare a fused scene with its visible source, by rasterio alone."""
    fused = fetched(row["fused_url"], folder)
    assert hashlib.sha256(fused.read_bytes()).hexdigest() == row["fused_sha256"]
    assert cog_validate(fused, strict=True) == (True, [], [])
    with rasterio.open(visible) as before, rasterio.open(fused) as after:
        for name in ("crs", "transform", "shape", "count", "dtypes", "scales", "offsets"):
            assert getattr(after, name) == getattr(before, name), name
        assert after.tags()["AREA_OR_POINT"] == before.tags()["AREA_OR_POINT"]
        old, new = before.read(), after.read()
        absent = (old == nodata).all(axis=0)
        np.testing.assert_array_equal(after.dataset_mask() == 0, absent)
        assert after.overviews(1)
    np.testing.assert_array_equal(new[:, absent], old[:, absent])
    assert (new != old)[:, ~absent].mean() > 0.5, "the scene was not fused"
    assert all(np.isfinite(row[name]) for name in METRIC_NAMES)
    with fsspec.open(row["quicklook_url"]) as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"


def landsat(folder: Path, shared: Path) -> Path:
    """Copy the two bands to where the templates look; return the visible one."""
    for side, band in (("ir", "B4"), ("vi", "B2")):
        (folder / side).mkdir(parents=True, exist_ok=True)
        body = (shared / f"landsat/LC81070352015122LGN00_{band}.tif").read_bytes()
        (folder / side / "LC81070352015122LGN00.tif").write_bytes(body)
    return folder / "vi" / "LC81070352015122LGN00.tif"


@pytest.mark.s3
def test_scenes_from_and_to_s3(
    s3: S3Server,
    s3_bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = tmp_path / "in"
    write_scene_pair(archive, "five", size=(700, 820))
    visible = {"five": archive / "vi/five.tif"}
    shared = Path(__file__).resolve().parents[3] / "shared" / "data"
    if shared.is_dir():
        visible["LC81070352015122LGN00"] = landsat(archive, shared)
    fsspec.filesystem("s3").put(f"{archive}/", f"s3://{s3_bucket}/in/", recursive=True)
    # The cluster's processes began before this server, so they get its credentials from the flow.
    options: Any = s3.storage_options()
    Secret(value=options).save("scenes", overwrite=True)
    settings = settings_for(
        f"s3://{s3_bucket}/in",
        f"s3://{s3_bucket}/out",
        tiny_weights(tmp_path),
        **TEMPLATES,
        nodata=0,
        tile_size=256,
        stac="catalog",
        contact_sheet=2,
        report=True,
        credentials_block="scenes",
    )
    summary = run(settings)
    assert (summary.fused, summary.failed) == (len(visible), 0)
    rows = pd.read_parquet(f"s3://{s3_bucket}/out/manifest").set_index("pair_id")
    for name, path in visible.items():
        check_scene(rows.loc[name].to_dict(), path, 0, tmp_path)
    assert summary.contact_sheet is not None
    assert run(settings).fused == 0, "nothing was left to do"
    # All of STAC by its own reader and validator, on a copy of the output.
    copy = tmp_path / "copy"
    fsspec.filesystem("s3").get(f"s3://{s3_bucket}/out/", f"{copy}/", recursive=True)
    go_offline(monkeypatch)
    catalog = pystac.Catalog.from_file(str(copy / "catalog.json"))
    found = catalog.get_items(recursive=True)
    items = {item.properties["fuse-archive:pair_id"]: item for item in found}
    assert set(items) == set(visible)
    assert catalog.validate_all() == len(visible)
    page = (copy / f"runs/{summary.run_id}/report.html").read_text()
    assert complaints(page) == []
    links = {unquote(link) for link in re.findall(r'href="\.\./\.\./(fused/[^"]+)"', page)}
    assert len(links) == 2 * len(visible)  # image and item
    assert all((copy / link).is_file() for link in links)
    for name, item in items.items():
        sources = {link.href for link in item.get_links("derived_from")}
        assert sources == {f"s3://{s3_bucket}/in/{side}/{name}.tif" for side in ("ir", "vi")}
        asset = next(a for a in item.assets.values() if "data" in (a.roles or []))
        body = Path(str(asset.get_absolute_href())).read_bytes()
        assert asset.extra_fields["file:checksum"] == "1220" + hashlib.sha256(body).hexdigest()
    if "LC81070352015122LGN00" in items:
        assert items["LC81070352015122LGN00"].datetime.isoformat()[:10] == "2015-05-02"  # type: ignore[union-attr]


def test_photographs_and_scenes_share_a_run_and_failures_are_rows(tmp_path: Path) -> None:
    archive = tmp_path / "in"
    for k in range(2):
        write_scene_pair(archive, f"scene{k}", seed=k)
    write_scene_pair(archive, "plain", nodata=None, bands=1, crs=None, transform=None)
    write_scene_pair(archive, "cut")
    whole = (archive / "vi/cut.tif").read_bytes()
    (archive / "vi/cut.tif").write_bytes(whole[: len(whole) // 2])
    weights = tiny_weights(tmp_path)
    settings = settings_for(
        archive, tmp_path / "out", weights, **TEMPLATES, max_failed=0.5, stac="collection"
    )
    summary = run(settings)
    assert (summary.fused, summary.failed) == (3, 1)
    assert summary.failures[0]["pair_id"] == "cut"
    assert "vi/cut.tif" in summary.failures[0]["error_message"]
    rows = pd.read_parquet(tmp_path / "out/manifest").set_index("pair_id")
    formats = rows.fused_format.dropna().to_dict()
    assert formats == {"scene0": "cog", "scene1": "cog", "plain": "png"}
    collection = pystac.Collection.from_file(tmp_path / "out/collection.json")
    assert len(list(collection.get_items(recursive=True))) == 2
    assert summary.catalog == str(tmp_path / "out/collection.json")
