from pathlib import Path

from scripted import ScriptedWorker
from tiny import pair_refs, write_pairs

from fusion_core.archive.plan import Chunk
from fusion_core.jobs.pair import PairState
from fusion_core.jobs.stages import Outcome


class Telling(ScriptedWorker):
    def __init__(self, folder: Path):
        super().__init__(folder)
        self.told = [self.progress()]

    def _outcome(self, pair: PairState) -> Outcome[PairState]:
        outcome = super()._outcome(pair)
        pair.end()
        self.told.append(self.progress())
        return outcome


def test_a_worker_tells_of_how_many_pairs_of_its_chunk_the_outcome_is_known(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["a", "unreadable", "c"])
    worker = Telling(tmp_path)
    refs = pair_refs(tmp_path, ["a", "unreadable", "c"])
    worker.run(Chunk("one", refs[:2]))
    worker.run(Chunk("two", refs[2:]))
    assert worker.told == [("", 0), ("one", 1), ("one", 2), ("two", 1)]
