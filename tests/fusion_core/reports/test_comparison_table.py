import csv
import io

import pytest

from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports.comparison import Comparison
from fusion_core.reports.comparison_table import caption, csv_table, latex_table, markdown_table
from fusion_core.reports.published import PublishedRow

ODD = r"a_b|*50% & #1\{x}~^$"


def comparison(odd: str = "odd") -> Comparison:
    """Two methods that are equal in AG, and of which odd has no VIF and one image more."""
    plain: dict[str, float | None] = dict.fromkeys(METRIC_NAMES, 0.25)
    means = {"plain": plain | {"ag": 3.00001}, odd: plain | {"vif": None, "ag": 3.0, "en": 1 / 3}}
    counts = dict.fromkeys(METRIC_NAMES, 8) | {"vif": 0}
    return Comparison(("plain", odd), {"plain": 8, odd: 9}, 8, counts, means, "published-1")


def test_the_markdown_table_is_this_one() -> None:
    assert (
        markdown_table(comparison())
        == """\
Means over the 8 pairs that all compared methods have a scored image of (where defined: VIF over \
0); metrics published-1. Higher is better for all seven; ranks in brackets, best in bold.

| method | VIF ↑ | AG ↑ | SCD ↑ | Qabf ↑ | SF ↑ | EN ↑ | SSIM ↑ | mean rank ↓ |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| plain | **0.2500** (1) | **3.0000** (1) | **0.2500** (1) | **0.2500** (1) | **0.2500** (1) | \
0.2500 (2) | **0.2500** (1) | 1.14 |
| odd |  | **3.0000** (1) | **0.2500** (1) | **0.2500** (1) | **0.2500** (1) | **0.3333** (1) | \
**0.2500** (1) | **1.00** |

- odd: 9 images scored, 8 of them compared
"""
    )


PRINTED = {"vif": 0.9, "ag": 9.0, "scd": 1.9, "qabf": 0.8, "sf": 19.0, "en": 7.5, "ssim": 1.2}
PUBLISHED = (PublishedRow("Dense_Fuse", 42, PRINTED, "A paper, 2025"),)


def test_published_rows_stand_below_with_their_images_and_take_no_rank() -> None:
    assert (
        markdown_table(comparison(), PUBLISHED)
        == """\
Means over the 8 pairs that all compared methods have a scored image of (where defined: VIF over \
0); metrics published-1. Higher is better for all seven; ranks in brackets, best in bold. \
Published rows are as printed in A paper, 2025: means over 42 images, not scored here. They have \
no rank, since other images alone make other means.

| method | images | VIF ↑ | AG ↑ | SCD ↑ | Qabf ↑ | SF ↑ | EN ↑ | SSIM ↑ | mean rank ↓ |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| plain | 8 | **0.2500** (1) | **3.0000** (1) | **0.2500** (1) | **0.2500** (1) | **0.2500** (1) \
| 0.2500 (2) | **0.2500** (1) | 1.14 |
| odd | 8 |  | **3.0000** (1) | **0.2500** (1) | **0.2500** (1) | **0.2500** (1) | \
**0.3333** (1) | **0.2500** (1) | **1.00** |
| Dense\\_Fuse (published) | 42 | 0.9000 | 9.0000 | 1.9000 | 0.8000 | 19.0000 | 7.5000 | 1.2000 |  |

- odd: 9 images scored, 8 of them compared
"""
    )


def test_published_rows_in_latex_stand_below_a_rule() -> None:
    lines = latex_table(comparison(), PUBLISHED).splitlines()
    assert r"\begin{tabular}{lrrrrrrrrr}" in lines
    first, second = (k for k, line in enumerate(lines) if line == r"\midrule")
    assert lines[first - 1].startswith(r"Method & Images & VIF $\uparrow$ & AG")
    assert lines[first + 1].startswith(r"plain & 8 & \textbf{0.2500} (1) & ")
    assert lines[second + 1 : second + 3] == [
        r"Dense\_Fuse (published) & 42 & 0.9000 & 9.0000 & 1.9000 & 0.8000 & 19.0000 & 7.5000 & "
        r"1.2000 &  \\",
        r"\bottomrule",
    ]
    assert "A paper, 2025" in lines[3]


def test_published_rows_in_csv_name_their_source_and_rank_nowhere() -> None:
    ours, _, published = csv.DictReader(io.StringIO(csv_table(comparison(), PUBLISHED)))
    assert (ours["source"], published["source"]) == ("", "A paper, 2025")
    assert [published[name] for name in ("method", "images", "pairs")] == ["Dense_Fuse", "42", "42"]
    assert {metric: float(published[metric]) for metric in METRIC_NAMES} == PRINTED
    unranked = ["mean_rank", "metric_version", *(f"rank_{metric}" for metric in METRIC_NAMES)]
    assert {published[name] for name in unranked} == {""}
    alone, _ = csv.DictReader(io.StringIO(csv_table(comparison())))
    assert alone == ours


def test_rows_of_several_tables_are_told_with_their_numbers_of_images_and_sources() -> None:
    other = PublishedRow("M", 361, PRINTED, "Another, 2024")
    told = caption(comparison(), (*PUBLISHED, other, *PUBLISHED))
    assert "as printed in A paper, 2025; Another, 2024: means over 42 or 361 images" in told


def test_the_latex_table_has_rules_and_bold_and_no_character_that_latex_takes_for_its_own() -> None:
    text = latex_table(comparison(ODD))
    for rule in ("toprule", "midrule", "bottomrule", r"begin{tabular}{lrrrrrrrr}"):
        assert text.count(f"\\{rule}") == 1
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert rows[0].startswith(r"Method & VIF $\uparrow$ & AG $\uparrow$")
    assert r"$Q^{AB/F}$ $\uparrow$" in rows[0]
    assert rows[1].startswith(r"plain & \textbf{0.2500} (1) & \textbf{3.0000} (1)")
    escaped = r"a\_b|*50\% \& \#1\textbackslash{}\{x\}\textasciitilde{}\textasciicircum{}\$"
    assert rows[2].startswith(escaped + " &  & ")
    assert all(row.replace(r"\&", "").count("&") == 8 for row in rows)
    assert f"{escaped}: 9 images scored" in text


def test_a_method_name_cannot_break_the_markdown_table() -> None:
    line = markdown_table(comparison(ODD)).splitlines()[5]
    assert line.startswith(r"| a\_b\|\*50% & #1\\{x}~^$ |  | ")


def test_the_csv_table_has_full_precision_and_blanks() -> None:
    plain, odd = csv.DictReader(io.StringIO(csv_table(comparison('a,"b'))))
    assert odd["method"] == 'a,"b'
    assert float(odd["en"]) == 1 / 3
    assert float(plain["ag"]) == 3.00001
    assert (odd["vif"], odd["rank_vif"]) == ("", "")
    assert (plain["rank_ag"], odd["rank_ag"], plain["rank_en"]) == ("1", "1", "2")
    assert (plain["images"], odd["images"], odd["pairs"]) == ("8", "9", "8")
    assert float(plain["mean_rank"]) == pytest.approx(8 / 7)
    assert plain["metric_version"] == "published-1"


def test_where_there_is_nothing_to_compare_the_tables_are_blank() -> None:
    means: dict[str, dict[str, float | None]] = {"m": dict.fromkeys(METRIC_NAMES)}
    empty = Comparison(("m",), {"m": 0}, 0, dict.fromkeys(METRIC_NAMES, 0), means, "v")
    assert "| m |  |  |  |  |  |  |  |  |" in markdown_table(empty)
    assert "- m: 0 images scored" in markdown_table(empty)
    assert r"m &  &  &  &  &  &  &  &  \\" in latex_table(empty)
    assert csv_table(empty).splitlines()[1] == "m,0,0,,,,,,,,,,,,,,,,v,"
