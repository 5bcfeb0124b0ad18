from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports.comparison import Comparison, compare

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("method", "pair_id", "status")]
    + [(name, pa.float64()) for name in METRIC_NAMES]
)


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def row(method: str, pair_id: str, value: float | None = 1.0, **changed: Any) -> dict[str, Any]:
    scores = dict.fromkeys(METRIC_NAMES, value)
    return {"method": method, "pair_id": pair_id, "status": "ok", **scores, **changed}


def comparison(*rows: dict[str, Any], methods: str = "mn") -> Comparison:
    return compare(table(*rows), list(methods), "v")


def test_means_are_over_the_pairs_that_all_methods_have() -> None:
    found = comparison(
        row("m", "1", 1.0), row("m", "2", 3.0), row("m", "3", 99.0), row("n", "1", 2.0),
        row("n", "2", 5.0), row("n", "4", 99.0), row("n", "3", status="failed", value=None),
    )  # fmt: skip
    assert (found.pairs, found.images) == (2, {"m": 3, "n": 3})
    assert found.means["m"]["vif"] == 2.0
    assert found.means["n"]["vif"] == 3.5


def test_a_metric_that_is_undefined_once_leaves_that_pair_out_for_all_and_only_there() -> None:
    found = comparison(
        row("m", "1", 1.0), row("m", "2", 3.0), row("n", "1", 2.0, scd=None), row("n", "2", 4.0)
    )
    assert found.pairs == 2
    assert found.counts == dict.fromkeys(METRIC_NAMES, 2) | {"scd": 1}
    assert (found.means["m"]["scd"], found.means["m"]["ag"]) == (3.0, 2.0)


def test_equal_means_share_a_rank_and_the_next_one_is_skipped() -> None:
    values = {"a": 1.0, "b": 2.0, "c": 2.00001, "d": 0.5}  # b and c are printed alike
    found = comparison(*(row(name, "1", value) for name, value in values.items()), methods="abcd")
    assert found.ranks("vif") == {"a": 3, "b": 1, "c": 1, "d": 4}
    assert found.mean_ranks() == {"a": 3.0, "b": 1.0, "c": 1.0, "d": 4.0}


def test_mean_ranks_are_over_the_metrics() -> None:
    found = comparison(row("m", "1", 1.0), row("n", "1", 2.0, vif=0.0))
    assert found.ranks("vif") == {"m": 1, "n": 2}
    assert found.mean_ranks() == {"m": pytest.approx(13 / 7), "n": pytest.approx(8 / 7)}


def test_a_method_without_images_takes_none_from_the_others() -> None:
    found = comparison(row("m", "1"), row("gone", "1", status="failed", value=None), methods="mn")
    assert (found.pairs, found.images) == (1, {"m": 1, "n": 0})
    assert found.means["n"] == dict.fromkeys(METRIC_NAMES)
    assert found.ranks("en") == {"m": 1, "n": None}
    assert found.mean_ranks() == {"m": 1.0, "n": None}


@pytest.mark.parametrize("rows", [[], [row("m", "1"), row("n", "2")]])
def test_without_a_common_pair_there_is_no_mean(rows: list[dict[str, Any]]) -> None:
    found = comparison(*rows)
    assert found.pairs == 0
    assert {mean for means in found.means.values() for mean in means.values()} == {None}
    assert set(found.mean_ranks().values()) == {None}


def test_methods_that_were_not_asked_for_have_no_say() -> None:
    found = comparison(row("m", "1"), row("m", "2"), row("other", "1"), methods="m")
    assert (found.pairs, found.methods) == (2, ("m",))


VALUES = st.none() | st.integers(0, 9)


@settings(max_examples=40)
@given(st.dictionaries(st.tuples(st.sampled_from("mn"), st.sampled_from("123")), VALUES))
def test_means_are_those_of_pandas(values: dict[tuple[str, str], int | None]) -> None:
    found = comparison(*(row(*key, value) for key, value in values.items()))
    frame = pd.DataFrame(
        {name: [values.get((name, pair)) for pair in "123"] for name in "mn"}, dtype=float
    )
    present = [name for name in "mn" if any(key[0] == name for key in values)]
    means = frame.dropna(subset=present)[present].mean() if present else {}
    for name in "mn":
        expected = means.get(name)
        wanted = None if expected is None or pd.isna(expected) else expected
        assert found.means[name]["qabf"] == pytest.approx(wanted)
