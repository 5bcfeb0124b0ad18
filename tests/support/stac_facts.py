"""A fused scene as the tests of STAC items tell of it."""

import datetime as dt
import math

from rasterio.crs import CRS
from stac_schemas import FILE, PROCESSING, PROJECTION, RASTER

from fusion_core.scenes.acquisition import Acquisition
from fusion_core.scenes.stac_item import COG, PNG, Bands, Grid, SceneFacts, SourceImage, WrittenFile

CORE = "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json"
EXTENSIONS = {PROJECTION, FILE, PROCESSING, RASTER}
CREATED = dt.datetime(2026, 11, 20, 3, 0, tzinfo=dt.UTC)
VISIBLE = Acquisition(dt.datetime(2015, 5, 2, 1, 35, tzinfo=dt.UTC), "tags")
INFRARED = Acquisition(dt.datetime(2015, 5, 2, tzinfo=dt.UTC), "path")
UTM = CRS.from_epsg(32654).to_wkt()
SINUSOIDAL = CRS.from_proj4("+proj=sinu +R=6371007.181 +units=m").to_wkt()
LOCAL = 'LOCAL_CS["site grid",UNIT["metre",1]]'
GRID = Grid(UTM, (30.0, 0.0, 300000.0, 0.0, -30.0, 4000000.0), 7000, 6000)

FACTS = SceneFacts(
    item_id="107035.0123456789abcdef",
    pair_id="landsat/107035",
    item_path="fused/5e77/landsat/107035.0123456789abcdef.json",
    grid=GRID,
    ir=SourceImage("s3://archive/ir/107035_B10.tif", INFRARED),
    vi=SourceImage("s3://archive/vi/107035_B4.tif", VISIBLE),
    fused=WrittenFile(
        "fused/5e77/landsat/107035.0123456789abcdef.tif",
        sha256="ab" * 32,
        size=12345,
        media_type=COG,
    ),
    quicklook=WrittenFile(
        "fused/5e77/landsat/107035.0123456789abcdef.png",
        sha256="cd" * 32,
        size=678,
        media_type=PNG,
        shape=(439, 512),
    ),
    bands=Bands(("fused luminance",), "uint16", 0.0),
    model="refinefuse",
    model_hash="ef" * 32,
    settings_hash="5e77",
    run_id="20261120T030000-abc",
    software_version="0.1.0",
    overlap=0.75,
    metrics={"vif": 0.8, "ag": None, "sf": math.nan},
    metric_version="published-1",
    scaling="percentiles",
    scaling_low=6000.0,
    scaling_high=14000.0,
    created=CREATED,
)
