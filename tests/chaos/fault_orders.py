"""Asks workers and drivers of the chaos suite for faults, and learns which of them were met.

The other side is in ``injected``. Both know the folder: ``orders/KIND-NUMBER`` is renamed to
``met/KIND-NUMBER.NODE.PID`` by the process that meets it; an order for a driver says where it is to
be met, and then where it was; ``pace`` holds the seconds that
a network takes; ``sick`` names the node that can't start workers; ``at/NODE`` holds the pairs of
the chunk that a worker there is at.
"""

from __future__ import annotations

import itertools
import os
from contextlib import suppress
from pathlib import Path

INJECTED = Path(__file__).resolve().parent / "injected"
CGROUPS = Path("/sys/fs/cgroup/memory")


class FaultOrders:
    """The folder of orders.

    Args:
        folder: The folder; it is made.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._numbers = itertools.count(1)
        for name in ("orders", "met", "at"):
            (folder / name).mkdir(parents=True)

    def environment(self, node: str) -> dict[str, str]:
        """Return what a node's processes need in their environment to meet faults."""
        path = os.pathsep.join(filter(None, [str(INJECTED), os.environ.get("PYTHONPATH")]))
        return {"PYTHONPATH": path, "CHAOS_FAULTS": str(self.folder), "CHAOS_NODE": node}

    def order(self, kind: str, where: str = "") -> str:
        """Have the next worker that fuses, or the driver, meet a fault; returns the order's name.

        Args:
            kind: Of the fault.
            where: For a driver: the name of a point, and how often it is passed before.
        """
        name = f"{kind}-{next(self._numbers):05}"
        staged = self.folder / name
        staged.write_text(where)
        staged.rename(self.folder / "orders" / name)
        return name

    def met_on(self, name: str) -> str | None:
        """Return the node on which an order was met; None where it wasn't yet."""
        found = next((self.folder / "met").glob(f"{name}.*"), None)
        return found.name.split(".")[1] if found else None

    def met_at(self, name: str) -> str:
        """Return the point at which a driver has met an order, once it has ended."""
        return next((self.folder / "met").glob(f"{name}.*")).read_text()

    def withdraw(self, name: str) -> bool:
        """Take an order back; False where it was met meanwhile."""
        try:
            (self.folder / "orders" / name).unlink()
        except FileNotFoundError:
            return False
        return True

    def set_pace(self, seconds: float) -> None:
        """Have networks take so long for a pair."""
        staged = self.folder / "pace.new"
        staged.write_text(f"{seconds:.3f}")
        staged.rename(self.folder / "pace")

    def set_sick(self, node: str | None) -> None:
        """Have one node start no workers from now on, or none."""
        (self.folder / "sick").unlink(missing_ok=True)
        for path in (self.folder / "met").glob("sick.*"):
            path.unlink()
        if node is not None:
            staged = self.folder / "sick.new"
            staged.write_text(node)
            staged.rename(self.folder / "sick")

    def refusals(self) -> int:
        """Return how often the sick node has refused to start a worker."""
        return sum(1 for _ in (self.folder / "met").glob("sick.*"))

    def at_work(self) -> dict[str, list[str]]:
        """Return the pairs of the chunk at work by node; nodes that are gone may be named too."""
        found = {}
        for path in (self.folder / "at").iterdir():
            with suppress(FileNotFoundError):
                if "." not in path.name and (pairs := path.read_text().split()):
                    found[path.name] = pairs
        return found

    def forget(self, node: str) -> None:
        """Forget what is at work on a node that is gone."""
        (self.folder / "at" / node).unlink(missing_ok=True)

    def clear_groups(self) -> None:
        """Remove the cgroups of workers that were ended for memory."""
        for group in CGROUPS.glob("chaos-*"):
            with suppress(OSError):  # not yet empty, or of another suite
                group.rmdir()
