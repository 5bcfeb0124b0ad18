"""The command ``show``: everything that an output knows of one pair."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from flows.desk.opening import open_output
from flows.requests import settings_of, settings_told
from flows.summaries.base import Summary
from flows.summaries.listings import code_span, plain, table_cell
from fusion_core.archive import (
    DETECTIONS_FOLDER,
    DETECTIONS_SCHEMA,
    MANIFEST_SCHEMA,
    TABLES,
    Wanted,
    find_rows,
)
from fusion_core.errors import SettingsError
from fusion_core.metrics import METRIC_NAMES
from fusion_core.storage import Storage


class Shown(Summary):
    """What is known of a pair.

    Attributes:
        output: URL of the output.
        pair_id: The pair.
        attempts: Its rows in the manifest, the newest first, with all columns.
        scores: Its rows in the scores of other methods' images, likewise.
        detections: Its rows in the detections, likewise.
        image: URL of its newest image.
        settings: By settings hash what the settings are that aren't the default, in words; for a
            hash of which nothing was noted that it is unknown.
    """

    output: str
    pair_id: str
    attempts: tuple[dict[str, Any], ...]
    scores: tuple[dict[str, Any], ...]
    detections: tuple[dict[str, Any], ...] = ()
    image: str | None
    settings: dict[str, tuple[str, ...]]

    def sentence(self) -> str:
        """Return how its newest attempt ended."""
        if not self.attempts:
            told = f"scored {len(self.scores)} times"
            if self.detections:
                told += f", looked at {len(self.detections)} times"
            return plain(f"{self.pair_id} was {told} and never fused.")
        newest = self.attempts[0]
        ended = f"{newest['ended']:%Y-%m-%d %H:%M} UTC"
        return plain(
            f"{self.pair_id}: {newest['status']} after {len(self.attempts)} attempts, the last "
            f"ended {ended} in {newest['run_id']}."
        )

    def markdown(self) -> str:
        """Return it as people read it."""
        lines = [f"# {plain(self.pair_id)}", "", self.sentence(), ""]
        newest = (*self.attempts, *self.scores, *self.detections)[0]
        for side, name in (("ir", "infrared"), ("vi", "visible")):
            version, size = newest[f"{side}_version"], newest[f"{side}_bytes"]
            lines.append(
                f"- {name}: {code_span(newest[f'{side}_url'])}, {size} bytes, version "
                f"{code_span(version)}"
            )
        lines.append(f"- newest image: {code_span(self.image) if self.image else 'none'}")
        for settings_hash, told in self.settings.items():
            lines.append(f"- settings {settings_hash}: {plain('; '.join(told) or 'the defaults')}")
        tables = {
            "Attempts": self.attempts,
            "Scores": self.scores,
            "Detections": self.detections,
        }
        for title, rows in tables.items():
            lines += _row_lines(title, rows)
        return "\n".join(lines) + "\n"


def show(url: str, pair_id: str, block: str | None = None) -> Shown:
    """Return everything that an output knows of one pair.

    Args:
        url: The output's.
        pair_id: The pair.
        block: Name of the Secret block with its storage options.

    Raises:
        SettingsError: There is nothing at the URL, or no row of the pair.
        FuseArchiveError: A file can't be read, the store failed, or the credentials can't be had.
    """
    output = open_output(url, block)
    attempts, scores, detections = (_rows(output, table, pair_id) for table in TABLES)
    if not (attempts or scores or detections):
        raise SettingsError(
            f"{output.url('')} has no row of the pair {pair_id!r}; expected an id as the column "
            "pair_id of the manifest has it. `fuse-archive runs` says whether any run has ended"
        )
    hashes = dict.fromkeys(str(row["settings_hash"]) for row in attempts)
    images = (row["fused_url"] for row in attempts if row["status"] == "ok")
    return Shown(
        output=output.url(""),
        pair_id=pair_id,
        attempts=tuple(attempts),
        scores=tuple(scores),
        detections=tuple(detections),
        image=next(images, None),
        settings={one: _told(output, one) for one in hashes},
    )


def _rows(output: Storage, table: str, pair_id: str) -> list[dict[str, Any]]:
    """Return a pair's rows, the newest first, in the order of ``newest_rows``."""
    wanted = Wanted(pairs=(pair_id,))
    names = (DETECTIONS_SCHEMA if table == DETECTIONS_FOLDER else MANIFEST_SCHEMA).names
    tables = list(find_rows(output, table, names, wanted))
    rows: list[dict[str, Any]] = pa.concat_tables(tables).to_pylist() if tables else []
    return sorted(
        rows,
        key=lambda row: (row["attempt"] or 0, row["ended"], row["run_id"], row["method"]),
        reverse=True,
    )


def _told(output: Storage, settings_hash: str) -> tuple[str, ...]:
    request = settings_of(output, settings_hash)
    if request is None:
        return ("unknown, since no run of this version has noted them yet",)
    return tuple(settings_told(request))


def _row_lines(title: str, rows: tuple[dict[str, Any], ...]) -> list[str]:
    if not rows:
        return []
    names = ("attempt", "run_id", "method", "status", "settings_hash", "stage", "error_message")
    metrics = [name for name in METRIC_NAMES if name in rows[0]]
    heads = [*(name.replace("_", " ") for name in names), *(one.upper() for one in metrics)]
    heads += ["boxes"] if "score" in rows[0] else []
    lines = ["", f"## {title}", "", f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for row in rows:
        cells = ["" if row[name] is None else table_cell(str(row[name])) for name in names]
        cells += ["" if row[name] is None else f"{row[name]:.4f}" for name in metrics]
        if "score" in row:
            cells.append("" if row["score"] is None else str(len(row["score"])))
        lines.append(f"| {' | '.join(cells)} |")
    return lines
