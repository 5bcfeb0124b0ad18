"""The dashboard and the alert rules ask for metrics that runs have, by labels that these bear."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from attempts import attempt, chunk_result
from prometheus_client import CollectorRegistry

from flows.watching.run_metrics import RunMetrics
from flows.watching.run_state import RunState
from fusion_core.jobs import RunIdentity

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "infra/grafana/fuse-archive.json").read_text())
ALERTS = yaml.safe_load((ROOT / "infra/prometheus/alerts.yaml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
BY_TARGET = {"job", "instance", "output"}  # of what is scraped, or of the group that is pushed
OF_TYPE = {"counter": ("_total",), "info": ("_info",), "histogram": ("_bucket", "_sum", "_count")}


def full_registry() -> CollectorRegistry:
    """The metrics of a run with a sample of each."""
    metrics = RunMetrics()
    metrics.add(chunk_result(attempt("a"), attempt("b", "failed")), 1.0)
    state = RunState(metrics)
    state.about = dict.fromkeys(("flow", "run_id", "source", "output"), "x")
    counts = dict.fromkeys(("done", "known_failed", "archived", "over_limit", "waiting"), 0)
    pairing = SimpleNamespace(pairs="ab", unpaired=(), ambiguous=(), unmatched=())
    plan: Any = SimpleNamespace(todo="ab", pairing=pairing, **counts)
    state.plan, state.ended, state.succeeded = plan, 1.0, True
    return metrics.registry


FAMILIES = list(full_registry().collect())
LABELS = {
    sample.name: {name for one in family.samples for name in one.labels}
    for family in FAMILIES
    for sample in family.samples
}
"""The labels of each name that can be asked for."""


def targets(panels: list[dict[str, Any]]) -> list[str]:
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def asked_for(expression: str) -> set[str]:
    return set(re.findall(r"\bfuse_archive_\w+", expression))


EXPRESSIONS = [*targets(DASHBOARD["panels"]), *(rule["expr"] for rule in RULES)]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_is_asked_for_is_there(expression: str) -> None:
    names = asked_for(expression)
    assert names
    assert names <= LABELS.keys()
    for selector in re.findall(r"\bfuse_archive_\w+(\{[^}]*\})?", expression):
        assert "instance" in selector, "what is pushed and what is scraped would be added up"
    known = set.union(*(LABELS[name] for name in names)) | BY_TARGET
    matched = re.findall(r"[{,]\s*(\w+)\s*(?:=~|!=|=)", expression)
    grouped = re.findall(r"(?:by|without) \(([^)]*)\)", expression)
    by = {name.strip() for names in grouped for name in names.split(",")}
    assert {*matched, *by} <= known


def test_every_metric_is_on_the_dashboard() -> None:
    shown = set.union(*map(asked_for, targets(DASHBOARD["panels"])))
    for family in FAMILIES:
        names = {f"{family.name}{ending}" for ending in OF_TYPE.get(family.type, ("",))}
        assert names <= shown


def test_the_dashboard_is_one_that_grafana_can_import() -> None:
    panels = DASHBOARD["panels"]
    assert DASHBOARD["uid"] == "fuse-archive"
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one in panels:
        place = one["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert one["type"] == "row" or (one["datasource"]["uid"] == "${datasource}")
        for other in panels:
            if other is not one:
                assert apart(place, other["gridPos"]), (one["title"], other["title"])
    variables = {one["name"] for one in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(panels))) - {"__rate_interval"}
    assert used == variables


def apart(one: dict[str, int], other: dict[str, int]) -> bool:
    return any(
        a[start] + a[size] <= b[start]
        for a, b in ((one, other), (other, one))
        for start, size in (("x", "w"), ("y", "h"))
    )


def test_the_rules_tell_of_a_failed_a_late_an_empty_night_and_a_backlog_that_grows() -> None:
    names = {rule["alert"] for rule in RULES}
    wanted = {"NightFailed", "NightLate", "NightEmpty", "BacklogGrows"}
    assert {f"FuseArchive{name}" for name in wanted} <= names
    for rule in RULES:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}
        told = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        assert told <= BY_TARGET


def test_no_label_of_a_counter_has_a_value_of_its_own_for_each_run() -> None:
    """Which would leave a million series behind; what a run is stands in one sample of its info."""
    identity = set(RunIdentity.__annotations__) | {"chunk", "pair_id"}
    for name, labels in LABELS.items():
        assert name == "fuse_archive_run_info" or not labels & identity
