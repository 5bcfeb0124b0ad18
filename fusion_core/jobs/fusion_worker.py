"""Fuses the pairs of a chunk: from references to fused images and one committed part."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.archive.layout import fused_path
from fusion_core.archive.plan import Chunk, PairRef
from fusion_core.errors import ReadError, StorageError
from fusion_core.images.pair import PicturePair
from fusion_core.jobs.cameras import Cameras, Samples
from fusion_core.jobs.clip import ClipStoppedError, ClipWork, FinishedSegments
from fusion_core.jobs.clip_registering import load_sample
from fusion_core.jobs.committed import ChunkResult
from fusion_core.jobs.failure import deadline_error, failed
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.kinds import KINDS, Kind, OtherInsideError, check_photograph, kind_of
from fusion_core.jobs.loading import load_pair
from fusion_core.jobs.pair import PairState, finish_pair
from fusion_core.jobs.pipeline import run_pipeline
from fusion_core.jobs.registering import Registered, register_by_camera, register_photographs
from fusion_core.jobs.remarks import join_remarks, unused_percentiles, unused_settings
from fusion_core.jobs.scene import SceneWork
from fusion_core.jobs.stages import Outcomes, PairStages, PipelineLimits
from fusion_core.jobs.thread_pool import AbandonableThreadPool
from fusion_core.jobs.worker import ChunkWorker
from fusion_core.metrics import METRIC_VERSION
from fusion_core.models.arithmetic import arithmetic_of
from fusion_core.models.fuser import Fuser
from fusion_core.models.memory_budget import MemoryBudget
from fusion_core.models.tiling.batches import PhotographFuser
from fusion_core.models.tiling.room import Room
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.retry import counted_by
from fusion_core.storage.store import Storage

_LOOK_AGAIN = 1.0  # seconds
_HUNG = 2.0
"""The thread of a scene or clip is abandoned after so many times its deadline, which it keeps to by
itself unless it hangs within a tile or frame; its last stages come after that."""


@dataclass
class FusionState(PairState):
    """The state of a pair that is being fused.

    Attributes:
        remark: What a reader of its fused image should know, if anything.
    """

    remark: str | None = None


class FusionWorker(ChunkWorker[FusionState]):
    """Fuses the pairs of chunks and commits their rows; hosts one fuser.

    Args:
        source: Where the pairs are.
        output: Where images and parts go.
        fuser: What fuses.
        settings: The run's settings.
        run: The run's identity.
        budget: What memory this process may take. Default: what the machine has, alone.
        samples: Pairs of each camera, where one transform is for all of a camera's pairs.
    """

    def __init__(
        self,
        source: Storage,
        output: Storage,
        fuser: Fuser,
        settings: FuseArchiveSettings,
        run: RunIdentity,
        *,
        budget: MemoryBudget | None = None,
        samples: Samples | None = None,
    ):
        super().__init__(source, output, run, fuser.device, max_attempts=settings.max_attempts)
        self.fuser = fuser
        self.settings = settings
        budget = budget or MemoryBudget()
        free = budget.free()
        # Most of a small worker's memory is for fusing.
        self.memory = int(min(settings.memory_mb << 20, free / 4))
        self.room = Room(fuser, budget, beside=self.memory)
        # A batch gains nothing on a CPU and multiplies the memory of the feature maps.
        batch_size = settings.batch_size or (8 if self.on_gpu else 1)
        self._finished: list[FinishedSegments] = []
        self.photographs = PhotographFuser(fuser, batch_size, settings.tile_size, self.room)
        self.cameras = None
        if settings.registration_by is not None:
            self.cameras = Cameras(
                output,
                settings,
                run.settings_hash,
                samples=samples or {},
                load=partial(load_sample, source=source, settings=settings),
            )

    def _begin(self, ref: PairRef) -> FusionState:
        return FusionState(ref)

    def run(self, chunk: Chunk) -> ChunkResult:
        """Take a chunk's pairs through their stages, as ``ChunkWorker.run`` does."""
        self._finished = []
        result = super().run(chunk)
        for segments, records in self._finished:  # which the committed row makes needless
            with suppress(StorageError):
                segments.remove(records)
        return result

    def _outcomes(self, pairs: Sequence[FusionState], *, in_tiles: bool) -> Outcomes[FusionState]:
        kinds: dict[Kind, list[FusionState]] = {kind: [] for kind in KINDS}
        done = Outcomes[FusionState]()
        deadline = self.settings.pair_deadline
        with AbandonableThreadPool(self.settings.io_threads, "probe") as probers:
            probes = [probers.submit(self._kind_of, pair) for pair in pairs]
            for pair, probe in zip(pairs, probes, strict=True):
                try:
                    kinds[probe.result(min(deadline, threading.TIMEOUT_MAX))].append(pair)
                except TimeoutError:
                    probers.abandon(probe)
                    error = deadline_error("read", {"read": deadline}, deadline)
                    done.of_pairs.append((pair, failed(pair, error)))
                except ReadError as error:
                    done.of_pairs.append((pair, failed(pair, error)))
        fused = self._photographs(kinds["photograph"], in_tiles=in_tiles)
        # What is in a file decides, not its name.
        for each in fused.of_pairs:
            if isinstance(each[1], OtherInsideError):
                kinds[each[1].kind].append(each[0])
            else:
                done.of_pairs.append(each)
        done.add(replace(fused, of_pairs=[]))
        for pair in (*kinds["scene"], *kinds["clip"]):
            if not (done.spoiled or self.stopping.is_set()):
                fuse = self._fuse_clip if pair in kinds["clip"] else self._fuse_scene
                done.add(self._alone(pair, partial(fuse, pair, in_tiles)))
        return done

    def _kind_of(self, pair: FusionState) -> Kind:
        with counted_by(pair.repeated):
            return kind_of(self.source, pair.ref, self.settings.max_megapixels)

    def _alone(
        self, pair: FusionState, fuse: Callable[[], dict[str, Any] | Exception | None]
    ) -> Outcomes[FusionState]:
        """Fuse a scene or a clip, by itself: its parts are read, fused and written side by side.

        It looks at its deadline itself, after every part; a thread that hangs within one is
        abandoned when that is over.
        """
        began = time.monotonic()
        with AbandonableThreadPool(1, "scene") as threads:
            fusing = threads.submit(fuse)
            while not fusing.done():
                wait([fusing], _LOOK_AGAIN)
                allowed = _HUNG * (pair.allowed or self.settings.pair_deadline)
                if time.monotonic() - began > allowed and not fusing.done():
                    threads.abandon(fusing)
                    return self._hung(pair, allowed)
        outcome = fusing.result()
        return Outcomes([] if outcome is None else [(pair, outcome)])

    def _hung(self, pair: FusionState, waited: float) -> Outcomes[FusionState]:
        # The abandoned thread may go on one day; it keeps a pair of its own.
        mine = dataclasses.replace(pair, seconds=dict(pair.seconds))
        mine.seconds[mine.stage] = waited - sum(mine.seconds.values())
        error = failed(mine, deadline_error(mine.stage, mine.seconds, waited))
        mine.end()
        return Outcomes([(mine, error)], spoiled=True)

    def _fuse_scene(self, pair: FusionState, in_tiles: bool) -> dict[str, Any] | Exception:
        try:
            scene = SceneWork(
                self.source,
                self.output,
                room=self.room,
                settings=self.settings,
                run=self.run_identity,
            )
            return scene.fuse(pair, in_tiles=in_tiles)
        except Exception as error:
            return failed(pair, error)
        finally:
            pair.end()

    def _fuse_clip(self, pair: FusionState, in_tiles: bool) -> dict[str, Any] | Exception | None:
        """Fuse a clip; returns None where the worker was told to stop in the middle of it."""
        try:
            clip = ClipWork(
                self.source,
                self.output,
                room=self.room,
                settings=self.settings,
                run=self.run_identity,
                stopping=self.stopping,
                cameras=self.cameras,
            )
            columns, segments = clip.fuse(pair, in_tiles=in_tiles)
            self._finished.append(segments)
            return columns
        except ClipStoppedError:
            return None
        except Exception as error:
            return failed(pair, error)
        finally:
            pair.end()

    def _photographs(
        self, pairs: Sequence[FusionState], *, in_tiles: bool
    ) -> Outcomes[FusionState]:
        stages = PairStages(self._load, partial(self._fuse, in_tiles=in_tiles), self._finish)
        limits = PipelineLimits.of(self.settings, batch_size=self.photographs.batch_size)
        limits = replace(limits, memory=self.memory)
        return run_pipeline(pairs, stages, limits, self.stopping)

    def _load(self, pair: FusionState) -> None:
        pair.loaded = load_pair(
            pair.ref,
            self.source,
            settings=self.settings,
            max_megapixels=self.settings.max_megapixels,
            stage=pair.timed,
            look=self._look,
        )
        with pair.timed("pair"):
            pair.loaded, pair.registered = self._register(pair)
            pair.registered.check()

    def _register(self, pair: FusionState) -> tuple[PicturePair, Registered]:
        if self.cameras is None:
            return register_photographs(pair.pictures, self.settings)
        return register_by_camera(pair.pictures, self.settings, *self.cameras.of(pair.ref))

    def _look(self, path: str, body: bytes) -> None:
        check_photograph(path, body, self.settings.max_megapixels)

    def _fuse(self, batch: Sequence[FusionState], *, in_tiles: bool) -> list[NDArray[np.float32]]:
        sides = zip(*(pair.pictures.luminances() for pair in batch), strict=True)
        ir, vi = (np.stack(side) if len(side) > 1 else side[0][None] for side in sides)
        fused = self.photographs.fuse(ir, vi, in_tiles=in_tiles)
        for pair, (_, remark) in zip(batch, fused, strict=True):
            pair.remark = remark
        return [image for image, _ in fused]

    def _finish(self, pair: FusionState, fused: NDArray[np.float32]) -> dict[str, Any]:
        settings_hash = self.run_identity.settings_hash
        path = fused_path(
            pair.ref,
            settings_hash,
            self.fuser.model_hash,
            self.settings.format,
            arithmetic=arithmetic_of(self.fuser).key,
        )
        columns = finish_pair(
            pair, fused, self.output, path=path, settings=self.settings, device=self.device
        )
        tiled = pair.remark is not None
        remark = join_remarks(
            pair.pictures.remark(),
            unused_settings(self.settings, "photographs", tiled=tiled),
            unused_percentiles(self.settings, pair.pictures.scaling_names),
            pair.registered.remark,
            pair.remark,
        )
        return {**columns, "remark": remark}

    def _row(self, pair: FusionState) -> dict[str, Any]:
        arithmetic = arithmetic_of(self.fuser)
        return {
            **super()._row(pair),
            "method": self.fuser.name,
            "metric_version": METRIC_VERSION,
            "precision": arithmetic.precision,
            "engine": arithmetic.engine,
        }
