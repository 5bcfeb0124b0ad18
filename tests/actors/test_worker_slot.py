from typing import Any

from actors.chunk_task import ChunkTask
from actors.worker_slot import WorkerSlot
from fusion_core.archive.plan import Chunk


def test_pairs_are_counted_of_the_chunk_at_work_and_never_of_one_before() -> None:
    actor: Any = None
    slot = WorkerSlot(actor)
    assert slot.pairs_done == 0
    first, second = ChunkTask(Chunk("first", ())), ChunkTask(Chunk("second", ()))
    slot.give(first)
    slot.give(second)
    slot.progress = "first", 3
    assert slot.pairs_done == 3
    slot.done(first)  # its pairs are counted by its result from now on
    assert slot.pairs_done == 0
    slot.progress = "second", 2
    assert slot.pairs_done == 2
    slot.done(second)
    assert slot.pairs_done == 0
