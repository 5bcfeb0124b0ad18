import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gcsfs
import pytest
from scripted_s3 import Reply, Request, page, scripted_s3
from tiny import settings_for

from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.source import input_options, open_source, source_options
from fusion_core.storage.store import Storage

PAYER = "x-amz-request-payer"


def settings(source: str = "s3://bucket", **values: Any) -> FuseArchiveSettings:
    return settings_for(source, "s3://results", "mean", **values)


def answer(request: Request) -> Reply:
    if "list-type" in request.query:
        return page("<Key>a.tif</Key><Size>9</Size>")
    body = bytes(9) if request.method in ("GET", "HEAD") else b""
    return Reply(200, body, (("ETag", '"e"'),))


def use(storage: Storage, folder: Path) -> None:
    """Do all that is done to a store."""
    local = folder / "local"
    local.write_bytes(b"bytes")
    actions: list[Callable[[], Any]] = [
        storage.list,
        lambda: list(storage.list_batches()),
        lambda: storage.head("a.tif", ChecksumMode="ENABLED"),
        lambda: storage.info("a.tif"),
        lambda: storage.read("a.tif", 9),
        lambda: storage.exists("a.tif"),
        lambda: storage.sha256("a.tif"),
        lambda: storage.download("a.tif", folder / "fetched"),
        lambda: storage.fs.open(storage.fs_path("a.tif"), "rb").read(),
        lambda: storage.write("b", b"b"),
        lambda: storage.create("b", b"b"),
        lambda: storage.write_file("b", local),
        lambda: storage.create_file("b", local),
        lambda: storage.remove("b"),
    ]
    for action in actions:
        action()


@pytest.mark.parametrize("pays", [True, False])
def test_every_request_says_who_pays(pays: bool, tmp_path: Path) -> None:
    with scripted_s3(answer) as (options, asked):
        use(open_source(settings(requester_pays=pays), options), tmp_path)
    assert len(asked) >= 14
    assert {request.headers.get(PAYER) for request in asked} == {"requester" if pays else None}


def test_the_payer_is_told_with_options_that_change_and_in_other_processes() -> None:
    keys = iter("abcdef")
    storage = open_source(settings(requester_pays=True), lambda: {"key": next(keys)})
    assert storage.fs.req_kw == {"RequestPayer": "requester"}
    assert (storage.fs.key, storage.options) == ("c", {"requester_pays": True, "key": "d"})
    assert pickle.loads(pickle.dumps(storage)).options["requester_pays"] is True


def test_google_cloud_has_the_option_too_and_who_is_charged_may_be_named() -> None:
    asked = settings("gs://bucket", requester_pays=True)
    options: Any = source_options(asked, {"token": "anon"})
    fs = gcsfs.GCSFileSystem(**options, project="p", skip_instance_cache=True)
    assert fs._get_params({})["userProject"] == "p"
    named: Any = source_options(asked, {"token": "anon", "requester_pays": "other"})
    fs = gcsfs.GCSFileSystem(**named, project="p", skip_instance_cache=True)
    assert fs._get_params({})["userProject"] == "other"


@pytest.mark.parametrize("source", ["/archive", "az://archive", "file:///archive"])
def test_a_store_whose_owner_always_pays_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"requester_pays.*S3 or Google Cloud"):
        settings(source, requester_pays=True)
    assert not settings(source).requester_pays


@pytest.mark.parametrize(
    ("url", "pays"),
    [("s3://bucket/index.csv", True), ("s3://bucket-2/index.csv", False), ("/index.csv", False)],
)
def test_an_index_inside_the_archive_is_paid_for_like_it(url: str, pays: bool) -> None:
    found: Any = input_options(settings(requester_pays=True), url, {})
    assert found == ({"requester_pays": True} if pays else {})
