"""Who removes anything makes sure that nobody has taken over: by its heartbeat, or by a look."""

import time
from pathlib import Path

import pytest

from fusion_core.archive.lease import acquire
from fusion_core.errors import LeaseLostError
from fusion_core.storage.store import Storage


@pytest.fixture
def output(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def test_one_that_wakes_up_looks_itself_before_it_goes_on(output: Storage) -> None:
    held = acquire(lambda: output, "first", seconds=0.5, wait=False)
    held.abandon()  # its heart stands still, as while it sleeps
    second = acquire(lambda: output, "second", seconds=60.0, wait=True)
    held.check()
    with pytest.raises(LeaseLostError, match="second took the output over from first"):
        held.confirm()
    second.release()


def test_while_its_heart_beats_confirming_asks_nothing_of_the_store(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = acquire(lambda: output, "first", seconds=60.0, wait=False)
    looks: list[Storage] = []
    monkeypatch.setattr(held, "_look", looks.append)
    held.confirm()
    assert looks == []
    beat = held._heart.record.beat + 1
    # As one hears that slept: of a beat long ago, for which its process had no listener.
    held._heart._hear({"beat": beat, "begun_at": time.monotonic() - 61.0})
    held.confirm()
    assert looks == [output]
    held.release()
