"""A shared server is up for the files that ask for it, and for no other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kept_servers import KeptServer


def item(file: str, *fixtures: str) -> Any:
    return SimpleNamespace(path=Path(file), fixturenames=fixtures)


def test_it_is_up_from_the_first_that_asks_to_the_end_of_the_last_ones_file() -> None:
    told = []

    @contextmanager
    def start() -> Iterator[int]:
        told.append("started")
        yield len(told)
        told.append("ended")

    server = KeptServer("nodes", start)
    asks, beside, other = item("a", "nodes"), item("a", "tmp_path"), item("b", "tmp_path")
    items = [asks, beside, other]
    server.end_before(asks, items)
    assert told == [], "nothing is up that nobody has asked for"
    assert server.get() == server.get() == 1
    server.end_before(beside, items)
    assert told == ["started"], "another test of the file asks for it"
    server.end_before(other, items)
    assert told == ["started", "ended"]
    assert server.get() == 3, "started again for a file that comes later"
    server.end_before(None, items)
    assert told[2:] == ["started", "ended"], "nothing outlives the last test"
