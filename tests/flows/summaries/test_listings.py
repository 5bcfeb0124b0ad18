import re

from flows.summaries.listings import code_span, failure_lines, listing_lines, table_cell

HOSTILE = (
    "a|b\n<img src=x>[go](http://127.0.0.1/)`code`\\|\x1b[31mred\x1b]0;title\x07\r\u202eflipped"
)


def test_a_cell_of_hostile_text_is_one_cell_of_plain_text() -> None:
    shown = table_cell(HOSTILE)
    assert shown.isprintable()
    assert re.findall(r"(?<!\\)(?:\\\\)*[|<\[`]", shown) == []
    assert r"\x1b" in shown
    assert r"\u202e" in shown


def test_a_row_of_failures_keeps_its_three_cells_whatever_the_rows_say() -> None:
    row = {"pair_id": HOSTILE, "stage": HOSTILE, "error_message": HOSTILE}
    (line,) = failure_lines("Failed pairs", [row], 1)[-1:]
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 4
    assert len(table_cell("x" * 10_000)) == 2000


def test_a_listed_name_stays_code_whatever_is_in_it() -> None:
    assert code_span("ir/a.png") == "`ir/a.png`"
    assert code_span("a`b``c") == "``` a`b``c ```"
    (line,) = listing_lines("Remarks", ["x` <b>\n## Done"], 1)[-1:]
    assert line == "- `` x` <b> ## Done ``"
