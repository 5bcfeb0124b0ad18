"""What a night's figures are compared with, and when they are said to have left it."""

from invented_nights import night_of, nights

from fusion_core.reports.page.band import BAND_NIGHTS, bands, comparable, departures


def test_a_night_like_the_others_leaves_nothing() -> None:
    for number in range(2, 12):
        assert departures(night_of(number), nights(number)) == []


def test_a_drifted_night_is_found_with_two_nights_before_it() -> None:
    found = departures(night_of(2, shift=1.2), nights(2))
    assert {one.metric for one in found} == {"vif"}
    assert {one.statistic for one in found} == {"mean", "p05", "median", "p95"}
    assert {one.direction for one in found} == {"below"}
    assert {one.direction for one in departures(night_of(2, shift=-1.2), nights(2))} == {"above"}


def test_one_night_makes_no_band() -> None:
    assert departures(night_of(1, shift=9.0), nights(1)) == []


def test_a_night_of_few_pairs_may_differ_by_more() -> None:
    wide, narrow = (
        bands(night_of(5, pairs=pairs), nights(5), "vif")["mean"] for pairs in (12, 3000)
    )
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert narrow.nights == 5


def test_nights_of_the_same_model_and_settings_are_compared_where_there_are_two() -> None:
    other = {"settings_hash": "f" * 16, "model": {"sha256": "ab" * 32}}
    before = [*nights(6)[:4], night_of(1, request=other), night_of(0, request=other)]
    assert [one.run_id for one in comparable(night_of(8), before)] == [
        one.run_id for one in before[:4]
    ]
    assert comparable(night_of(8, request=other), before) == before[4:]
    assert comparable(night_of(8, request=other), before[:5]) == before[:5]


def test_nights_of_other_definitions_empty_ones_and_other_runs_make_no_band() -> None:
    odd = [
        night_of(1, metric_version="textbook-1"),
        night_of(2, fused=0),
        night_of(3).model_copy(update={"flow": "evaluate"}),
    ]
    assert comparable(night_of(9), odd) == []
    many = [night_of(number % 25) for number in range(30)]
    assert len(comparable(night_of(29), many)) == BAND_NIGHTS


def test_a_night_without_histograms_is_compared_by_its_means() -> None:
    plain = {"histograms": {}}
    found = departures(night_of(4, shift=2.0, **plain), nights(4, **plain))
    assert [(one.metric, one.statistic) for one in found] == [("vif", "mean")]
