"""The list of an output's nights, and what is kept for it."""

import json
import time

import pytest
from invented_nights import HOSTILE, night_of, nights, run_id, summary_of
from strict_html import complaints, parsed

from fusion_core.reports.page.night import Night
from fusion_core.reports.page.nights import MOST_NIGHTS, kept_body, newest, nights_page, read_kept


def texts(page: str) -> str:
    return " ".join("".join(parsed(page).itertext()).split())


def test_three_nights_of_which_one_drifted_are_listed_newest_first_and_marked() -> None:
    asked = {"settings_hash": "9fd1a20be75cc001", "model": {"sha256": "cd" * 32}}
    drifted = night_of(2, shift=1.5, request=asked, unmet=["expected 1 %, found <b>9 %</b>"])
    page = nights_page([*nights(2), drifted], [run_id(0), run_id(2)], "Nights of s3://out")
    assert complaints(page) == []
    rows = parsed(page).findall(".//table[@class='nights']/tbody/tr")
    first, second, third = (" ".join("".join(row.itertext()).split()) for row in rows)
    assert first.startswith("2026-11-03 02:30")
    assert "VIF below the band" in first
    assert "expected 1 %, found <b>9 %</b>" in first
    assert "changed" in first
    assert "band" not in second + third
    assert "changed" not in second + third
    links = [row.find("./th/a") for row in rows]
    assert [None if link is None else link.get("href") for link in links] == [
        f"runs/{run_id(2)}/report.html",
        None,
        f"runs/{run_id(0)}/report.html",
    ]
    assert "of 3 nights from" in page


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_of_summaries_stay_texts(text: str) -> None:
    night = night_of(1, unmet=[text], request={"settings_hash": text, "model": {"name": text}})
    page = nights_page([night.model_copy(update={"run_id": text}), night], [text], text)
    assert complaints(page) == []
    assert "\u202e" not in page
    assert "\x1b" not in page


def test_runs_without_a_summary_and_other_commands_are_told_apart() -> None:
    scored = Night.of_summary(run_id(1), {"scored": 5, "failed": 0, "seconds": 3, "report": "x"})
    dead = Night.of_summary(run_id(0), None)
    page = nights_page([scored, dead], [run_id(1)], "Nights")
    assert complaints(page) == []
    assert "ended without a summary" in texts(page)
    assert "score-archive" in texts(page)
    assert complaints(nights_page([], [], "Nights")) == []


def test_what_is_kept_is_read_again_and_what_cant_be_read_is_nothing() -> None:
    known = nights(5)
    assert read_kept(kept_body(known)) == known
    for body in (b"", b"{}", b"[]", kept_body(known)[:-9], b'{"version": 2, "nights": []}'):
        assert read_kept(body) == []


def test_no_more_than_the_newest_nights_are_kept() -> None:
    many = [Night(run_id=f"{number:05}") for number in range(MOST_NIGHTS + 7)]
    found = read_kept(kept_body(many))
    assert len(found) == MOST_NIGHTS
    assert (found[0].run_id, found[-1].run_id) == (f"{MOST_NIGHTS + 6:05}", "00007")
    assert newest([many[0], many[0]]) == [many[0]]


@pytest.mark.parametrize(
    "summary",
    [
        {},
        {"fused": "many"},
        {"fused": 1, "metrics": [1], "histograms": {"vif": 7}, "request": "x", "unmet": 5},
        {"fused": 1, "metrics": {"vif": {"mean": "low"}}, "seconds": None},
        {"models": {"a": {"fused": 3}, "b": 4}, "request": {"model": "x"}},
    ],
)
def test_whatever_a_summary_holds_its_run_is_listed(summary: dict[str, object]) -> None:
    night = Night.of_summary(run_id(1), summary)
    assert night.run_id == run_id(1)
    assert complaints(nights_page([night], [], "Nights")) == []


def test_a_years_nights_are_a_small_page_and_quickly_made() -> None:
    usual = summary_of(1)
    many = [Night.of_summary(f"2026{k:04}T000000Z-x", usual) for k in range(MOST_NIGHTS)]
    begin = time.process_time()
    page = nights_page(many, [], "Nights")
    assert time.process_time() - begin < 10
    assert len(page) < 1_000_000
    assert len(kept_body(many)) < 1_500_000
    assert json.loads(kept_body(many))["nights"][0]["succeeded"] == 300
