"""The page of a night: whole, small enough, and nothing in it but what we put there."""

import base64
import hashlib
import io
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from invented_nights import HOSTILE, night_of, nights, run_id, summary_of
from PIL import Image
from strict_html import complaints, parsed
from tiny import picture_pair, png

from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports.page import report as report_module
from fusion_core.reports.page import thumbnails as thumbnails_module
from fusion_core.reports.page.footprint_map import Footprint
from fusion_core.reports.page.report import RunReport, report_page, write_report
from fusion_core.reports.page.thumbnails import make_thumbnails
from fusion_core.reports.sheets import ShownPair
from fusion_core.storage.store import Storage
from fusion_core.storage.stored_file import StoredFile

PATH = f"runs/{run_id(5)}/report.html"


@pytest.fixture
def output(tmp_path: Path) -> Storage:
    storage = Storage(str(tmp_path))
    ir, vi = picture_pair(3, (48, 64))
    for name, pixels in (("ir", ir), ("vi", vi), ("fused", vi)):
        storage.write(f"{name}.png", png(pixels))
    return storage


def shown(output: Storage, pair_id: str, value: float = 0.5) -> ShownPair:
    ir, vi, fused = (StoredFile(output, f"{name}.png") for name in ("ir", "vi", "fused"))
    return ShownPair(pair_id, ir, vi, {"fused": fused}, dict.fromkeys(METRIC_NAMES, value))


def report(output: Storage, *pair_ids: str, **more: Any) -> RunReport:
    pairs = tuple(shown(output, one) for one in pair_ids)
    places = tuple(range(len(pairs)))
    given = {"summary": summary_of(5), "before": tuple(nights(5)), **more}
    return RunReport(
        "Night of 2026-11-06",
        sentence="303 pairs found.",
        pairs=pairs,
        worst={"vif": places[:2], "ag": places[::-1][:2]},
        sample=places,
        **given,
    )


def written(output: Storage, made: RunReport) -> str:
    assert write_report(output, PATH, made) == output.url(PATH)
    return output.read(PATH).decode()


def texts(page: str) -> str:
    return " ".join("".join(parsed(page).itertext()).split())


def test_a_page_is_strict_html_that_leads_nowhere_and_has_words_for_everything(
    output: Storage,
) -> None:
    page = written(output, report(output, "gate", "yard", "lane"))
    assert complaints(page) == []
    assert "4 nights" not in page
    said = texts(page)
    for expected in (
        "303 pairs found",
        "7.143 pairs a second",
        "SSIM",
        "lowest 2",
        "fuse30 s75.0 %",
    ):
        assert expected in said, expected
    assert "left the band" not in said


def test_what_left_the_band_is_said_in_words_at_the_top(output: Storage) -> None:
    unmet = ["expected at most 10 %"]
    drifted = report(output, summary=summary_of(5, shift=1.5, unmet=unmet))
    page = report_page(drifted, [])
    assert complaints(page) == []
    (notice,) = [one for one in parsed(page).iter("div") if one.get("class") == "notice"]
    said = " ".join("".join(notice.itertext()).split())
    assert "VIF is below the band of the 5 nights before: mean 0.6" in said
    assert "expected at most 10 %" in said


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_texts(output: Storage, text: str) -> None:
    summary = summary_of(
        5,
        failures=[{"pair_id": text, "stage": text, "error_message": text}],
        undone_pairs=[{"pair_id": text, "stage": text, "error_message": text}],
        **{name: [text] for name in ("unpaired", "ambiguous", "unmatched", "remarks", "unmet")},
        output=text,
        request={text: {text: [text]}},
        stage_seconds={text: {"fuse": 1.0}},
        counts={"failures": 1},
    )
    names = ("status", "stage", "cause", "error_type", "example")
    links = ("../../fused/a.tif", "../../fused/a.json", text)
    box = Footprint(text, 1.0, 1.0, 2.0, 2.0, *links, outline=shapely.box(1, 1, 2, 2).wkb)
    made = report(
        output,
        text,
        summary=summary,
        differences=(text,),
        footprints=(box,),
        scenes=1,
        reasons=({"count": 1, **dict.fromkeys(names, text)},),
    )
    page = written(output, replace(made, title=text, sentence=text))
    assert complaints(page) == []
    body = page.partition("</style>")[2].rpartition("<script>")[0]
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069\x00\x1b]", body)
    shown_as = text.encode("unicode_escape").decode() if not text.isprintable() else text
    assert " ".join(shown_as.replace("\\n", " ").split()) in " ".join(texts(page).split())


def test_a_pair_in_several_lists_has_its_pictures_once(output: Storage) -> None:
    page = written(output, report(output, "gate", "yard"))
    assert len(re.findall("data:image/webp", page)) == 6
    assert page.count('id="pair-0"') == 1
    assert page.count('data-again="pair-0"') == 2


def test_larger_pictures_lie_beside_the_page_as_it_names_them(output: Storage) -> None:
    page = written(output, report(output, "gate"))
    links = re.findall(r'data-larger="([^"]+)"', page)
    assert links == [f"thumbnails/001-{role}.webp" for role in ("ir", "vi", "fused")]
    for link in links:
        with Image.open(io.BytesIO(output.read(f"runs/{run_id(5)}/{link}"))) as picture:
            assert (picture.format, picture.size) == ("WEBP", (64, 48))


def test_the_pictures_in_a_page_are_within_their_budget_however_noisy(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (360, 480, 3), np.uint8)
    monkeypatch.setattr(thumbnails_module, "pictures_of", lambda pair: [noise] * 3)
    pairs = [shown(output, f"p{k}") for k in range(3)]
    for budget in (90_000, 40_000, 900):
        made = make_thumbnails(output, "r", pairs, seconds=60, bytes_embedded=budget)
        sizes = [len(uri) for one in made if one for uri in one.data.values()]
        assert sum(sizes) <= budget
        assert bool(sizes) == (budget > 900)
        assert all(one and len(one.larger) == 3 for one in made)
    data = next(one.data["ir"] for one in made_again(output, pairs))
    body = base64.b64decode(data.partition(",")[2])
    with Image.open(io.BytesIO(body)) as picture:
        assert picture.size == (320, 240)


def made_again(output: Storage, pairs: list[ShownPair]) -> Any:
    return (one for one in make_thumbnails(output, "r", pairs[:1], seconds=60) if one)


def test_where_there_is_no_time_for_pictures_the_page_says_so(output: Storage) -> None:
    write_report(output, PATH, report(output, "gate", "yard"), seconds=-1.0)
    page = output.read(PATH).decode()
    assert complaints(page) == []
    assert texts(page).count("there was no time for it") == 2
    assert not output.exists(f"runs/{run_id(5)}/thumbnails/001-ir.webp")


def test_a_damaged_picture_costs_no_other_one(output: Storage) -> None:
    made = report(output, "gate", "gone")
    gone = replace(made.pairs[1], ir=StoredFile(output, "nothing.png"))
    page = written(output, replace(made, pairs=(made.pairs[0], gone)))
    assert complaints(page) == []
    assert page.count("data:image/webp") == 6


def test_an_empty_night_is_a_page_too(output: Storage) -> None:
    empty = summary_of(5, fused=0, found=0, failed=0, metrics={}, histograms={}, stage_seconds={})
    page = report_page(RunReport("Night", empty, "0 pairs found."), [])
    assert complaints(page) == []
    assert 'id="metrics"' not in page


def test_a_summary_of_a_first_night_has_no_band_and_no_difference(output: Storage) -> None:
    page = report_page(report(output, before=()), [])
    assert "There is no band yet" in page
    assert "night before" not in texts(page).partition("Metrics")[0]
    same = report_page(report(output, differences=()), [])
    assert "The same as the night before." in same


def test_a_policy_allows_the_pages_own_style_and_script_alone(output: Storage) -> None:
    page = report_page(report(output), [])
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    policy = policy.replace("&#39;", "'")
    for tag, kind in (("style", "style-src"), ("script", "script-src")):
        (body,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_largest_page_is_below_five_megabytes(output: Storage) -> None:
    names = [f"{'long/' * 30}{k:04}" for k in range(164)]
    listed = [f"ir/{'x' * 400}_{k}.png" for k in range(100)]
    failures = [
        {"pair_id": name, "stage": "decode", "error_message": "m" * 2000} for name in names[:100]
    ]
    # As many corners as are drawn, none of which lies on a line between others.
    turns = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    star = (
        np.stack([np.cos(turns), np.sin(turns)], 1) * np.where(np.arange(90) % 2, 1, 0.5)[:, None]
    )
    links = ("../../f/" + "a" * 400, None, "f/" + "a" * 400)
    outline = shapely.Polygon(star + 2).wkb
    box = Footprint("s" * 200, 1.0, 1.0, 3.0, 3.0, *links, outline=outline)
    summary = summary_of(
        5, unpaired=listed, ambiguous=listed, unmatched=listed, remarks=listed, failures=failures
    )
    made = report(output, *names, summary=summary, footprints=(box,) * 500, scenes=9)
    full = thumbnails_module.EMBEDDED_BYTES // (3 * len(names))
    uri = "data:image/webp;base64," + "A" * (full - 23)
    paths = {role: f"thumbnails/001-{role}.webp" for role in ("ir", "vi", "fused")}
    picture = thumbnails_module.Thumbnail(320, 240, dict.fromkeys(paths, uri), paths)
    begin = time.process_time()
    page = report_page(made, [picture] * len(names))
    assert time.process_time() - begin < 5
    assert len(page.encode()) < 5_000_000


def test_a_page_that_is_too_large_takes_its_pictures_from_beside_it(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_module, "MOST_BYTES", 20_000)
    page = written(output, report(output, "gate"))
    assert complaints(page) == []
    assert 'src="thumbnails/001-fused.webp"' in page
    assert "data:image" not in page


def test_night_of_reads_what_a_summary_of_this_version_says() -> None:
    night = night_of(3, unmet=["x"])
    assert (night.flow, night.succeeded, night.model, night.unmet) == (
        "fuse-archive", 300, "mean", ("x",)
    )  # fmt: skip
    assert night.report
    assert f"{night.began:%Y-%m-%d}" == "2026-11-04"
