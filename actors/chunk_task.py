"""A chunk on its way through the scheduler, and what is suspected of it.

When a process dies on a node that lives on, nobody knows which of its pairs did it. So every chunk
that was on it is suspected and runs alone from then on; one that is there at a second death is
halved, and so on down to the pair, which is given up for this run once it was alone at two deaths.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from dataclasses import dataclass, field

from fusion_core import jobs
from fusion_core.archive import Chunk
from fusion_core.jobs import tried

_DEATHS_TO_HALVE = 2
_DEATHS_TO_GIVE_UP = 3


@dataclass(eq=False)
class ChunkTask:
    """A chunk, and how often its processing was cut short or failed.

    Attributes:
        chunk: The chunk.
        deaths: How often it was on a process that died, hung, or broke several GPUs.
        errors: How often its rows could not be committed.
        repeated: Whether its pair was tried before in this run, and this is the last time.
        avoid: The slots, and the GPUs or nodes, that it should not be given to again.
        faulty: The GPUs or nodes where a GPU failed while it was on it.
        cause: What its last death is blamed on.
        where: The host of that.
    """

    chunk: Chunk
    deaths: int = 0
    errors: int = 0
    repeated: bool = False
    avoid: set[Hashable] = field(default_factory=set)
    faulty: set[Hashable] = field(default_factory=set)
    cause: jobs.Cause = "worker"
    where: str = ""

    @property
    def alone(self) -> bool:
        """Whether nothing else may be on its process."""
        return self.deaths > 0 or self.repeated

    @property
    def hopeless(self) -> bool:
        """Whether its pair is to be given up for this run."""
        return len(self.chunk.pairs) == 1 and self.deaths >= _DEATHS_TO_GIVE_UP

    def reason(self) -> str:
        """Return why it is hopeless."""
        how = {
            "memory": "was ended for want of memory",
            "time": "gave no answer within its time",
            "gpu": "met a fault of its GPU, of more than one GPU",
        }.get(self.cause, "died")
        return (
            f"the process working on this pair alone {how}, {self.deaths - 1} times; expected it "
            "to live. Look at the files with another program, at the worker's memory, and at Ray's "
            "logs"
        )

    def suspects(self, cause: jobs.Cause, where: str) -> list[ChunkTask]:
        """Suspect the chunk, and return what is to be done instead: itself, or its halves.

        Args:
            cause: What is to blame, as far as that is known.
            where: The host.
        """
        was_alone = self.deaths > 0
        self.deaths += 1
        self.cause, self.where = cause, where
        in_tiles = self.chunk.in_tiles or cause == "memory"
        self.chunk = dataclasses.replace(self.chunk, in_tiles=in_tiles)
        if len(self.chunk.pairs) > 1:
            if self.deaths < _DEATHS_TO_HALVE:
                return [self]
            return [
                dataclasses.replace(
                    self,
                    chunk=half,
                    deaths=_DEATHS_TO_HALVE - 1,
                    avoid=set(self.avoid),
                    faulty=set(self.faulty),
                )
                for half in self.chunk.halves()
            ]
        if was_alone and not self.hopeless:
            pair = self.chunk.pairs[0]
            told = f"{cause} on {where}"
            history = f"{pair.history}; {told}" if pair.history else told
            self.chunk = dataclasses.replace(self.chunk, pairs=(tried(pair, history),))
        return [self]
