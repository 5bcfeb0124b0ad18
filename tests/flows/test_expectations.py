"""What a night is expected to be, and what is said of one that isn't."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flows.expectations import (
    DRIFT_PAIRS,
    Means,
    check_found,
    drifts,
    fail_if_unmet,
    means_of,
    nights_before,
    with_unmet,
)
from flows.requests import request_of
from flows.run import Run
from flows.summaries.run import RunSummary
from fusion_core.archive import Pairing
from fusion_core.archive.pairing import PAIRS_SCHEMA
from fusion_core.errors import ExpectationError
from fusion_core.metrics import METRIC_NAMES
from fusion_core.settings.fuse import FuseArchiveSettings


def run_of(output: Path, **changes: Any) -> Run[FuseArchiveSettings]:
    settings = FuseArchiveSettings.model_validate({"source": "s", "output": str(output), **changes})
    images = settings.image_settings()
    return Run.begin(settings, settings_hash=images.settings_hash(), model_hash="5e" * 32)


def pairing_of(pairs: int, *, unpaired: int = 0, unmatched: int = 0) -> Pairing:
    row = {"ir_bytes": 1, "vi_bytes": 1}
    rows = [
        {"pair_id": f"{k}", **row}
        | {f"{side}_{what}": "x" for side in ("ir", "vi") for what in ("path", "version")}
        for k in range(pairs)
    ]
    table = pa.Table.from_pylist(rows, schema=PAIRS_SCHEMA)
    alone = tuple(f"ir/{k}.png" for k in range(unpaired))
    return Pairing(table, alone, (), tuple(f"x/{k}" for k in range(unmatched)))


def summary_of(
    run: Run[FuseArchiveSettings],
    run_id: str = "20261120T000000Z-aaaaaaaa",
    fused: int = 30,
    **means: float | None,
) -> RunSummary:
    values = {name: means.get(name, 0.5) for name in METRIC_NAMES}
    return RunSummary(
        **{"run_id": run_id, "output": "o", "manifest": "m", "contact_sheet": None},
        **dict.fromkeys(("found", "fused"), fused),
        **dict.fromkeys(("done_before", "known_failed", "over_limit", "failed"), 0),
        **dict.fromkeys(("unpaired", "ambiguous", "unmatched", "failures"), ()),
        metrics={name: {"mean": value} for name, value in values.items()} if fused else {},
        request=request_of(run, "fuse-archive"),
        seconds=1.0,
    )


def leave(run: Run[FuseArchiveSettings], night: int, year: int = 2026, **changes: Any) -> None:
    """Leave the summary of another night."""
    one = summary_of(run, f"{year}01{night:02}T000000Z-aaaaaaaa", **changes)
    body = one.model_dump_json().encode()
    run.output().write(f"runs/{one.run_id}/summary.json", body)


def unmet(run: Run[FuseArchiveSettings], summary: RunSummary) -> tuple[str, ...]:
    return with_unmet(summary, run, run.output(), pairing_of(30)).unmet


@pytest.mark.parametrize(
    ("changes", "pairing", "told"),
    [
        ({"min_pairs": 3}, pairing_of(2), "2 pairs were found in s; expected at least 3"),
        ({"min_pairs": 1}, pairing_of(0), "0 pairs were found"),
        ({"max_unpaired": 0.2}, pairing_of(2, unpaired=2), "2 of 6 files (33.3%) are in no pair"),
        ({}, pairing_of(0, unmatched=2), "none of them matches the templates"),
        ({}, pairing_of(0, unpaired=2), "2 files of s match the templates"),
    ],
)
def test_what_was_found_is_looked_at_before_any_work(
    tmp_path: Path, changes: dict[str, Any], pairing: Pairing, told: str
) -> None:
    with pytest.raises(ExpectationError) as error:
        check_found(run_of(tmp_path, **changes), pairing)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("changes", "pairing"),
    [
        ({}, pairing_of(0)),  # a day without acquisitions
        ({"max_unpaired": 0.0}, pairing_of(0)),
        ({"min_pairs": 2}, pairing_of(2, unmatched=9)),
        ({"max_unpaired": 0.5}, pairing_of(1, unpaired=2, unmatched=9)),
        ({}, pairing_of(1, unpaired=9)),
    ],
)
def test_what_is_as_expected_passes(
    tmp_path: Path, changes: dict[str, Any], pairing: Pairing
) -> None:
    check_found(run_of(tmp_path, **changes), pairing)


def test_a_mean_out_of_its_bounds_is_unmet_and_one_that_is_nowhere_defined_too(
    tmp_path: Path,
) -> None:
    run = run_of(tmp_path, expect={"qabf": [0.4, None], "vif": "..0.6", "ssim": "0.5..0.5"})
    assert unmet(run, summary_of(run)) == ()
    low, high = unmet(run, summary_of(run, qabf=0.39, vif=0.61))
    assert low == "The mean qabf over 30 pairs is 0.39; expected at least 0.4."
    assert high == "The mean vif over 30 pairs is 0.61; expected at most 0.6."
    (nowhere,) = unmet(run, summary_of(run, ssim=None))
    assert nowhere.startswith(
        "ssim is undefined for all 30 pairs; expected at least 0.5 and at most 0.5"
    )
    assert unmet(run, summary_of(run, fused=0)) == ()  # all was done before


def test_a_mean_that_left_the_median_of_the_last_nights_drifts(tmp_path: Path) -> None:
    run = run_of(tmp_path, max_drift=0.1, drift_nights=3)
    for night, value in enumerate((9.0, 0.5, 9.0, 0.48), 1):  # one night of three is an outlier
        leave(run, night, qabf=value)
    assert unmet(run, summary_of(run, qabf=0.54)) == ()
    (told,) = unmet(run, summary_of(run, qabf=0.4))
    assert told == (
        "The mean qabf is 0.4, -20.0% of the 0.5 that is usual (median of 3 nights); expected at "
        "most 10.0% of change."
    )
    assert unmet(run, summary_of(run, qabf=0.4, fused=DRIFT_PAIRS - 1)) == ()
    assert unmet(run, summary_of(run, qabf=None)) == ()


def test_nights_that_tell_nothing_of_this_one_are_left_out(tmp_path: Path) -> None:
    run = run_of(tmp_path, max_drift=0.1)
    other = run_of(tmp_path, max_drift=0.1, ir_range=(0, 1))
    model = Run.begin(run.settings, settings_hash=run.identity.settings_hash, model_hash="ab" * 32)
    now = summary_of(run, qabf=0.3)
    for night, before in enumerate((run, run, other, model), 1):
        leave(before, night)
    leave(run, 5, fused=DRIFT_PAIRS - 1)
    leave(run, 6, fused=0)
    leave(run, 7, qabf=None)
    leave(run, 10, year=9999)  # later than this one
    asked = json.dumps(request_of(run, "fuse-archive")).encode()
    for place, metrics in enumerate((b"null", b'"x"', b'{"qabf": 1}', b'{"qabf": {"mean": "x"}}')):
        body = b'{"fused": 90, "metrics": %s, "request": %s}' % (metrics, asked)
        run.output().write(f"runs/2026011{place}T000000Z-b/summary.json", body)
    assert unmet(run, now) == (), "two nights of the same settings are too few"
    leave(run, 9)
    assert len(unmet(run, now)) == 1


def test_what_is_usual_may_be_zero() -> None:
    key = ("h", "m")
    before = [Means("", key, 30, {"sf": 0.0})] * 3
    assert drifts(Means("", key, 30, {"sf": 0.0}), before, 0.1) == []
    (told,) = drifts(Means("", key, 30, {"sf": 0.2}), before, 0.1)
    assert "any of the 0 that is usual" in told


def test_methods_and_models_are_compared_with_themselves(tmp_path: Path) -> None:
    run = run_of(tmp_path, max_drift=0.1)
    means = {"a": {"qabf": 0.5}, "b": {"qabf": 0.2}}
    request = {"flow": "score-archive", "settings_hash": "h"}
    scored = {"images": 60, "means": means, "request": request}
    assert [(one.name, one.pairs) for one in means_of(scored)] == [("a", 30), ("b", 30)]
    models = {name: {"sha256": name * 4, "settings_hash": "h"} for name in means}
    asked = {"flow": "evaluate", "settings_hash": None, "models": models}
    evaluated = {"pairs": 25, "means": means, "request": asked}
    first = next(means_of(evaluated))
    assert (first.key, first.pairs) == (("evaluate", "h", "aaaa"), 25)
    for night in (1, 2, 3):
        body = json.dumps(evaluated).encode()
        run.output().write(f"runs/2026110{night}T000000Z-aaaaaaaa/summary.json", body)
    before = nights_before(run.output(), first, 7, "20261120T000000Z-aaaaaaaa")
    assert [one.values for one in before] == [{"qabf": 0.5}] * 3
    assert list(means_of({"pairs": 25, "means": means})) == []  # of a version before


def test_a_run_fails_of_what_is_unmet_or_only_warns(tmp_path: Path) -> None:
    run = run_of(tmp_path, expect={"qabf": "0.9.."}, min_pairs=31)
    summary = with_unmet(summary_of(run), run, run.output(), pairing_of(30))
    with pytest.raises(ExpectationError) as failed:
        fail_if_unmet(summary, run.settings)
    told = f"{summary.sentence()} All that was done stands, see {summary.output}"
    assert str(failed.value) == told
    fail_if_unmet(summary, run.settings.model_copy(update={"unmet": "warn"}))
    fail_if_unmet(summary_of(run), run.settings)
    assert "not as expected: The mean qabf over 30 pairs is 0.5" in summary.sentence()
