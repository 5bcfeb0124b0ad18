"""Fixtures of the browser lane: Chromium, and an operator's desk to look at."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium here; make test-browser installs Debian's")
    with sync_playwright() as driver:
        expect.set_options(timeout=60_000)  # of its 5 s, a busy machine leaves a page too little
        chromium = driver.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """The folder that pictures of pages go to: that of FUSE_SCREENSHOTS, or a temporary one."""
    named = os.environ.get("FUSE_SCREENSHOTS")
    folder = Path(named or tempfile.mkdtemp(prefix="fuse-screenshots-"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def shoot(screenshots: Path) -> Callable[[Page, str], None]:
    """Take a picture of a page as a whole, for people to look at."""

    def take(page: Page, name: str) -> None:
        page.screenshot(path=screenshots / f"{name}.png", full_page=True)

    return take
