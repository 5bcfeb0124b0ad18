"""Killed at any call to the store, and gone on with by others: each row is published once."""

import pytest
from blind_publisher import StillHeart, begin, end, published
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifest_rows import row
from mortal_storage import Killed, Mortal
from tiny import TODAY, empty_memory_store

from fusion_core.archive import lease as lease_module
from fusion_core.archive.layout import part_path
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.parts import commit_part
from fusion_core.storage.store import Storage


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "Heart", StillHeart)


@given(
    kills=st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=4),
    nights=st.integers(1, 3),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_killed_at_any_call_each_row_is_published_once(
    kills: list[tuple[int, bool]], nights: int
) -> None:
    empty_memory_store()
    url = "memory://publisher/out"
    for night in range(nights + len(kills)):
        at, after = kills[night] if night < len(kills) else (-1, False)
        mortal = Mortal(url, at, after=after)
        try:
            publisher = begin(mortal, f"night{night}")
            for k in range(3):
                path = part_path(TODAY, f"{night:x}{k}")
                publisher.declare([path])
                if commit_part(mortal, path, [row(f"{night}-{k}")]):
                    publisher.committed([path])
                publisher.publish()
                seen = published(Storage(url))
                assert set(seen.values()) <= {1}
            end(publisher)
        except Killed:
            continue
    commits = read_manifest(f"{url}/commits/manifest", latest=False, columns=["pair_id"])
    assert sorted(published(Storage(url)).elements()) == sorted(commits["pair_id"].to_pylist())
