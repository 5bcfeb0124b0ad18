"""The pages as a browser shows them: from a file, without a network, on a phone, by keyboard."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely
from invented_nights import HOSTILE, night_of, nights, run_id, summary_of
from tiny import picture_pair, png

from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports.page.footprint_map import Footprint
from fusion_core.reports.page.nights import nights_page
from fusion_core.reports.page.report import RunReport, write_report
from fusion_core.reports.sheets import ShownPair
from fusion_core.storage.store import Storage
from fusion_core.storage.stored_file import StoredFile

pytestmark = pytest.mark.browser

NARROW, WIDE = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
FOLDER = f"runs/{run_id(2)}"


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three nights of which the last drifted, its page, and the list of all."""
    folder = tmp_path_factory.mktemp("pages")
    storage = Storage(str(folder))
    ir, vi = picture_pair(3, (480, 640))
    for name, pixels in (("ir", ir), ("vi", vi), ("fused", vi[::-1])):
        storage.write(f"{name}.png", png(pixels))
    files = [StoredFile(storage, f"{name}.png") for name in ("ir", "vi", "fused")]
    pairs = tuple(
        ShownPair(name, files[0], files[1], {"fused": files[2]}, dict.fromkeys(METRIC_NAMES, 0.5))
        for name in HOSTILE
    )
    ends = (9.0, 47.0, 10.0, 48.0)
    tilted = shapely.Polygon([(9.2, 47.0), (10.0, 47.2), (9.8, 48.0), (9.0, 47.8)]).wkb
    links = ("../../fused/a.tif", "../../fused/a.json", "a")
    scene = Footprint("scene", *ends, *links, outline=tilted)
    report = RunReport(
        "Night of 2026-11-03",
        summary_of(2, shift=1.5, unmet=["expected at most 10 % unpaired files, found 33 %"]),
        "303 pairs found.",
        tuple(nights(2)),
        differences=("scaling: auto → range",),
        pairs=pairs,
        worst={"vif": (0, 1, 2), "ag": (2, 1, 0)},
        sample=tuple(range(len(pairs))),
        footprints=(scene, dataclasses.replace(scene, outline=shapely.box(9.5, 47, 10.5, 48).wkb)),
        scenes=2,
    )
    write_report(storage, f"{FOLDER}/report.html", report)
    listed = [*nights(2), night_of(2, shift=1.5)]
    page = nights_page(listed, [run_id(2)], "Nights of s3://archive-fused")
    storage.write("index.html", page.encode())
    return folder


@pytest.fixture(params=[NARROW, WIDE], ids=["narrow", "wide"])
def page(request: pytest.FixtureRequest, browser: Any) -> Iterator[Any]:
    """A tab that may not use a network, and in which nothing may go wrong unseen."""
    context = browser.new_context(viewport=request.param, offline=True)
    tab = context.new_page()
    tab.wrong = []
    tab.on("pageerror", lambda error: tab.wrong.append(str(error)))
    tab.on("console", lambda told: tab.wrong.append(told.text) if told.type == "error" else None)
    tab.on("dialog", lambda dialog: tab.wrong.append(dialog.message))
    yield tab
    assert tab.wrong == []
    context.close()


def opened(page: Any, path: Path) -> Any:
    page.goto(path.as_uri())
    return page


def is_as_wide_as_the_window(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def is_soon(page: Any, what: Callable[[], bool]) -> bool:
    """Wait some seconds; Playwright's own waiting evaluates a text, which the policy forbids."""
    for _ in range(100):
        if what():
            return True
        page.wait_for_timeout(50)
    return what()


def test_a_page_fits_every_window_and_its_policy_lets_it_work(
    page: Any, output: Path, shoot: Callable[[Any, str], None]
) -> None:
    opened(page, output / FOLDER / "report.html")
    shoot(page, f"report-{page.viewport_size['width']}")
    assert is_as_wide_as_the_window(page)
    layered = page.locator(".viewer.layered")
    assert is_soon(page, lambda: layered.count() == 3)  # those in the list that is open
    assert page.locator(".card img").first.evaluate("image => image.naturalWidth") > 0
    page.locator("#worst-ag > summary").click()
    others = page.locator("#worst-ag .viewer.layered")
    assert is_soon(page, lambda: others.count() == 3)
    assert is_as_wide_as_the_window(page)


def test_the_slider_is_moved_by_keys_and_says_what_it_shows(page: Any, output: Path) -> None:
    opened(page, output / FOLDER / "report.html")
    slider = page.locator(".viewer input").first
    assert slider.get_attribute("aria-valuetext") == "fused"
    slider.focus()
    page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuetext") == "infrared"
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    told = "visible left of 30 percent, infrared right of it"
    assert is_soon(page, lambda: slider.get_attribute("aria-valuetext") == told)
    clip = page.locator(".viewer .vi img").first.evaluate("image => image.style.clipPath")
    assert clip == "inset(0px 70% 0px 0px)"


def test_larger_pictures_are_taken_where_they_lie_beside_and_else_those_in_the_page(
    page: Any, output: Path, tmp_path: Path
) -> None:
    opened(page, output / FOLDER / "report.html")
    image = page.locator(".viewer .fused img").first
    assert image.evaluate("image => image.naturalWidth") == 320
    page.locator(".viewer input").first.focus()
    assert is_soon(page, lambda: image.evaluate("image => image.naturalWidth") == 640)
    alone = tmp_path / "report.html"
    alone.write_bytes((output / FOLDER / "report.html").read_bytes())
    opened(page, alone)
    page.locator(".viewer input").first.focus()
    page.wait_for_timeout(200)
    assert page.locator(".viewer .fused img").first.evaluate("one => one.naturalWidth") == 320
    page.wrong[:] = [one for one in page.wrong if "ERR_FILE_NOT_FOUND" not in one]


def test_the_page_is_whole_without_a_script(browser: Any, output: Path) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = opened(context.new_page(), output / FOLDER / "report.html")
    assert page.locator("#worst-vif img").count() == 9
    assert page.locator("#worst-vif img").nth(8).is_visible()
    assert page.get_by_text("left the band").first.is_visible()
    context.close()


def test_the_list_of_nights_marks_the_drifted_one_and_leads_to_its_page(
    page: Any, output: Path, shoot: Callable[[Any, str], None]
) -> None:
    opened(page, output / "index.html")
    shoot(page, f"nights-{page.viewport_size['width']}")
    assert is_as_wide_as_the_window(page)
    rows = page.locator("table.nights tbody tr")
    assert rows.count() == 3
    assert "below the band" in rows.nth(0).inner_text()
    assert "band" not in rows.nth(1).inner_text()
    rows.nth(0).locator("a").click()
    assert is_soon(page, lambda: page.locator("h1").inner_text() == "Night of 2026-11-03")
    page.get_by_role("link", name="All nights").click()
    listed = "Nights of s3://archive-fused"
    assert is_soon(page, lambda: page.locator("h1").inner_text() == listed)


def test_the_first_key_leads_past_the_links(page: Any, output: Path) -> None:
    opened(page, output / FOLDER / "report.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert is_soon(page, lambda: page.evaluate("document.activeElement.id") == "main")


CONTRAST = """() => {
  const light = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const node of document.querySelectorAll("body *:not(svg *):not(script):not(style)")) {
    if (!node.innerText?.trim() || node.closest(".hidden, .skip")) continue;
    const behind = (one) => getComputedStyle(one).backgroundColor;
    let back = node;
    while (behind(back) === "rgba(0, 0, 0, 0)" && back.parentElement) back = back.parentElement;
    const pair = [getComputedStyle(node).color, behind(back)].map(light)
      .sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) found.push(`${node.tagName}.${node.className}: ${ratio.toFixed(2)}`);
  }
  return [...new Set(found)];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_texts_stand_out_from_what_is_behind_them(
    browser: Any, output: Path, scheme: str
) -> None:
    context = browser.new_context(color_scheme=scheme, offline=True)
    for path in ("index.html", f"{FOLDER}/report.html"):
        page = opened(context.new_page(), output / path)
        assert page.evaluate(CONTRAST) == []
    context.close()
