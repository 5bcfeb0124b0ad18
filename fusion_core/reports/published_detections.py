"""Reads average precisions that papers published, to be shown beside those of a run.

None comes with the package; a file of them is named by whoever has a paper's table.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass

from fusion_core.detection.average_precision import ClassPrecision
from fusion_core.errors import SettingsError

_COLUMNS = ("method", "class", "ap50", "ap", "source")


@dataclass(frozen=True)
class PublishedDetection:
    """One method's rows of a published table.

    Attributes:
        method: The method's name, as printed.
        source: Where they were published.
        precisions: By class, and ``all`` for their mean, what is printed of it.
    """

    method: str
    source: str
    precisions: Mapping[str, ClassPrecision]


def parse_published_detections(body: bytes, url: str) -> tuple[PublishedDetection, ...]:
    """Read published rows.

    Args:
        body: CSV with the columns method, class, ap50, ap and source; values in [0, 1], and
            nothing where a paper prints none.
        url: Where it was read from, for messages.

    Raises:
        SettingsError: It is no such CSV.
    """
    try:
        lines = list(csv.DictReader(body.decode("utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"the published rows {url} are no CSV: {error}") from error
    found: dict[tuple[str, str], dict[str, ClassPrecision]] = {}
    for number, line in enumerate(lines, 2):
        where = f"line {number} of {url}"
        if any(not line.get(name) for name in ("method", "class", "source")):
            raise SettingsError(
                f"{where} has {dict(line)}; expected the columns {', '.join(_COLUMNS)}, of which "
                "only ap50 and ap may be empty"
            )
        of_method = found.setdefault((line["method"], line["source"]), {})
        of_method[line["class"]] = ClassPrecision(
            *(_value(line.get(name), f"{name} in {where}") for name in ("ap50", "ap"))
        )
    if not found:
        raise SettingsError(f"{url} has no published row; expected {', '.join(_COLUMNS)}")
    return tuple(PublishedDetection(*key, precisions) for key, precisions in found.items())


def _value(text: str | None, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise SettingsError(
            f"found {text!r} as {where}; expected a number from 0 to 1. Divide percentages by 100"
        )
    return value
