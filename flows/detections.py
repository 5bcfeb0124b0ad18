"""Reads what a detecting run compares: labels, and the boxes of all runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from flows.images_of_methods import rows_of_images
from flows.run import Run
from fusion_core.archive import (
    DETECTIONS_FOLDER,
    SCORE_KEY,
    FusedImages,
    Pairing,
    Plan,
    Wanted,
    evenly,
    find_rows,
)
from fusion_core.detection import (
    BOX_COLUMNS,
    Boxes,
    DetectedPair,
    DetectorFile,
    MatchedLabels,
    detected_pairs,
    match_labels,
    read_labels,
    read_named,
    require_pycocotools,
    with_classes,
)
from fusion_core.jobs import SIDES, DetectSettings
from fusion_core.reports import PublishedDetection, ShownDetections, parse_published_detections
from fusion_core.storage import Storage, StoredFile, input_options

_UNLABELLED = 1000
"""Without labels, so many pairs are looked through for those on which methods differ most."""

_STATE = (
    *(*SCORE_KEY, "status", "attempt", "ended", "run_id", "metric_version"),
    *("model_hash", "settings_hash"),
)


def labels_of(
    run: Run[DetectSettings], detector: DetectorFile, pairs: pa.Table
) -> MatchedLabels | None:
    """Read the labels and give them to their pairs; None where none are asked for.

    Args:
        run: The run.
        detector: Its detector, whose classes the labels' must be.
        pairs: Its pairs, rows of ``PAIRS_SCHEMA``.

    Raises:
        SettingsError: Something is wrong with the labels, or pycocotools isn't installed.
        StorageError: The store failed.
    """
    settings = run.settings
    if settings.labels is None:
        return None
    require_pycocotools()
    classes = detector.description.classes
    found = read_labels(
        settings.labels,
        classes,
        settings.pair_fields(),
        options=input_options(settings, settings.labels, run.credentials),
        label_classes=settings.label_classes,
    )
    named = with_classes(found, classes, settings.class_names, settings.classes)
    return match_labels(named, pairs)


def without_labels(run: Run[DetectSettings], plan: Plan, labels: MatchedLabels) -> Plan:
    """Return a plan of which the files of labels below the source belong to no pair, and need not.

    Args:
        run: The run.
        plan: The plan.
        labels: The labels.
    """
    source, pairing = run.source(), plan.pairing
    assert isinstance(pairing, Pairing)
    unmatched = tuple(path for path in pairing.unmatched if source.url(path) not in labels.files)
    return replace(plan, pairing=replace(pairing, unmatched=unmatched))


def read_published(run: Run[DetectSettings]) -> tuple[PublishedDetection, ...]:
    """Read the published rows that the table is to show, if any.

    Raises:
        SettingsError: There is no such file, or it holds something else.
        StorageError: The store failed.
    """
    url = run.settings.published
    if url is None:
        return ()
    options = input_options(run.settings, url, run.credentials)
    return parse_published_detections(read_named(url, "published", options), url)


def compared_pairs(
    run: Run[DetectSettings],
    output: Storage,
    images: FusedImages,
    labels: MatchedLabels | None,
) -> list[DetectedPair]:
    """Return what was found in the pairs that are compared, whichever run looked at them.

    They are the labelled ones; without labels, a thousand spread over all.

    Args:
        run: The run.
        output: Its output.
        images: The images that it found.
        labels: The labels.

    Raises:
        SettingsError: Labels are of images of another size.
        ManifestError: Rows can't be read.
        StorageError: The store failed.
    """
    if labels is None:
        ids = tuple(evenly(pc.unique(images.images["pair_id"]).to_pylist(), _UNLABELLED))
    else:
        ids = tuple(labels.of_pair)
    rows = _rows(run, output, images, ("height", "width", *BOX_COLUMNS), Wanted(pairs=ids))
    boxes: dict[str, dict[str, Boxes]] = {method: {} for method in run.settings.methods}
    shapes = {}
    for row in rows.to_pylist():
        boxes[row["method"]][row["pair_id"]] = Boxes.of_row(row)
        shapes[row["pair_id"]] = (row["height"], row["width"])
    return detected_pairs(boxes, shapes, labels)


def count_images(run: Run[DetectSettings], output: Storage, images: FusedImages) -> dict[str, int]:
    """Return by method the number of its images with an ok row, in the order of the table."""
    rows = _rows(run, output, images, (), Wanted())
    counts = {row["values"]: row["counts"] for row in pc.value_counts(rows["method"]).to_pylist()}
    return {method: counts.get(method, 0) for method in run.settings.methods}


def shown_pairs(
    run: Run[DetectSettings],
    pairs: Sequence[tuple[DetectedPair, int]],
    images: FusedImages,
    classes: Sequence[str],
) -> list[ShownDetections]:
    """Return the pairs of a sheet, each with the files that were looked at.

    Args:
        run: The run.
        pairs: The pairs, each with how much the methods differ on it.
        images: The images that the run found.
        classes: The classes that are drawn; all where there are none.
    """
    settings, source = run.settings, run.source()
    storages = {
        method: Storage(location.url, run.credentials, settings.storage_timeout)
        for method, location in settings.locations().items()
        if location.url is not None
    }
    shown = []
    for pair, difference in pairs:
        own = images.images.filter(ds.field("pair_id") == pair.pair_id).to_pylist()
        paths = {row["method"]: row["fused_path"] for row in own}
        files = {
            method: StoredFile(storages.get(method, source), paths[method])
            for method in settings.methods
            if method in SIDES or method in pair.boxes
        }
        shown.append(ShownDetections(pair, files, difference, settings.shown_score, tuple(classes)))
    return shown


def _rows(
    run: Run[DetectSettings],
    output: Storage,
    images: FusedImages,
    columns: Sequence[str],
    wanted: Wanted,
) -> pa.Table:
    """Return the newest row of each image of the run's settings, where that is ok."""
    own = ds.field("settings_hash") == run.identity.settings_hash
    names = [*_STATE, *columns]
    found = [rows.filter(own) for rows in find_rows(output, DETECTIONS_FOLDER, names, wanted)]
    if not found:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    rows = pa.concat_tables(found)
    # Lists have no place in a join.
    narrow = rows.select([*_STATE]).append_column("place", pa.array(range(len(rows)), pa.int64()))
    newest = rows_of_images(run, narrow, images)
    return rows.take(newest.filter(ds.field("status") == "ok")["place"])
