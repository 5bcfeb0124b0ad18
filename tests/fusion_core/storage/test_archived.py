import asyncio
from pathlib import Path

import adlfs
import numpy as np
import pytest
from azure.storage.blob import BlobProperties
from generated_scenes import write_raster
from s3_servers import S3Server
from scripted_s3 import Reply, Request, page, refusal, scripted_s3
from tiny import listed_pair

from fusion_core.errors import ArchivedError, StorageError
from fusion_core.jobs.loading import load_pair
from fusion_core.scenes.raster import gdal_settings, open_raster
from fusion_core.settings.scaling import ScalingSettings
from fusion_core.storage.archived import archived_class, show_tiers
from fusion_core.storage.store import Storage

BODY = b"II*\0" + bytes(5000)


def entry(key: str, held: str, more: str = "") -> str:
    return f"<Key>{key}</Key><Size>9</Size><StorageClass>{held}</StorageClass>{more}"


def restored(copy: bool) -> str:
    told = "<RestoreExpiryDate>2100-01-01T00:00:00Z</RestoreExpiryDate>" if copy else ""
    progress = "false" if copy else "true"
    return (
        f"<RestoreStatus><IsRestoreInProgress>{progress}</IsRestoreInProgress>{told}"
        "</RestoreStatus>"
    )


def test_a_listing_tells_what_must_be_restored_first() -> None:
    pages = {
        "": page(entry("a", "GLACIER"), entry("b", "STANDARD"), more="2"),
        "2": page(
            entry("c", "DEEP_ARCHIVE"),
            entry("d", "GLACIER_IR"),
            entry("e", "GLACIER", restored(copy=True)),
            entry("f", "GLACIER", restored(copy=False)),
            "<Key>g</Key><Size>9</Size>",
        ),
    }

    def answer(request: Request) -> Reply:
        return pages[request.query.get("continuation-token", "")]

    with scripted_s3(answer) as (options, asked):
        listing = Storage("s3://bucket", options).list()
    assert dict(
        zip(*(listing[name].to_pylist() for name in ("path", "archived")), strict=True)
    ) == {
        "a": "GLACIER",
        "b": None,
        "c": "DEEP_ARCHIVE",
        "d": None,
        "e": None,
        "f": "GLACIER",
        "g": None,
    }
    asked_for = [request.headers.get("x-amz-optional-object-attributes") for request in asked]
    assert asked_for == ["RestoreStatus"] * 2


@pytest.mark.parametrize(
    "refused", [refusal(400, "InvalidArgument"), refusal(403, "AccessDenied"), Reply(501)]
)
def test_a_server_that_knows_no_restored_copies_is_listed_all_the_same(refused: Reply) -> None:
    def answer(request: Request) -> Reply:
        if "x-amz-optional-object-attributes" in request.headers:
            return refused
        return page(entry("a", "GLACIER"), entry("b", "STANDARD"))

    with scripted_s3(answer) as (options, asked):
        listing = Storage("s3://bucket", options).list()
    assert listing["archived"].to_pylist() == ["GLACIER", None]
    assert len(asked) == 2


def test_a_server_that_refuses_the_list_itself_is_named() -> None:
    with (
        scripted_s3(lambda _: refusal(403, "AccessDenied")) as (options, asked),
        pytest.raises(StorageError, match=r"list s3://bucket: access denied \(AccessDenied\)"),
    ):
        Storage("s3://bucket", options).list()
    assert len(asked) == 2


def test_a_blob_in_the_archive_tier_is_told_by_adlfs() -> None:
    fs = adlfs.AzureBlobFileSystem("account", anon=True, skip_instance_cache=True)
    show_tiers(fs)
    show_tiers(fs)
    found = {}
    for tier in ("Hot", "Archive", None):
        blob = BlobProperties(**{"x-ms-access-tier": tier, "Content-Length": 9})
        blob.name, blob.container = "a.png", "archive"
        (info,) = asyncio.run(fs._details([blob]))
        found[tier] = archived_class(info)
    assert found == {"Hot": None, "Archive": "Archive", None: None}


def test_nothing_of_this_machine_is_archived(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    assert Storage(str(tmp_path)).list()["archived"].to_pylist() == [None]


def refuse_bodies(request: Request) -> Reply:
    """Answer as S3 does for an object in Glacier: all about it is known but its bytes."""
    if request.method == "HEAD":
        return Reply(200, BODY, (("ETag", '"e"'), ("x-amz-storage-class", "GLACIER")))
    if "list-type" in request.query:
        return page(f"<Key>a.tif</Key><Size>{len(BODY)}</Size>")
    return refusal(403, "InvalidObjectState", "<StorageClass>GLACIER</StorageClass>")


def test_reading_what_is_archived_is_an_error_of_its_own() -> None:
    with scripted_s3(refuse_bodies) as (options, _):
        storage = Storage("s3://bucket", options)
        (row,) = storage.list().to_pylist()
        pair = listed_pair("a", row, {**row, "path": "b.tif"})
        with pytest.raises(ArchivedError, match=r"a\.tif: it lies in .*GLACIER.*Restore it"):
            load_pair(pair, storage, settings=ScalingSettings(), max_megapixels=9)
        with (
            pytest.raises(ArchivedError, match=r"a\.tif: it lies in .*GLACIER.*Restore it"),
            gdal_settings(64),
            open_raster(storage, row["path"], row["bytes"], row["version"]),
        ):
            pass


def test_a_file_that_is_archived_while_it_is_read_is_not_damaged(tmp_path: Path) -> None:
    """GDAL takes a read that fails for the end of a damaged file."""
    pixels = np.zeros((3000, 3000), np.uint8)  # two of the blocks that are asked for
    write_raster(tmp_path / "a.tif", pixels, compress=None, tiled=False)
    body = (tmp_path / "a.tif").read_bytes()

    def answer(request: Request) -> Reply:
        first, _, last = request.headers.get("range", "").removeprefix("bytes=").partition("-")
        if request.method == "GET" and first == "0":
            return Reply(206, body[: int(last) + 1], (("ETag", '"e"'),))
        if request.method == "HEAD":
            return Reply(200, body, (("ETag", '"e"'),))
        return refuse_bodies(request)

    with scripted_s3(answer) as (options, _):
        storage = Storage("s3://bucket", options)
        with (
            pytest.raises(ArchivedError),
            gdal_settings(64),
            open_raster(storage, "a.tif", len(body), "e") as raster,
            raster.reading(),
        ):
            raster.dataset.read()


@pytest.mark.s3
def test_an_object_in_glacier_is_listed_and_refused(s3: S3Server, s3_bucket: str) -> None:
    if s3.name != "moto":
        pytest.skip("radosgw has the storage classes that its zone was given, none of them Glacier")
    storage = Storage(f"s3://{s3_bucket}")
    for key, held in (("a", "GLACIER"), ("b", "STANDARD"), ("c", "DEEP_ARCHIVE")):
        storage.fs.call_s3("put_object", Bucket=s3_bucket, Key=key, Body=b"body", StorageClass=held)
    assert storage.list()["archived"].to_pylist() == ["GLACIER", None, "DEEP_ARCHIVE"]
    with pytest.raises(StorageError, match=r"InvalidObjectState|GLACIER"):
        storage.read("a")
    assert storage.read("b") == b"body"
