"""How long work on a pair may take, and what is said where it takes longer."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from fusion_core.errors import DeadlineError

_SCENE_PIXELS = 100_000_000


class SceneDeadline:
    """Bounds the time until a scene's last tile is written; made when its fusing begins.

    Args:
        seconds: Allowed for every 100 megapixels begun.
        size: Height and width of the scene.
        earlier: Seconds that its earlier stages took.
    """

    def __init__(self, seconds: float, size: tuple[int, int], earlier: Mapping[str, float]):
        self._allowed = seconds * math.ceil(size[0] * size[1] / _SCENE_PIXELS)
        self._earlier = dict(earlier)
        self._begun = time.monotonic()

    def check(self) -> None:
        """Do nothing while there is time.

        Raises:
            DeadlineError: The time is over.
        """
        seconds = {**self._earlier, "fuse": time.monotonic() - self._begun}
        if sum(seconds.values()) > self._allowed:
            raise deadline_error("fuse", seconds, self._allowed)


def deadline_error(stage: str, seconds: Mapping[str, float], allowed: float) -> DeadlineError:
    """Return the error of a pair that took too long.

    Args:
        stage: Where it was.
        seconds: What its stages took, with that of ``stage`` so far.
        allowed: What they may take, in seconds.
    """
    spent = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
    error = DeadlineError(
        f"given up in the stage {stage} ({spent}); expected all stages within {allowed:g} s. Check "
        "whether the store hangs or the machine is overloaded, or raise pair_deadline"
    )
    error.stage = stage
    return error
