"""Whether a page names a pair, however it had to be written there."""

import uuid

import pytest

from fusion_core.archive.keeping.naming import Naming
from fusion_core.reports.page.environment import environment
from fusion_core.storage.store import Storage

PAGE = environment().from_string("<td><bdi>{{ pair|shown }}</bdi></td>")


@pytest.mark.parametrize(
    "pair", ["north/lane_3", "a&b <i>", 'it\'s "7"x', "\u202egnp.x", "naïve\u2066"]
)
def test_a_pair_is_found_in_a_page(pair: str) -> None:
    assert Naming([pair]).in_text(PAGE.render(pair=pair))
    assert not Naming([pair]).in_text(PAGE.render(pair=f"x{pair}x"))


def test_the_list_of_nights_names_no_pair() -> None:
    output = Storage(f"memory://{uuid.uuid4().hex}")
    for path, found in (
        ("index.html", False),
        ("runs/nights.json", False),
        ("runs/r/report.html", True),
    ):
        output.write(path, b"<td>'gate_7'</td>")
        assert Naming(["gate_7"]).in_object(output, path) is found


@pytest.mark.parametrize("name", ["gate_7.0123456789abcdef.mp4", "a.mkv", "a.segment-00000.nut"])
def test_videos_are_not_searched_for_names(name: str) -> None:
    output = Storage(f"memory://{uuid.uuid4().hex}")
    output.write(f"fused/0123/{name}", b"'gate_7'")
    assert not Naming(["gate_7"]).in_object(output, f"fused/0123/{name}")
