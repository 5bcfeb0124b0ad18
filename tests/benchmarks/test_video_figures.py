"""The figures of the guide to video are those of the record."""

import json

import video_figures
from record import RESULTS


def test_the_figures_of_the_guide_are_those_of_the_record() -> None:
    record = json.loads((RESULTS / "video.json").read_text())
    found = video_figures.section(video_figures.GUIDE.read_text())
    again = "write it anew by python tests/benchmarks/video_figures.py"
    assert found == video_figures.figures(record), again


def test_a_clip_that_is_not_as_its_visible_side_is_told() -> None:
    record = json.loads((RESULTS / "video.json").read_text())
    clips = record["results"]["nights"]["killed"]["clips"]
    next(iter(clips.values()))["as_the_visible"]["times"] = False
    assert "sound ARE NOT the visible sides'" in video_figures.figures(record)
