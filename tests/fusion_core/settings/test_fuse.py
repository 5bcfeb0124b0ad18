import datetime as dt
import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from fusion_core.settings.fuse import FuseArchiveSettings, ImageSettings
from fusion_core.settings.registration import RegistrationSettings


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
    expanded = settings(prefix="{date:%m}/day={date:%d}/{{x}}").expanded_prefixes(date)
    assert expanded[0] == f"{date.month:02}/day={date.day:02}/{{x}}"


def test_a_prefix_without_a_date_stays() -> None:
    assert settings(prefix="ir/2026").expanded_prefixes(dt.date(2026, 11, 20)) == ("ir/2026",)
    assert settings().expanded_prefixes(dt.date(2026, 11, 20)) == ("",)


def test_the_days_before_are_looked_at_too() -> None:
    looked_at = settings(prefix="/north/{date:%Y/%m/%d}/")
    days = ("north/2026/03/01/", "north/2026/02/28/", "north/2026/02/27/")
    assert looked_at.expanded_prefixes(dt.date(2026, 3, 1)) == days
    assert looked_at.expanded_prefixes(dt.date(1, 1, 2)) == ("north/1/01/02/", "north/1/01/01/")


@pytest.mark.parametrize("days", [1, 2, 9])
def test_so_many_days_are_looked_at_as_are_set(days: int) -> None:
    looked_at = settings(prefix="{date}", days=days).expanded_prefixes(dt.date(2026, 3, 20))
    assert looked_at == tuple(f"2026-03-{20 - k:02}" for k in range(days))


def test_days_that_share_a_prefix_are_looked_at_once() -> None:
    monthly = settings(prefix="{date:%Y/%m}", days=3)
    assert monthly.expanded_prefixes(dt.date(2026, 3, 9)) == ("2026/03",)
    assert monthly.expanded_prefixes(dt.date(2026, 3, 2)) == ("2026/03", "2026/02")
    unpadded = settings(prefix="day{date.day}", days=20)  # day1 is the start of day10 too
    assert unpadded.expanded_prefixes(dt.date(2026, 3, 20)) == tuple(
        f"day{day}" for day in (9, 8, 7, 6, 5, 4, 3, 2, 1)
    )


@pytest.mark.parametrize("prefix", ["", "north", "{{date}}", "day={{date:%d}}"])
def test_days_without_a_date_in_the_prefix_are_refused(prefix: str) -> None:
    with pytest.raises(ValidationError, match=r"days is 2 and the prefix .* holds no date"):
        settings(prefix=prefix, days=2)
    assert len(settings(prefix=prefix).expanded_prefixes(dt.date(2026, 3, 1))) == 1
    assert settings(prefix=prefix, days=1)


@pytest.mark.parametrize(
    "prefix", ["{date}", "{date:%Y}", "{date:%d}", "{date.month}", "{date:%a}"]
)
def test_any_part_of_a_date_is_one(prefix: str) -> None:
    assert settings(prefix=prefix, days=2).prefix_has_date


def test_today_is_that_of_the_time_zone() -> None:
    late = dt.datetime(2026, 11, 20, 23, 30, tzinfo=dt.UTC)  # half past midnight in Berlin
    assert settings().run_date(late) == dt.date(2026, 11, 20)
    assert settings(time_zone="Europe/Berlin").run_date(late) == dt.date(2026, 11, 21)
    assert settings(time_zone="America/New_York").run_date(late) == dt.date(2026, 11, 20)
    night = dt.datetime(2026, 7, 1, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    assert settings(time_zone="Europe/Berlin").run_date(night) == dt.date(2026, 7, 1)
    named = settings(date="2026-01-02", time_zone="Europe/Berlin")
    assert named.run_date(late) == dt.date(2026, 1, 2)


@pytest.mark.parametrize(
    "name", ["", "Berlin", "Europe", "../etc/passwd", "/etc/localtime", "CEST"]
)
def test_a_time_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="expected a name of the IANA time zone database"):
        settings(time_zone=name)


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
        "video_codec": "h265",
        "video_quality": 30,
        "steady": False,
        "frame_rate": 30,
        "frame_clock": "start",
        "frame_offset": 0.1,
        "frame_tolerance": 0.1,
        "unmatched_frames": "drop",
        "segment_frames": 100,
    }
    later = {*RegistrationSettings.model_fields}  # test_registration.py
    assert {*changes} == {*ImageSettings.model_fields} - later
    needed = {"quality": {"format": "webp"}}
    made = [settings(), *(settings(**{k: v, **needed.get(k, {})}) for k, v in changes.items())]
    made.append(settings(format="webp"))
    hashes = [one.image_settings().settings_hash() for one in made]
    hashes.append(settings(nodata="none").image_settings().settings_hash())
    assert len(set(hashes)) == len(hashes)
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in hashes)
    other = settings(limit=1, worker="cpu", chunk_pairs=1, prefix="x", reprocess="all", stac="none")
    assert other.image_settings().settings_hash() == hashes[0]


@pytest.mark.parametrize(
    ("name", "value", "format_", "expected"),
    [
        *(("quality", 80, kind, "jpeg or webp") for kind in ("png", "tiff")),
        *(("png_level", 6, kind, "png") for kind in ("jpeg", "webp", "tiff")),
    ],
)
def test_what_a_format_has_none_of_is_refused(
    name: str, value: int, format_: str, expected: str
) -> None:
    message = f"{name} is {value} and format is {format_}, which has none; expected format "
    with pytest.raises(ValidationError, match=f"{message}{expected}. Leave {name} out"):
        settings(**{name: value, "format": format_})
    # Deployments of version 0.1.0 hold every setting, as it is by default too.
    default = ImageSettings.model_fields[name].default
    assert settings(**{name: default, "format": format_}).format == format_


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
