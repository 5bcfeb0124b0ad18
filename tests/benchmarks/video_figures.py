"""Writes the figures on the guide to video out of the record of ``make benchmark-video``.

    python tests/benchmarks/video_figures.py

A test compares the two.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from record import RESULTS

GUIDE = Path(__file__).resolve().parents[2] / "fusion_core/video/README.md"
BEGIN, END = "<!-- from video.json: begin -->\n", "<!-- from video.json: end -->\n"
MODELS = ("refinefuse", "refinefuse-mini")
MEASURES = {
    "static_change, tolerance 0, radius 0": "change where neither source changes at all",
    "static_change, tolerance 1, radius 0": "where neither changes by more than 1 grey level",
    "static_change, tolerance 1, radius 1": "nor does a pixel beside it",
    "static_change, tolerance 2, radius 0": "where neither changes by more than 2",
    "biswe": "BiSWE of VF-Bench",
    "ms2r": "MS2R of VF-Bench",
    "flow_d": "flowD of TemCoCo",
}
"""By name in the record, what the guide calls a measure; lower is steadier."""


def figures(record: dict[str, Any]) -> str:
    """Return the guide's part on what was measured."""
    parts = record["results"]
    steady = parts["consistency"]
    clips = [name for name in steady[MODELS[0]] if name != "means_over_clips"]
    heads = " | ".join(f"{model}, {clip}" for model in MODELS for clip in clips)
    lines = [
        "Measured on three clips of M3SVD, as a share of what it is frame by frame:",
        "",
        f"| steady over frame by frame | {heads} |",
        f"| --- |{' ---: |' * (len(MODELS) * len(clips))}",
    ]
    for measure, told in MEASURES.items():
        ratios = [steady[model][clip]["ratios"][measure] for model in MODELS for clip in clips]
        lines.append(f"| {told} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")
    lines += ["", _metrics(steady), "", *_speed(parts["speed"]), "", *_nights(parts["nights"])]
    return "\n".join(lines) + "\n"


def _metrics(steady: dict[str, Any]) -> str:
    told = []
    for model in MODELS:
        means = steady[model]["means_over_clips"]["metrics_of_all_frames"]
        changes = ", ".join(f"{name} {100 * (ratio - 1):+.1f}" for name, ratio in means.items())
        told.append(f"- {model}, means over all frames of the clips, in percent: {changes}")
    return "\n".join(told)


def _speed(part: dict[str, Any]) -> list[str]:
    told = []
    for model in MODELS:
        ratio = part[model]["clip_over_photographs"]
        told.append(
            f"- {model}: a clip of {part[model]['frames']} frames takes {ratio['median']:.2f} of "
            f"the time of as many photographs (quartiles {ratio['quartile_1']:.2f} and "
            f"{ratio['quartile_3']:.2f})"
        )
    return told


def _nights(part: dict[str, Any]) -> list[str]:
    killed = part["killed"]["clips"]
    same = {name: clip["as_the_visible"] for name, clip in killed.items()}
    alike = all(all(facts.values()) for facts in same.values())
    equal = all(part["same_bytes"].values())
    frames = ", ".join(f"{facts['count']}" for facts in same.values())
    return [
        f"- through the deployment, from and to S3, a worker killed in the middle of "
        f"{part['longest']}: {frames} frames; times, sizes, rates and sound "
        f"{'are' if alike else 'ARE NOT'} the visible sides', and the bytes "
        f"{'are' if equal else 'ARE NOT'} those of a night without the kill"
    ]


def section(guide: str) -> str:
    """Return what stands between the marks of the guide."""
    (found,) = re.findall(f"{re.escape(BEGIN)}(.*?){re.escape(END)}", guide, re.DOTALL)
    return str(found)


def main() -> None:
    """Write the section."""
    record = json.loads((RESULTS / "video.json").read_text())
    guide = GUIDE.read_text()
    old, new = (f"{BEGIN}{text}{END}" for text in (section(guide), figures(record)))
    GUIDE.write_text(guide.replace(old, new))


if __name__ == "__main__":
    main()
