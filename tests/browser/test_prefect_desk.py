"""What an operator sees in Prefect's own pages: the form of a run, its progress, how it ended."""

import json
import re
import sqlite3
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from prefect_processes import PrefectServer, prefect_server
from processes import kill_tree
from tiny import settings_for, tiny_weights, write_pairs

from fusion_core.settings import FuseArchiveSettings, grouped

pytestmark = [pytest.mark.browser, pytest.mark.ray, pytest.mark.timeout(600)]
PAIRS = 40
Shoot = Callable[[Page, str], None]
CREATION = re.compile("/create_flow_run$")


class Desk:
    """A server with its pages, a deployment on it, and a worker."""

    def __init__(self, server: PrefectServer):
        self.server = server
        self.deployment = self.ask("deployments/name/fuse-archive/nightly")["id"]

    def ask(self, path: str, question: Any = None) -> Any:
        """Ask the server's API."""
        request = urllib.request.Request(
            f"{self.server.environment['PREFECT_API_URL']}/{path}",
            data=None if question is None else json.dumps(question).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def runs(self) -> list[dict[str, Any]]:
        """Return all flow runs."""
        return list(self.ask("flow_runs/filter", {}))

    def artifacts(self, run: str) -> dict[str, dict[str, Any]]:
        """Return the artifacts of a flow run by their keys."""
        found = self.ask("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
        return {one["key"]: one for one in found}

    def wait_for_log(self, run: str, sentence: str) -> None:
        """Wait until the server has a line of a run's log: a run sends them a while after.

        A page opened before that went without them for five seconds at least.
        """
        deadline = time.monotonic() + 60
        asked = {"logs": {"flow_run_id": {"any_": [run]}}}
        while not any(sentence in line["message"] for line in self.ask("logs/filter", asked)):
            assert time.monotonic() < deadline, f"never logged: {sentence}"
            time.sleep(0.3)

    def url(self, path: str) -> str:
        """Return the address of a page."""
        pages = self.server.environment["PREFECT_API_URL"].removesuffix("/api")
        return f"{pages}/v2/{path}"


def sort_as_jsonb(value: Any) -> Any:
    """Return JSON as PostgreSQL's JSONB gives it back: shorter keys first, then by letters."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key), key))
        return {key: sort_as_jsonb(value[key]) for key in keys}
    return [sort_as_jsonb(one) for one in value] if isinstance(value, list) else value


def lose_key_order(database: Path) -> None:
    with sqlite3.connect(database, timeout=60) as connection:
        rows = connection.execute("SELECT id, parameter_openapi_schema FROM deployment").fetchall()
        for row, schema in rows:
            connection.execute(
                "UPDATE deployment SET parameter_openapi_schema = ? WHERE id = ?",
                (json.dumps(sort_as_jsonb(json.loads(schema))), row),
            )
    connection.close()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    write_pairs(folder / "in", [f"p{k:02}" for k in range(PAIRS)], size=(240, 320))
    (folder / "in/ir/p07.png").write_bytes(b"no image")
    settings = settings_for(
        folder / "in", folder / "out", tiny_weights(folder), chunk_pairs=8, max_workers=1
    )
    with prefect_server(folder / "server", {}) as server:
        server.deploy(settings.model_dump(mode="json", exclude_none=True))
        lose_key_order(folder / "server/home/prefect.db")
        worker = server.start_worker()
        yield Desk(server)
        kill_tree(worker.pid)
        worker.wait()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page, high enough for a form as a whole."""
    opened = browser.new_page(viewport={"width": 1200, "height": 1000})
    opened.set_default_timeout(60_000)
    yield opened
    opened.close()


def open_form(desk: Desk, page: Page) -> None:
    page.goto(desk.url(f"deployments/deployment/{desk.deployment}/run"))
    expect(page.get_by_label("Where · source")).to_be_visible(timeout=60_000)


def test_the_form_shows_the_settings_in_groups_and_in_order_though_the_database_sorts_keys(
    desk: Desk, page: Page, shoot: Shoot
) -> None:
    open_form(desk, page)
    page.set_viewport_size({"width": 1200, "height": 7600})
    shoot(page, "form")
    labels = [re.sub(r" \(Optional\)$", "", one) for one in page.locator("label").all_inner_texts()]
    shown = [label for label in labels if " · " in label]
    assert shown[:2] == ["Where · source", "Where · output"]
    groups = list(dict.fromkeys(label.partition(" · ")[0] for label in shown))
    assert groups == [group.name for group, _ in grouped(FuseArchiveSettings)]
    assert len(shown) == len(FuseArchiveSettings.model_fields)


def test_a_wrong_value_is_refused_at_its_field_in_words(
    desk: Desk, page: Page, shoot: Shoot
) -> None:
    before = len(desk.runs())
    open_form(desk, page)
    page.get_by_label("Machines · worker (Optional)", exact=True).fill("tpu")
    page.get_by_role("button", name="Submit").click()
    words = "'tpu' is not one of ['auto', 'gpu', 'gpu:0.5', 'cpu', 'cpu:4']"
    said = page.get_by_text(words, exact=True)  # a message that goes by says it too
    expect(said).to_be_visible()
    said.scroll_into_view_if_needed()
    shoot(page, "wrong-value")
    assert len(desk.runs()) == before


def test_a_run_of_the_form_shows_its_progress_its_end_and_its_artifacts(
    desk: Desk, page: Page, shoot: Shoot
) -> None:
    open_form(desk, page)
    page.get_by_label("What · contact sheet").fill("3")
    deadline = time.monotonic() + 240
    run = submit(page, shoot)
    told: list[str] = []
    while (state := desk.ask(f"flow_runs/{run}")["state"])["type"] not in ("COMPLETED", "FAILED"):
        assert time.monotonic() < deadline, state
        progress = desk.artifacts(run).get("fuse-archive-progress")
        if progress and progress["description"] not in told:
            told.append(progress["description"])
            if len(told) == 2:
                page.goto(desk.url(f"artifacts/artifact/{progress['id']}"))
                expect(page.get_by_text(re.compile(rf"\d+ of {PAIRS} pairs"))).to_be_visible()
                shoot(page, "progress")
                page.goto(desk.url(f"runs/flow-run/{run}"))
                expect(page.get_by_text("Running").first).to_be_visible()
                shoot(page, "running")
        time.sleep(0.3)
    assert told[0] == f"0 of {PAIRS} pairs"
    assert told[-1].startswith(f"{PAIRS} of {PAIRS} pairs")
    assert told[-1].endswith(", 1 failed")
    check_end(desk, page, shoot, run)


def submit(page: Page, shoot: Shoot) -> str:
    """Press the button until there is a run, and return its id.

    A click while the form looks at values is lost. Where two want to write at once, SQLite lets one
    of them go without waiting, and the server answers 503: an operator presses again.
    """
    for _ in range(8):
        try:
            with page.expect_response(CREATION, timeout=20_000) as answered:
                page.get_by_role("button", name="Submit").click()
        except PlaywrightTimeoutError:
            continue
        if answered.value.status != 503:
            assert answered.value.ok, answered.value.text()
            return str(answered.value.json()["id"])
    shoot(page, "refused")
    raise AssertionError("no run was made")


def check_end(desk: Desk, page: Page, shoot: Shoot, run: str) -> None:
    """Look at how the run ended, and at each of its artifacts."""
    ended = desk.ask(f"flow_runs/{run}")
    sentence = ended["state"]["message"]
    assert sentence.startswith(f"{PAIRS} pairs found: {PAIRS - 1} fused and 1 failed in ")
    desk.wait_for_log(run, sentence)
    page.goto(desk.url(f"runs/flow-run/{run}"))
    expect(page.get_by_text(ended["name"]).first).to_be_visible()
    expect(page.get_by_text(sentence).first).to_be_visible()
    shoot(page, "ended")
    page.get_by_role("tab", name="Artifacts").click()
    expect(page.get_by_text("fuse-archive-sheet").first).to_be_visible()
    shoot(page, "artifacts")
    artifacts = desk.artifacts(run)
    names = ("summary", "sheet", "failures", "output", "run", "progress")
    assert artifacts.keys() == {f"fuse-archive-{name}" for name in names}
    for name in names:
        page.goto(desk.url(f"artifacts/artifact/{artifacts[f'fuse-archive-{name}']['id']}"))
        expect(page.get_by_text(f"fuse-archive-{name}").first).to_be_visible()
        if name == "sheet":
            image = page.locator("img[src^='data:image/jpeg']")
            expect(image).to_be_visible()
            assert image.evaluate("shown => shown.naturalWidth") > 300
        shoot(page, f"artifact-{name}")
    (failed,) = json.loads(artifacts["fuse-archive-failures"]["data"])
    assert failed["pair_id"] == "p07"
