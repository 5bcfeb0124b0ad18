"""Finds out when an image was taken.

The moment is in the tags of its file, where satellite products name it in a dozen ways, else in its
path. Whatever can't be read as a moment between 1970 and 2100 is passed over, so that a tag left
at zero doesn't hide the date in the file's name.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

_YEARS = range(1970, 2101)

# The domain, the tag of the date or moment, and the tag of the time of day that may go with it.
_TAGS = (
    ("IMAGERY", "ACQUISITIONDATETIME", ""),  # GDAL's own, read from many products' side files
    ("", "ACQUISITIONDATETIME", ""),
    ("", "ACQUISITION_DATETIME", ""),
    ("", "ACQUISITION_DATE", "ACQUISITION_TIME"),
    ("", "DATE_ACQUIRED", "SCENE_CENTER_TIME"),  # Landsat
    ("", "SENSING_TIME", ""),  # Sentinel-2 tiles
    ("", "DATATAKE_1_DATATAKE_SENSING_START", ""),  # Sentinel-2 products
    ("", "PRODUCT_START_TIME", ""),
    ("", "START_TIME", ""),
    ("", "TIME_COVERAGE_START", ""),  # the attribute convention of netCDF
    ("", "NC_GLOBAL#TIME_COVERAGE_START", ""),
    ("", "NITF_IDATIM", ""),
    ("", "EXIF_DATETIMEORIGINAL", ""),
    ("", "TIFFTAG_DATETIME", ""),  # last: many programs write when the file was made
)

_DATE = r"([0-9]{4})([-:/]?)([0-9]{2})\2([0-9]{2})"
_TIME = r"([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:[.,]([0-9]+))?)?)?"
_ZONE = r"(?: ?(Z|UTC|GMT|[-+](?:0[0-9]|1[0-5]):?[0-5][0-9]))?"
_MOMENT = re.compile(rf"{_DATE}(?:[T ]?{_TIME}{_ZONE})?", re.IGNORECASE)

_SCENE_ID = re.compile(
    r"(?<![A-Z0-9])L[CEMOT][1-9][0-9]{6}([0-9]{4})([0-9]{3})(?![0-9])", re.IGNORECASE
)
"""Landsat until 2016: sensor, path and row, year, day of the year."""

_IN_NAME = tuple(
    re.compile(rf"(?<![0-9]){form}(?![0-9])", re.IGNORECASE)
    for form in (
        r"([0-9]{4})([0-9]{2})([0-9]{2})[T_-]?([0-9]{2})([0-9]{2})([0-9]{2})",
        r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T_ ]([0-9]{2})[-:.]?([0-9]{2})[-:.]?([0-9]{2})",
        r"([0-9]{4})-([0-9]{2})-([0-9]{2})",
        r"([0-9]{4})([0-9]{2})([0-9]{2})",
    )
)


@dataclass(frozen=True)
class Acquisition:
    """When an image was taken, in UTC, and whether its file's tags or its path said so."""

    moment: dt.datetime
    origin: Literal["tags", "path"]


def acquired(tags: Mapping[str, Mapping[str, str]], path: str) -> Acquisition | None:
    """Find out when an image was taken.

    Args:
        tags: GDAL's metadata by domain; the default domain is ``""``. Upper and lower case of the
            names are alike.
        path: Path or URL of the file. Its name is looked at first, then its folders from the
            nearest on.

    Returns:
        The moment and its origin, None where neither tells. A time without a zone is taken as UTC,
        and a date without a time as its midnight. Never raises, whatever the tags and the path
        hold.
    """
    moment = next(_from_tags(tags), None)
    if moment is not None:
        return Acquisition(moment, "tags")
    moment = next(_from_path(path), None)
    return None if moment is None else Acquisition(moment, "path")


def _from_tags(tags: Mapping[str, Mapping[str, str]]) -> Iterator[dt.datetime]:
    domains = {
        domain.upper(): {name.upper(): value for name, value in values.items()}
        for domain, values in tags.items()
    }
    for domain, date, time in _TAGS:
        values = domains.get(domain, {})
        if date not in values:
            continue
        # Landsat's own metadata puts times in quotes.
        text, clock = (values.get(name, "").strip(" \t\r\n\0\"'") for name in (date, time))
        moment = (_parsed(f"{text}T{clock}") if clock else None) or _parsed(text)
        if moment is not None:
            yield moment


def _from_path(path: str) -> Iterator[dt.datetime]:
    for part in reversed(re.split(r"[/\\]", path)):
        for found in _SCENE_ID.finditer(part):
            yield from _day_of_year(int(found[1]), int(found[2]))
        for form in _IN_NAME:
            for found in form.finditer(part):
                yield from _checked(*(int(number) for number in found.groups()))


def _parsed(text: str) -> dt.datetime | None:
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    year, _, month, day, hour, minute, second, fraction, zone = found.groups()
    numbers = [int(number or 0) for number in (year, month, day, hour, minute, second)]
    numbers.append(int((fraction or "")[:6].ljust(6, "0")))
    return next(_checked(*numbers, east=_minutes_east(zone or "Z")), None)


def _minutes_east(zone: str) -> int:
    if zone[0] not in "+-":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return -minutes if zone[0] == "-" else minutes


def _checked(
    year: int,
    month: int,
    day: int,
    hour: int = 0,
    minute: int = 0,
    second: int = 0,
    micro: int = 0,
    *,
    east: int = 0,
) -> Iterator[dt.datetime]:
    """Yield the moment if it is a valid one in the years; ``east`` is its zone, in minutes."""
    try:
        moment = dt.datetime(year, month, day, hour, minute, second, micro, dt.UTC)
    except ValueError:
        return
    if year in _YEARS:
        moment -= dt.timedelta(minutes=east)
    if moment.year in _YEARS:
        yield moment


def _day_of_year(year: int, day: int) -> Iterator[dt.datetime]:
    for first in _checked(year, 1, 1):
        moment = first + dt.timedelta(days=day - 1)
        if moment.year == year:
            yield moment
