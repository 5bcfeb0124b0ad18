"""Ends a driver or a cleaning of the chaos suite by SIGKILL between two steps that it has in mind.

An order ``KIND-NUMBER`` holds a point and how often that is passed before it is met. Where a step
comes to its end and the point was not passed so often, the order is met there.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

_MERGED = 2  # shards of about one size: a round's runs make few of them
_KEPT = 3  # records of the lease and states of an index
_LEASE_SECONDS = 6.0  # of a cleaning: the run that follows a killed one waits for so long


class DriverFaults:
    """The faults of this process.

    Args:
        folder: Where the orders are.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.taking_over = self.cleaning = self.ending = False
        self._passed: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reach(self, kind: str, point: str, *, end: bool = False) -> None:
        """End this process if there is an order for this point.

        Args:
            kind: Of the order.
            point: Name of the point.
            end: Whether nothing more comes in which an order of the kind could be met.
        """
        with self._lock:  # held by whoever ends the process, so that nobody else goes on
            for order in sorted((self.folder / "orders").glob(f"{kind}-*")):
                with suppress(FileNotFoundError):  # taken back
                    wanted, passes = order.read_text().split()
                    if wanted == point:
                        self._passed[order.name] += 1
                    if end or self._passed[order.name] > int(passes):
                        self._meet(order, point)

    def _meet(self, order: Path, point: str) -> None:
        met = self.folder / "met"
        claimed = order.rename(met / f"claimed-{order.name}")
        claimed.write_text(point)
        claimed.rename(met / f"{order.name}.driver.{os.getpid()}")
        os.kill(os.getpid(), signal.SIGKILL)

    def publishing(self) -> str:
        """Return the kind of what is published now."""
        return "takeover" if self.taking_over else "publishing"

    def patch_publisher(self, module: ModuleType) -> None:
        """Meet orders around a record and behind a file, and at the end of taking over."""
        _around(module, "create_publication", self._points(self.publishing, "record"))
        finish, take_over = module.Publisher._finish, module.Publisher.take_over

        @functools.wraps(finish)
        def finish_and_meet(publisher: Any, storage: Any) -> None:
            finish(publisher, storage)
            self.reach(self.publishing(), "after_file")

        @functools.wraps(take_over)
        def take_over_and_meet(publisher: Any) -> Any:
            self.taking_over = True
            closed = take_over(publisher)
            self.taking_over = False
            if publisher.lease.generation > 1:
                self.reach("takeover", "end", end=True)
            return closed

        module.Publisher._finish = finish_and_meet
        module.Publisher.take_over = take_over_and_meet

    def patch_fencing(self, module: ModuleType) -> None:
        """Meet orders around each step that closes what a dead run left open."""
        for name, step in (
            ("end_publishing", "ending"),
            ("write_promised", "promised"),
            ("commit_part", "tombstone"),
        ):
            _around(module, name, self._points(lambda: "takeover", step))

    def patch_update(self, module: ModuleType) -> None:
        """Meet orders around shards and states of the index, and merge few shards already."""

        def kind() -> str:
            return "ending" if self.ending else "merging"

        module._MERGED = _MERGED  # type: ignore[attr-defined]
        if os.getpid() % 2:  # and before the plan already
            module._BACKLOG = _MERGED  # type: ignore[attr-defined]
        _around(module, "write_shards", self._points(kind, "shard"))
        _around(module.IndexUpdate, "_step", self._points(kind, "state"))
        original, merge_shards = module.IndexUpdate.run, module.merge_shards

        @functools.wraps(original)
        def run(update: Any, generation: int) -> Any:
            state = original(update, generation)
            self.reach("merging", "end", end=True)
            return state

        @functools.wraps(merge_shards)
        def merge_at_the_end(*given: Any, **more: Any) -> None:
            self.ending = True
            self.reach("ending", "before_merging")
            merge_shards(*given, **more)
            self.ending = False

        module.IndexUpdate.run = run
        module.merge_shards = merge_at_the_end  # type: ignore[attr-defined]

    def patch_lease(self, module: ModuleType) -> None:
        """Meet orders of an end before the lease is given back, at the latest."""
        original = module.Lease.release

        @functools.wraps(original)
        def release(lease: Any) -> None:
            self.reach("ending", "before_release", end=True)
            original(lease)

        module.Lease.release = release

    def patch_disposable(self, module: ModuleType) -> None:
        """Have a cleaning find more to remove than it would after a thousand nights."""
        module.GENERATIONS = module.STATES = _KEPT  # type: ignore[attr-defined]

    def patch_keeping(self, module: ModuleType) -> None:
        """Have a cleaning's lease be a short one."""
        module._SECONDS = _LEASE_SECONDS  # type: ignore[attr-defined]

    def patch_clean(self, module: ModuleType) -> None:
        """Meet orders around what a cleaning removes, and behind it."""
        original = module.clean

        @functools.wraps(original)
        def clean(*arguments: Any, **more: Any) -> None:
            self.cleaning = True
            original(*arguments, **more)
            self.cleaning = False
            self.reach("cleaning", "end", end=True)

        module.clean = clean  # type: ignore[attr-defined]

    def patch_store(self, module: ModuleType) -> None:
        """Meet orders of a cleaning at each object that it removes."""

        def reach(when: str) -> None:
            if self.cleaning:
                self.reach("cleaning", f"{when}_removal")

        _around(module.Storage, "remove", reach)

    def _points(self, kind: Callable[[], str], step: str) -> Callable[[str], None]:
        return lambda when: self.reach(kind(), f"{when}_{step}")

    @property
    def patches(self) -> dict[str, Callable[[ModuleType], None]]:
        """What patches which module."""
        return {
            "fusion_core.archive.publisher": self.patch_publisher,
            "fusion_core.archive.fencing": self.patch_fencing,
            "fusion_core.archive.index.update": self.patch_update,
            "fusion_core.archive.lease": self.patch_lease,
            "fusion_core.archive.keeping.clean": self.patch_clean,
            "fusion_core.archive.keeping.disposable": self.patch_disposable,
            "fusion_core.storage.store": self.patch_store,
            "flows.keeping": self.patch_keeping,
        }


def _around(owner: Any, name: str, reach: Callable[[str], None]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def call(*arguments: Any, **more: Any) -> Any:
        reach("before")
        result = original(*arguments, **more)
        reach("after")
        return result

    setattr(owner, name, call)
