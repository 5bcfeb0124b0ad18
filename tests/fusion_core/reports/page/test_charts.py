import re

from invented_nights import night_of, nights

from fusion_core.archive.run_figures import Histogram
from fusion_core.metrics.bins import BIN_EDGES
from fusion_core.reports.page.charts import histogram_chart, night_line, share_bars

BINS = len(BIN_EDGES["vif"]) - 1


def histogram(**counts: int) -> Histogram:
    all_counts = [counts.get(f"bin{k}", 0) for k in range(BINS)]
    return Histogram(counts=tuple(all_counts), quantiles=(0.1, 0.2, 0.3))


def test_bars_are_as_high_as_their_share_and_the_mean_stands_at_its_place() -> None:
    drawn = histogram_chart("vif", histogram(bin10=30, bin11=10), [], mean=0.55, label="VIF")
    bars = re.findall(
        r'class="bar" x="([\d.]+)" y="[\d.]+" width="[\d.]+" height="([\d.]+)"', drawn
    )
    (_, high), (right, low) = [(float(x), float(h)) for x, h in bars]
    assert high == 3 * low
    place = float(re.findall(r'class="mean" d="M([\d.]+)', drawn)[0])
    assert abs(place - (right - 1)) < 0.2  # 0.55 is the edge between the two bars
    assert "band" not in drawn


def test_the_band_is_drawn_of_the_nights_that_can_be_compared() -> None:
    known = [night.histograms["vif"] for night in nights(3)]
    drawn = histogram_chart("vif", night_of(4).histograms["vif"], known, mean=None, label="VIF")
    assert 'class="band"' in drawn
    other = [one.model_copy(update={"bins": 99}) for one in known]
    drawn = histogram_chart("vif", night_of(4).histograms["vif"], other, mean=None, label="VIF")
    assert 'class="band"' not in drawn
    short = [Histogram(counts=(1, 2), quantiles=()), histogram()]
    assert 'class="band"' not in histogram_chart("vif", None, short, mean=None, label="VIF")


def test_words_of_a_chart_are_escaped() -> None:
    for drawn in (
        histogram_chart("vif", None, [], mean=None, label='"><b>'),
        night_line([1.0], [False], '"><b>'),
        share_bars({'"><b>': 1.0}, '"><b>'),
    ):
        assert "<b>" not in drawn


def test_a_line_has_a_gap_where_a_night_has_no_figure_and_marks_those_that_left() -> None:
    drawn = night_line([1.0, 2.0, None, 4.0, 3.0], [False, True, False, False, False], "VIF")
    path = re.findall(r'class="line" d="([^"]+)"', drawn)[0]
    assert (path.count("M"), path.count("L")) == (2, 2)
    assert drawn.count('class="left"') == 1
    assert drawn.count('class="last"') == 1
    assert "NaN" not in night_line([], [], "none")
