"""Writes the README's section on speed out of the record of ``make benchmark``.

    python tests/benchmarks/readme_figures.py

A test compares the two, so that no figure of the README is older than its record.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from record import RESULTS

README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- from benchmark.json: begin -->\n", "<!-- from benchmark.json: end -->\n"
SIZE = "640x480"


def speed(record: dict[str, Any]) -> str:
    """Return the table and what it was measured on."""
    parts = record["results"]
    machine, versions = record["machine"], record["versions"]
    rows = [*_networks(parts["engines"]), *_flows(parts["flow"]), *_others(parts)]
    lines = ["| | figure | beside | before |", "| --- | --- | --- | --- |"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    told = (
        f"On {machine['cores']} cores ({machine['cpu']}), {record['date']}, torch "
        f"{versions['torch']}; *before*: what it took without OpenVINO and compiled loops. More is "
        "in the [record](tests/benchmarks/results/benchmark.json) of `make benchmark`."
    )
    return "\n".join([*lines, "", *_wrapped(told)]) + "\n"


def _networks(part: dict[str, Any]) -> list[list[str]]:
    cases = part["cases"]
    rows = []
    for name in (f"{way}, {SIZE}" for way in _fastest_ways(cases)):
        case = cases[name]
        beside = f"{case['ratio']['median']:.2f} of torch's time for {case['over'].split(',')[0]}"
        rows.append([f"network, {name}", f"{1000 * _median(case):.0f} ms", beside, _before(case)])
    return rows


def _fastest_ways(cases: dict[str, Any]) -> list[str]:
    ways = [name.rpartition(", ")[0] for name in cases if name.endswith(SIZE)]
    found = []
    for model in ("refinefuse", "refinefuse-mini"):
        of_model = [way for way in ways if way.split(",")[0] == model and "eager" not in way]
        found.append(min(of_model, key=lambda way: _median(cases[f"{way}, {SIZE}"])))
    return found


def _flows(part: dict[str, Any]) -> list[list[str]]:
    rows = []
    for name in ("refinefuse", "refinefuse-mini"):
        case = part["cases"][f"{name}, flow"]
        figure = f"{1 / _median(case):.1f} pairs a second"
        beside = f"{case['ratio']['median']:.2f} of a bare loop's time"
        rows.append([f"whole flow, {name}, all seven metrics", figure, beside, _before(case)])
    return rows


def _others(parts: dict[str, Any]) -> list[list[str]]:
    metrics = parts["metrics"]["cases"]["seven metrics"]
    (start,) = parts["start"]["cases"].values()
    growth = parts["growth"]["cases"]["from 300 to 10000 pairs"]
    rows = [
        [
            f"seven metrics, {SIZE}",
            f"{1000 * _median(metrics):.0f} ms",
            f"{metrics['ratio']['median']:.3f} of float64 loops' time",
            _before(metrics),
        ]
    ]
    return [
        *rows,
        ["command to first fused pair", f"{_median(start):.1f} s", "", _before(start)],
        [
            "a pair of 10,000, flow without network",
            f"{1000 * _median(growth):.1f} ms",
            f"{growth['ratio']['median']:.2f} of one of 300",
            _before(growth),
        ],
    ]


def _median(case: dict[str, Any]) -> float:
    return float(case["seconds"]["median"])


def _before(case: dict[str, Any]) -> str:
    share = case.get("new_over_old")
    return f"{1 / share:.1f} x" if share else ""


def _wrapped(text: str) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > 99:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".lstrip()
    return lines


def section(readme: str) -> str:
    """Return what stands between the marks of a README."""
    (found,) = re.findall(f"{re.escape(BEGIN)}(.*?){re.escape(END)}", readme, re.DOTALL)
    return str(found)


def main() -> None:
    """Write the section."""
    record = json.loads((RESULTS / "benchmark.json").read_text())
    readme = README.read_text()
    old, new = (f"{BEGIN}{text}{END}" for text in (section(readme), speed(record)))
    README.write_text(readme.replace(old, new))


if __name__ == "__main__":
    main()
