from typing import Any

import pytest

from fusion_core.errors import WeightsError
from fusion_core.models.exported.graph import Unreadable
from fusion_core.models.exported.sizes import SizeRules, read_sizes

ONE = {"as_int": 1}


def symbol(name: str) -> str:
    return f"Symbol('{name}', positive=True, integer=True)"


def free(name: str, multiple: int = 1) -> dict[str, Any]:
    text = symbol(name) if multiple == 1 else f"Mul(Integer({multiple}), {symbol(name)})"
    return {"as_expr": {"expr_str": text, "hint": {"as_int": 64}}}


def rules(
    height: dict[str, Any],
    width: dict[str, Any],
    *guards: str,
    ranges: dict[str, Any] | None = None,
    batch: dict[str, Any] = ONE,
) -> SizeRules:
    return read_sizes([[batch, ONE, height, width]] * 2, ranges or {}, list(guards))


def test_a_free_size_is_taken_as_it_is() -> None:
    assert rules(free("h"), free("w")).fit(17, 33) == (17, 33)


def test_a_fixed_size_takes_all_that_fit_into_it() -> None:
    fixed = rules({"as_int": 32}, {"as_int": 48})
    assert fixed.fit(32, 48) == fixed.fit(1, 7) == (32, 48)
    with pytest.raises(WeightsError, match=r"can't take 48x33.*heights 32 and widths 48"):
        fixed.fit(33, 48)


def test_multiples_and_ranges_by_hand() -> None:
    ranges = {"h": {"min_val": 2, "max_val": 8}, "w": {"min_val": None, "max_val": None}}
    made = rules(free("h", 8), free("w", 4), ranges=ranges)
    assert made.fit(17, 17) == (24, 24)  # the first of 1, 2, 4, 8, … that suits both sides
    assert made.fit(16, 20) == (16, 20)
    assert made.fit(1, 1) == (16, 4)
    assert made.fit(64, 1000) == (64, 1000)
    with pytest.raises(WeightsError, match="heights 16 to 64 in steps of 8"):
        made.fit(65, 100)


def test_guards_decide_too() -> None:
    even = "(2 + 2*(((-1) + L['vi'].size()[3]) // 2)) == L['vi'].size()[3]"
    wide = "L['inputs'][0].size()[2] < L['ir'].size()[3] and not L['ir'].size()[3] == 34"
    assert rules(free("h"), free("w"), even).fit(5, 9) == (6, 10)
    assert rules(free("h"), free("w"), even, wide).fit(5, 33) == (8, 36)
    assert rules(free("h"), free("w"), "max(L['ir'].size()[2], 3) % 32 == 0").fit(5, 9) == (32, 32)
    square = rules(free("s"), free("s"))
    assert square.fit(60, 63) == (64, 64)
    with pytest.raises(WeightsError, match="can't take"):
        square.fit(10, 500)


def test_a_guard_that_divides_by_nothing_is_not_met() -> None:
    odd = rules(free("h"), free("w"), "L['ir'].size()[2] // (L['ir'].size()[3] - 64) == 0")
    assert odd.fit(8, 80) == (8, 80)
    with pytest.raises(WeightsError):
        odd.fit(64, 64)


@pytest.mark.parametrize(
    "guard",
    [
        "__import__('os').mkdir('made')",
        "print(1)",
        "L['ir'].stride()[0] == 1",
        "max.__class__",
        "(lambda: 1)()",
        "[1][0]",
        "2 ** 99999999",
        "'text' == 'text'",
        "1 ==",
        "max()",
        "(" * 5000,
    ],
)
def test_other_guards_are_refused_and_not_run(guard: str, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Unreadable, match="condition that can't be read"):
        rules(free("h"), free("w"), guard)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    "text",
    ["__import__('os').mkdir('made')", "Add(Integer(1), Symbol('h'))", "Symbol('h');1", "h", ""],
)
def test_other_expressions_are_refused_and_not_run(
    text: str, tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Unreadable, match="sizes of the form"):
        rules({"as_expr": {"expr_str": text}}, free("w"))
    assert not [*tmp_path.iterdir()]


def test_batches_and_channels() -> None:
    two = {"b": {"min_val": 2, "max_val": 16}}  # torch's own least size of anything free
    assert rules(free("h"), free("w"), batch=free("b"), ranges=two).fit(3, 4) == (3, 4)
    for batch in ({"as_int": 4}, free("c")):
        with pytest.raises(Unreadable, match="expected 1 or any"):
            rules(free("h"), free("w"), batch=batch, ranges={"c": {"min_val": 3}})
    for shape in ([ONE, {"as_int": 3}, free("h"), free("w")], [ONE, free("h"), free("w")]):
        with pytest.raises(Unreadable, match="luminance alone"):
            read_sizes([shape] * 2, {}, [])
