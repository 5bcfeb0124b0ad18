"""What a run counts for Prometheus, from the results of its chunks."""

from __future__ import annotations

import threading
import time
from collections import Counter as Tally
from collections import deque
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram

from fusion_core.jobs import Attempt, ChunkResult

_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
_WINDOW = 300.0  # seconds over which the present rate is taken
_STEP = 5.0  # seconds between the moments of it that are kept


class RunMetrics:
    """Counts attempts, bytes, time and warnings of a run.

    Attributes:
        registry: Where they are registered, and nothing else of this process.
        rate: How fast pairs come to a verdict.
        verdicts: Number of pairs that have come to one: ok, failed or skipped.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.rate = Rate()
        self.verdicts = 0
        self._pairs = Counter(
            "fuse_archive_pairs",
            "Attempts at pairs that have ended, by outcome (ok, failed, undone, skipped), and for "
            "those that aren't ok by the stage where they ended and what is to blame",
            ("outcome", "stage", "cause"),
            registry=registry,
        )
        self._stages = Histogram(
            "fuse_archive_stage_seconds",
            "Time that a pair took in a stage; of a batch, its share",
            ("stage",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._stage = cache(self._stages.labels)  # which takes longer than what is done with it
        self._bytes = Counter(
            "fuse_archive_bytes",
            "Bytes of source files that were read, and of fused images that were written",
            ("direction",),
            registry=registry,
        )
        self._retries = Counter(
            "fuse_archive_retries",
            "Calls to the stores that were made again for a pair",
            registry=registry,
        )
        self._warnings = Counter(
            "fuse_archive_worker_warnings",
            "Warnings of workers, whether the log shows them or only counts them",
            registry=registry,
        )
        self._gpu_busy = Counter(
            "fuse_archive_gpu_busy_seconds",
            "Seconds that networks were at work on GPUs, each by the share that its worker has",
            registry=registry,
        )

    def add(self, result: ChunkResult, gpus: float) -> None:
        """Count what became of a chunk.

        Args:
            result: What became of it.
            gpus: What its worker has of a GPU.
        """
        self.verdicts += result.ok + result.failed + result.skipped
        self.rate.note(self.verdicts)
        for labels, count in _outcomes(result).items():
            self._pairs.labels(*labels).inc(count)
        for one in result.attempts:
            for stage, seconds in one.seconds.items():
                self._stage(stage).observe(seconds)
        self._bytes.labels("read").inc(sum(one.bytes_read for one in result.attempts))
        self._bytes.labels("written").inc(sum(one.bytes_written for one in result.attempts))
        self._retries.inc(sum(one.retries for one in result.attempts))
        if result.told is not None:
            self._warnings.inc(len(result.told.warnings) + result.told.more_warnings)
        self._gpu_busy.inc(gpus * sum(map(_fusing, result.attempts)))


class Rate:
    """How fast a count has grown over the last five minutes; may be asked by another thread."""

    def __init__(self) -> None:
        self._moments = deque([(time.monotonic(), 0)])
        self._now = 0
        self._lock = threading.Lock()

    def note(self, count: int) -> None:
        """Note what the count is now."""
        now = time.monotonic()
        with self._lock:
            self._now = count
            if now - self._moments[-1][0] >= _STEP:
                self._moments.append((now, count))
            self._forget(now)

    def per_second(self) -> float:
        """Return by how much it grows in a second; since the beginning, where that was later."""
        now = time.monotonic()
        with self._lock:
            self._forget(now)
            then, count = self._moments[0]
            return (self._now - count) / max(now - then, 1e-9)

    def _forget(self, now: float) -> None:
        """Leave one moment that is as old as the window, and those after it."""
        while len(self._moments) > 1 and now - self._moments[1][0] >= _WINDOW:
            self._moments.popleft()


def _fusing(attempt: Attempt) -> float:
    return attempt.seconds.get("fuse", 0.0)


def _outcomes(result: ChunkResult) -> Tally[tuple[str, str, str]]:
    """Return the outcomes of a chunk; rows that another worker wrote tell no stage and no cause."""
    told = Tally((one.status, one.stage or "", one.cause or "") for one in result.attempts)
    counts = {"ok": result.ok, "failed": result.failed, "skipped": result.skipped}
    rest = Tally({**counts, "undone": len(result.undone)})
    rest.subtract(one.status for one in result.attempts)
    told.update({(status, "", ""): count for status, count in rest.items() if count > 0})
    return told
