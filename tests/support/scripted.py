"""A worker, and its actor, that do what the names of their pairs say; their commits are real."""

import datetime as dt
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ray
from pools import making, pool_making

from actors.chunk_actor import ChunkActor, Started
from actors.pool import ActorPool
from fusion_core.archive.layout import MANIFEST_FOLDER
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.plan import Chunk, PairRef
from fusion_core.errors import (
    GpuFaultError,
    LeaseLostError,
    ReadError,
    StorageError,
    UnreachableError,
    WeightsError,
)
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.pair import PairState
from fusion_core.jobs.stages import Outcome, Outcomes
from fusion_core.jobs.worker import ChunkWorker
from fusion_core.models.arithmetic import Arithmetic
from fusion_core.storage.store import Storage


class ScriptedWorker(ChunkWorker[PairState]):
    """Notes which pairs it begins and where, and does what their names say.

    Args:
        folder: Holds the output, the file ``starts``, and files that say what breaks.
    """

    def __init__(self, folder: Path):
        run = RunIdentity("run", dt.date(2026, 1, 2), None, "settings")
        super().__init__(Storage(str(folder)), Storage(str(folder)), run, "cpu")
        self.place = folder
        self.token = ""

    def _begin(self, ref: PairRef) -> PairState:
        return PairState(ref)

    def _row(self, pair: PairState) -> dict[str, Any]:
        return {**super()._row(pair), "method": "scripted", "metric_version": "none"}

    def _outcomes(self, pairs: Sequence[PairState], *, in_tiles: bool) -> Outcomes[PairState]:
        done = Outcomes[PairState]()
        for pair in pairs:
            if self.stopping.is_set():
                break
            note(self.place / "starts", f"{pair.ref.pair_id} {self.token} {here()} {in_tiles}")
            done.of_pairs.append(self._outcome(pair))
        return done

    def _outcome(self, pair: PairState) -> Outcome[PairState]:
        name = pair.ref.pair_id
        if "poison" in name:
            os.kill(os.getpid(), signal.SIGKILL)
        if "once" in name and self._first_time(name):
            os.kill(os.getpid(), signal.SIGKILL)
        if "freeze" in name and self._first_time(name):
            os.kill(os.getpid(), signal.SIGSTOP)
        if "unwritable" in name:
            raise StorageError("can't create the part")
        if "unanswered" in name or here() in lines(self.place / "cut-off"):
            raise UnreachableError("the store gave no whole answer")
        if "overtaken" in name:
            raise LeaseLostError("another run has taken the output over")
        if "xid" in name or here() in lines(self.place / "broken-gpus"):
            raise GpuFaultError("CUDA error: an illegal memory access was encountered")
        if "unreadable" in name or ("flaky" in name and self._first_time(name)):
            return pair, ReadError("the store refused it")
        time.sleep(0.02 if "slow" not in name else 0.5)
        return pair, {}

    def _first_time(self, name: str) -> bool:
        try:
            (self.place / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


class ScriptedActor(ChunkActor[Any]):
    """Hosts a scripted worker, and starts or not as files in its folder say.

    Args:
        folder: As for the worker.
    """

    def __init__(self, folder: str):
        super().__init__(SimpleNamespace(watched=False), "cpu", 1.0)  # type: ignore[arg-type]
        self.folder = Path(folder)
        self.worker = ScriptedWorker(self.folder)

    def start(self, arithmetic: Arithmetic | None = None) -> Started:
        note(self.folder / "tried", here())
        if (self.folder / "no-start").exists() or here() in lines(self.folder / "sick-nodes"):
            raise WeightsError("found no weights")
        return super().start(arithmetic)

    def run(self, chunk: Chunk, storage_options: Any) -> Any:
        self.worker.token = storage_options.get("token", "-")
        result = super().run(chunk, storage_options)
        unheard = any("unheard" in pair.pair_id for pair in chunk.pairs)
        if unheard and self.worker._first_time("heard"):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    def _make_worker(self, source: Storage, output: Storage, options: Any) -> ChunkWorker[Any]:
        raise NotImplementedError

    def _worker_for(self, options: Any) -> ChunkWorker[Any]:
        self._worker = self.worker
        return self.worker


def here() -> str:
    """Return the node that this process is on."""
    return str(ray.get_runtime_context().get_node_id())


def note(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def chunks(names: list[str], size: int) -> list[Chunk]:
    pairs = [PairRef(name, "ir", 1, "v", "vi", 1, "v") for name in names]
    return [
        Chunk(f"{start:06}", tuple(pairs[start : start + size]))
        for start in range(0, len(pairs), size)
    ]


def pool_of(size: int, folder: Path, *, cpus: float = 1, **options: Any) -> ActorPool:
    """Return a pool of scripted actors.

    Args:
        size: At most so many.
        folder: As for the actors.
        cpus: What each takes.
        options: Of ``PoolLimits`` and ``ActorPool``.
    """
    return pool_making(making(ScriptedActor, str(folder), cpus=cpus), size, **options)


def committed(folder: Path) -> list[str]:
    """Pair and status of every row of the manifest, sorted."""
    rows = read_manifest(f"{folder}/commits/{MANIFEST_FOLDER}", latest=False).to_pylist()
    return sorted(f"{row['pair_id']} {row['status']}" for row in rows)
