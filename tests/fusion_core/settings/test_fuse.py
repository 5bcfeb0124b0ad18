import datetime as dt
import json
from typing import Any

import pytest
from pydantic import ValidationError

from fusion_core.settings.fuse import FuseArchiveSettings, ImageSettings


def settings(**changed: Any) -> FuseArchiveSettings:
    return FuseArchiveSettings.model_validate({"source": "in", "output": "out", **changed})


def test_every_setting_has_a_description_of_its_own() -> None:
    properties = FuseArchiveSettings.model_json_schema()["properties"]
    texts = [properties[name].get("description", "") for name in FuseArchiveSettings.model_fields]
    assert all(len(text) > 20 and text.endswith(".") for text in texts)
    assert len(set(texts)) == len(texts)


def test_settings_survive_json_as_the_form_sends_it() -> None:
    made = settings(date="2026-11-20", worker="gpu:0.5", limit=3, prefix="{date:%Y}/")
    assert FuseArchiveSettings.model_validate(json.loads(made.model_dump_json())) == made


def test_settings_are_frozen_and_unknown_names_refused() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        settings().limit = 5  # type: ignore[misc]
    with pytest.raises(ValidationError, match="limmit"):
        settings(limmit=5)


SECRETS = ["hunter2", "wJalr/XUtn+FEMI/K7MD", "p@ss", "1234", "a:b"]
URLS = [
    "s3://AKIA:{}@bucket/x",
    "S3://AKIA:{}@bucket",
    "https://me:{}@host:8080/x",
    "sftp://me:{}@[::1]:22/x",
    "simplecache::s3://AKIA:{}@bucket/x",
    "ftp://:{}@host/x",
]


@pytest.mark.parametrize("name", ["source", "output", "index", "model"])
@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_url_with_a_password_is_refused_without_repeating_it(
    name: str, url: str, secret: str
) -> None:
    with pytest.raises(ValidationError, match="user name and password") as refused:
        settings(**{name: url.format(secret)})
    assert secret not in str(refused.value)
    assert [error["loc"] for error in refused.value.errors()] == [(name,)]


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/2026/12:30:00/a@b",
        "s3://arn:aws:s3:us-east-1:123456789012:accesspoint/archive/x",
        "http://host:8080/a@b",
        "http://[::1]:8080/a@b",
        "abfs://container@account.dfs.core.windows.net/x",
        "sftp://me@host:22/x",
        "file:///data/a:b@c",
        "/data/a:b@c",
        "a b/ü",
    ],
)
def test_a_url_without_a_password_is_taken(url: str) -> None:
    assert settings(source=url).source == url


@pytest.mark.parametrize("name", ["source", "output"])
@pytest.mark.parametrize("url", ["", " "])
def test_an_empty_url_is_refused(name: str, url: str) -> None:
    with pytest.raises(ValidationError, match="empty URL"):
        settings(**{name: url})


@pytest.mark.parametrize("date", [dt.date(2026, 11, 20), dt.date(1999, 1, 2)])
def test_the_prefix_is_filled_with_the_date(date: dt.date) -> None:
    expanded = settings(prefix="{date:%m}/day={date:%d}/{{x}}").expanded_prefix(date)
    assert expanded == f"{date.month:02}/day={date.day:02}/{{x}}"


def test_a_prefix_without_a_date_stays() -> None:
    assert settings(prefix="ir/2026").expanded_prefix(dt.date(2026, 11, 20)) == "ir/2026"
    assert settings().expanded_prefix(dt.date(2026, 11, 20)) == ""


@pytest.mark.parametrize(
    "prefix", ["{day}", "{}", "{0}", "{date", "date}", "{date.nope}", "{date[0]}", "{date!x}"]
)
def test_a_prefix_that_cannot_be_filled_is_refused(prefix: str) -> None:
    with pytest.raises(ValidationError, match="can't be expanded"):
        settings(prefix=prefix)


@pytest.mark.parametrize("worker", ["auto", "cpu", "gpu", "cpu:4", "gpu:0.5", "gpu:.25", "gpu:1"])
def test_a_worker_share_is_taken(worker: str) -> None:
    assert settings(worker=worker).worker == worker


@pytest.mark.parametrize("worker", ["", "tpu", "gpu:2", "cpu:0.5", "gpu:0.5 ", "cpu:", "gpu:1.5"])
def test_a_worker_share_that_cannot_be_is_refused(worker: str) -> None:
    with pytest.raises(ValidationError, match="worker"):
        settings(worker=worker)


def test_the_hash_holds_what_decides_pixels_and_nothing_else() -> None:
    changes: dict[str, Any] = {
        "format": "jpeg",
        "quality": 80,
        "png_level": 6,
        "size_mismatch": "resize_ir",
        "precision": "bf16",
        "scaling": "type",
        "percentiles": (1, 99),
        "ir_range": (0, 1),
        "vi_range": (0, 1),
        "nodata": 0,
        "resampling": "cubic",
        "compression": "zstd",
        "tile_size": 512,
    }
    assert {*changes} == {*ImageSettings.model_fields}
    made = [settings(), *(settings(**{name: value}) for name, value in changes.items())]
    hashes = [one.image_settings().settings_hash() for one in made]
    hashes.append(settings(nodata="none").image_settings().settings_hash())
    assert len(set(hashes)) == len(hashes)
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in hashes)
    other = settings(limit=1, worker="cpu", chunk_pairs=1, prefix="x", reprocess="all", stac="none")
    assert other.image_settings().settings_hash() == hashes[0]


def test_the_hash_follows_the_versions_of_code_and_metrics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashes = {ImageSettings().settings_hash()}
    for name in ("IMAGE_VERSION", "METRIC_VERSION"):
        with monkeypatch.context() as patch:
            patch.setattr(f"fusion_core.settings.fuse.{name}", "next")
            hashes.add(ImageSettings().settings_hash())
    assert len(hashes) == 3
    assert ImageSettings().settings_hash() in hashes
