"""Works a chunk off: from pair references to fused images and one committed part."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.errors import PairError
from fusion_core.fuser import Fuser
from fusion_core.keys import fused_path
from fusion_core.metrics import METRIC_VERSION
from fusion_core.pair_work import PairInWork, finish_pair, load_pair
from fusion_core.part_worker import PartWorker, RunIdentity
from fusion_core.pipeline import Outcome, failed, run_pipeline
from fusion_core.plan import PairRef
from fusion_core.scene_probe import is_scene
from fusion_core.scene_work import SceneWork
from fusion_core.settings import FuseArchiveSettings
from fusion_core.storage import Storage


class ChunkWorker(PartWorker[PairInWork]):
    """Turns chunks into fused images and parts; hosts one fuser.

    Args:
        source: Where the pairs are.
        output: Where images and parts go.
        fuser: What fuses.
        settings: The run's settings.
        run: What the rows of the run share.
    """

    def __init__(
        self,
        source: Storage,
        output: Storage,
        fuser: Fuser,
        settings: FuseArchiveSettings,
        run: RunIdentity,
    ):
        super().__init__(source, output, run, fuser.device)
        self.fuser = fuser
        self.settings = settings
        # A batch gains nothing on a CPU and multiplies the memory of the feature maps.
        self.batch_size = settings.batch_size or (8 if self.on_gpu else 1)

    def _begin(self, ref: PairRef) -> PairInWork:
        return PairInWork(ref)

    def _outcomes(self, pairs: Sequence[PairInWork]) -> list[Outcome[PairInWork]]:
        with ThreadPoolExecutor(self.settings.io_threads, "probe") as probers:
            found = list(probers.map(self._is_scene, pairs))
        scenes, photographs = (
            [pair for pair, is_one in zip(pairs, found, strict=True) if is_one is wanted]
            for wanted in (True, False)
        )
        return [*self._photographs(photographs), *(self._scene(pair) for pair in scenes)]

    def _is_scene(self, pair: PairInWork) -> bool:
        try:
            return is_scene(self.source, pair.ref, self.settings.max_megapixels)
        except PairError:
            return True  # what is wrong with it will be said again where it counts

    def _scene(self, pair: PairInWork) -> Outcome[PairInWork]:
        """Fuse a scene, by itself: its tiles are read, fused and written side by side."""
        try:
            scene = SceneWork(
                self.source, self.output, self.fuser, self.settings, self.run_identity
            )
            return pair, scene.fuse(pair)
        except Exception as error:
            return pair, failed(pair, error)
        finally:
            pair.end()

    def _photographs(self, pairs: Sequence[PairInWork]) -> list[Outcome[PairInWork]]:
        return run_pipeline(
            pairs,
            self._load,
            self._fuse,
            self._finish,
            batch_size=self.batch_size,
            threads=self.settings.io_threads,
            memory=self.settings.memory_mb << 20,
        )

    def _load(self, pair: PairInWork) -> None:
        load_pair(pair, self.source, self.settings, self.settings.max_megapixels)

    def _fuse(self, batch: Sequence[PairInWork]) -> NDArray[np.float32]:
        sides = zip(*(pair.luminances() for pair in batch), strict=True)
        ir, vi = (torch.from_numpy(np.stack(side))[:, None] for side in sides)
        fused: NDArray[np.float32] = self.fuser(ir, vi)[:, 0].numpy()
        return fused

    def _finish(self, pair: PairInWork, fused: NDArray[np.float32]) -> dict[str, Any]:
        settings_hash = self.run_identity.settings_hash
        path = fused_path(pair.ref, settings_hash, self.fuser.model_hash, self.settings.format)
        return finish_pair(pair, fused, self.output, path, self.settings, self.device)

    def _row(self, pair: PairInWork) -> dict[str, Any]:
        return {**super()._row(pair), "method": self.fuser.name, "metric_version": METRIC_VERSION}
