"""The flow ``detect-archive``: run a detector over images of any method, and compare these."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from actors.chunk_actor import Job, start_actor
from actors.cluster import connected
from actors.detecting_actor import DetectingActor
from flows.artifacts import publish
from flows.chunks import Worked, count_results, run_chunks
from flows.contact_sheet import draw_sheet
from flows.details import (
    files_without_pair,
    images_without_counterpart,
    labels_without_pair,
    unsuccessful,
    write_details,
)
from flows.detections import (
    compared_pairs,
    count_images,
    labels_of,
    read_published,
    shown_pairs,
    without_labels,
)
from flows.expectations import fail_if_unmet, with_unmet
from flows.images_of_methods import plan_images
from flows.night import ended
from flows.output_lease import output_lease, skip
from flows.parent_watchdog import end_with_worker
from flows.report_page import write_detection_report
from flows.requests import request_of
from flows.run import Run, fail_past_limit, write_bodies
from flows.summaries.archive import plan_counts
from flows.summaries.detect import DetectSummary
from flows.summaries.skipped import SkippedRun
from flows.watching.watch import Watch, watching
from fusion_core.archive import (
    DETECTIONS_FOLDER,
    FusedImages,
    Plan,
    Publisher,
    RunRows,
    collect_rows,
)
from fusion_core.detection import (
    DETECTION_VERSION,
    DetectionComparison,
    DetectorFile,
    MatchedLabels,
    compare_detections,
    most_different,
    read_detector,
)
from fusion_core.errors import OutputBusyError
from fusion_core.jobs import SIDES, DetectSettings
from fusion_core.reports import (
    PublishedDetection,
    csv_detections,
    latex_detections,
    markdown_detections,
    write_detection_sheet,
)
from fusion_core.settings import OverrideOf, overridden
from fusion_core.storage import Storage, scratch_folder

FLOW = "detect-archive"


@flow(name=FLOW, retries=0)
def detect_archive(
    settings: DetectSettings,
    override: Annotated[dict[str, Any] | None, OverrideOf(DetectSettings)] = None,
) -> DetectSummary | SkippedRun:
    """Run a detector over infrared, visible and fused images, and compare what it finds in them.

    Images that can't be looked at become failed rows. A run that is stopped loses nothing but the
    chunks in work; the next one goes on, and its table is over the boxes of all runs.

    Args:
        settings: Which images to look at with which detector, where to, and how.
        override: Some of the settings, which replace those above in this run.

    Returns:
        What became of the run, with the table where there are labels.

    Raises:
        TooManyFailuresError: More than the stated fraction of images failed.
        ExpectationError: The night isn't as the settings expect it.
        FuseArchiveError: The run as a whole can't go on: settings, detector, labels or storage.
    """
    end_with_worker()
    settings = overridden(settings, override)
    with watching(settings, FLOW) as watch:
        return detect_watched(settings, watch)


def detect_watched(settings: DetectSettings, watch: Watch) -> DetectSummary | SkippedRun:
    """Do what the flow does; see there.

    Args:
        settings: The run's settings.
        watch: Tells those who watch it what happens.
    """
    began = time.monotonic()
    detector = read_detector(settings.detector, settings.detector_description)
    run = Run.begin(
        settings,
        settings_hash=settings.settings_hash(detector),
        model_hash=detector.sha256,
        watch=watch,
    )
    published = read_published(run)
    try:
        with scratch_folder() as folder, output_lease(run) as publisher:
            with watch.phase("plan"):
                plan, images, labels = plan_detections(
                    run, detector, folder, publisher.lease.generation
                )
            watch.planned(plan)
            some = len(plan.todo) or settings.contact_sheet
            with connected(settings.ray_address) if some else nullcontext():
                with watch.phase("detect"):
                    worked = detect_images(run, plan, publisher)
                with watch.phase("summarise"):
                    summary = summarise(
                        run, plan, images, labels, worked, published=published, began=began
                    )
    except OutputBusyError as busy:
        return ended(skip(run, busy))
    fail_past_limit(summary, settings)
    fail_if_unmet(summary, settings)
    return ended(summary)


@task(name="plan", cache_policy=NO_CACHE)
def plan_detections(
    run: Run[DetectSettings], detector: DetectorFile, folder: Path, generation: int
) -> tuple[Plan, FusedImages, MatchedLabels | None]:
    """List pairs, images and labels, match them, and leave out what was looked at already.

    Args:
        run: The run.
        detector: Its detector, whose classes the labels' must be.
        folder: A scratch folder.
        generation: Of the output's lease.
    """
    plan, images = plan_images(
        run, folder, generation, table=DETECTIONS_FOLDER, verb="look at", sides=SIDES
    )
    # What is wrong with labels is said before hours of work, and not behind them.
    labels = labels_of(run, detector, plan.pairing.pairs)
    return (without_labels(run, plan, labels) if labels else plan), images, labels


@task(name="detect", cache_policy=NO_CACHE)
def detect_images(run: Run[DetectSettings], plan: Plan, publisher: Publisher) -> Worked:
    """Look at the images of the plan's chunks on Ray actors."""
    job = Job(run.settings, run.identity, run.watch.detailed)
    make_actor = partial(start_actor, DetectingActor, job)
    return run_chunks(run, plan, publisher, make_actor, verb="detect", folder=DETECTIONS_FOLDER)


@task(name="summarise", cache_policy=NO_CACHE)
def summarise(
    run: Run[DetectSettings],
    plan: Plan,
    images: FusedImages,
    labels: MatchedLabels | None,
    worked: Worked,
    *,
    published: tuple[PublishedDetection, ...],
    began: float,
) -> DetectSummary:
    """Compare the methods over all boxes there are, and write tables, sheet and summary."""
    settings, output = run.settings, run.output()
    pairs = compared_pairs(run, output, images, labels)
    counts = count_images(run, output, images)
    comparison = compare_detections(pairs, counts, settings.classes)
    table, tables = write_detections(run, output, comparison, published) if labels else ("", {})
    different = most_different(
        pairs, settings.contact_sheet, settings.shown_score, comparison.classes
    )
    shown = shown_pairs(run, different, images, comparison.classes)
    with scratch_folder() as folder:
        rows = RunRows(collect_rows(output, worked.parts, folder), folder)
        listings = [
            *unsuccessful(rows, "pair_id", "method"),
            *images_without_counterpart(images),
            *files_without_pair(plan.pairing),
            labels_without_pair(labels.without_pair if labels else ()),
        ]
        details = write_details(run, output, listings, folder)
        summary = DetectSummary(
            run_id=run.identity.run_id,
            output=output.url(""),
            manifest=output.url(DETECTIONS_FOLDER),
            images=len(images.images),
            detected=worked.ok,
            labelled=comparison.labelled if labels else None,
            unlabelled=len(plan.pairing.pairs) - len(labels.of_pair) if labels else 0,
            precisions={
                method: {name: asdict(one) for name, one in of_class.items()}
                for method, of_class in comparison.precisions.items()
            },
            contact_sheet=draw_sheet(run, write_detection_sheet, shown, FLOW),
            table=table,
            tables=tables,
            metric_version=DETECTION_VERSION,
            left_out=worked.left_out,
            retries=rows.retries(),
            stages=rows.stages(),
            request=request_of(run, FLOW),
            seconds=time.monotonic() - began,
            **count_results(len(plan.todo), [worked], rows.undone()),
            **plan_counts(plan),
            **details.fields,
        )
    summary = with_unmet(summary, run, output, plan.pairing)
    summary = write_detection_report(run, summary, comparison, published, flow=FLOW)
    publish(run, output, summary, FLOW)
    return summary


def write_detections(
    run: Run[DetectSettings],
    output: Storage,
    comparison: DetectionComparison,
    published: tuple[PublishedDetection, ...],
) -> tuple[str, dict[str, str]]:
    """Write the table in all formats; return it in markdown, and the URLs by format."""
    return write_bodies(
        run,
        output,
        {
            "md": markdown_detections(comparison, published),
            "csv": csv_detections(comparison),
            "tex": latex_detections(comparison, published),
        },
    )
