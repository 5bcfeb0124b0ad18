import csv
import io

import pytest

from fusion_core.detection.average_precision import ClassPrecision
from fusion_core.detection.comparison import DetectionComparison
from fusion_core.errors import SettingsError
from fusion_core.reports.detection_table import (
    csv_detections,
    latex_detections,
    markdown_detections,
)
from fusion_core.reports.page.detection_page import DetectionReport, detection_page
from fusion_core.reports.published_detections import parse_published_detections

NONE = ClassPrecision(None, None)
COMPARISON = DetectionComparison(
    methods=("infrared", "a_b", "absent"),
    classes=("person", "bus"),
    images={"infrared": 4, "a_b": 5, "absent": 0},
    labelled=3,
    labels={"person": 7, "bus": 0},
    precisions={
        "infrared": {
            "person": ClassPrecision(0.5, 0.25),
            "bus": NONE,
            "all": ClassPrecision(0.5, 0.25),
        },
        "a_b": {
            **{"person": ClassPrecision(0.50004, 1 / 3), "bus": NONE},
            "all": ClassPrecision(0.50004, 1 / 3),
        },
    },
)
PUBLISHED = parse_published_detections(
    b"method,class,ap50,ap,source\nX&Y,person,0.9,,A paper\nX&Y,all,0.8,0.4,A paper\n", "p.csv"
)


def test_the_markdown_table() -> None:
    lines = markdown_detections(COMPARISON, PUBLISHED).splitlines()
    assert "over the 3 labelled pairs" in lines[0]
    assert "(labelled boxes: 7 person, 0 bus)" in lines[0]
    assert "as printed in A paper, over other images" in lines[0]
    assert lines[2:] == [
        "| method | AP50 person | AP50 bus | AP50 all "
        "| AP50:95 person | AP50:95 bus | AP50:95 all |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        # What is printed alike is equally good.
        "| infrared | **0.500** |  | **0.500** | 0.250 |  | 0.250 |",
        r"| a\_b | **0.500** |  | **0.500** | **0.333** |  | **0.333** |",
        "| absent |  |  |  |  |  |  |",
        "| X&Y (published) | 0.900 |  | 0.800 |  |  | 0.400 |",
        "",
        "- infrared: 4 images looked at, 3 of them compared",
        r"- a\_b: 5 images looked at, 3 of them compared",
        "- absent: 0 images looked at, 0 of them compared",
    ]


def test_the_csv_has_four_columns_and_full_precision() -> None:
    rows = list(csv.reader(io.StringIO(csv_detections(COMPARISON))))
    assert rows == [
        ["method", "class", "ap50", "ap"],
        ["infrared", "person", "0.5", "0.25"],
        ["infrared", "bus", "", ""],
        ["infrared", "all", "0.5", "0.25"],
        ["a_b", "person", "0.50004", str(1 / 3)],
        ["a_b", "bus", "", ""],
        ["a_b", "all", "0.50004", str(1 / 3)],
        *([["absent", name, "", ""] for name in ("person", "bus", "all")]),
    ]


def test_the_latex_table() -> None:
    text = latex_detections(COMPARISON, PUBLISHED)
    assert r"\begin{tabular}{lrrrrrr}" in text
    assert r" & \multicolumn{3}{c}{AP50} & \multicolumn{3}{c}{AP50:95} \\" in text
    assert r"\cmidrule(lr){2-4}\cmidrule(lr){5-7}" in text
    assert (
        r"a\_b & \textbf{0.500} &  & \textbf{0.500} & \textbf{0.333} &  & \textbf{0.333} \\" in text
    )
    own, published = text.split(r"absent &  &  &  &  &  &  \\")
    assert published.splitlines()[1:3] == [
        *(r"\midrule", r"X\&Y (published) & 0.900 &  & 0.800 &  &  & 0.400 \\"),
    ]
    assert own.count(r"\midrule") == 1
    assert latex_detections(COMPARISON).count(r"\midrule") == 1


def test_the_page_shows_the_table_the_sheet_and_failures_escaped() -> None:
    failure = {"pair_id": "<b>", "method": "m", "stage": "read", "error_message": "gone"}
    report = DetectionReport("T", "run", "Done.", COMPARISON, PUBLISHED, [failure])
    page = detection_page(report, {"data": "data:x", "width": 1, "height": 1})
    assert page.count("<b>0.500</b>") == 4
    assert "X&amp;Y (published)" in page
    assert "&lt;b&gt;" in page
    assert 'src="data:x"' in page
    bare = detection_page(DetectionReport("T", "run", "Done.", None), None)
    assert "Average precision" not in bare
    assert "sheet.png" not in bare


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("method,class,ap50,ap,source\n", "p.csv has no published row"),
        ("method,class,ap50\nX,person,0.5\n", "line 2 of p.csv has"),
        ("method,class,ap50,ap,source\nX,person,57.4,,S\n", "found '57.4' as ap50 in line 2 of p"),
        ("method,class,ap50,ap,source\nX,person,0.5,none,S\n", "found 'none' as ap in line 2 of"),
    ],
)
def test_published_rows_that_are_none_are_refused(text: str, told: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_published_detections(text.encode(), "p.csv")
    assert told in str(refused.value)
