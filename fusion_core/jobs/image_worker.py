"""The base of the workers that look at images which are there already: each with its pair."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fusion_core.archive.plan import PairRef, ScoreRef
from fusion_core.errors import SizeMismatchError
from fusion_core.images.codecs import decode_listed
from fusion_core.images.picture import Picture
from fusion_core.jobs.fused_settings import FusedSettings
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.loading import Stage, load_pair
from fusion_core.jobs.pair import PairState
from fusion_core.jobs.pipeline import run_pipeline
from fusion_core.jobs.stages import Outcomes, PairStages, PipelineLimits
from fusion_core.jobs.worker import ChunkWorker
from fusion_core.storage.reading import read_listed
from fusion_core.storage.store import Storage

Settings = TypeVar("Settings", bound=FusedSettings)


@dataclass(frozen=True)
class FusedImage:
    """A fused image, or one of the pair's own, that is to be looked at.

    Attributes:
        picture: The decoded image.
        sha256: sha256 of its file's bytes, in hex.
    """

    picture: Picture
    sha256: str


@dataclass
class ImageState(PairState):
    """The state of a pair of which one image is being looked at.

    Attributes:
        fused: The image; set by whoever loads it, dropped by ``end``.
    """

    ref: ScoreRef
    fused: FusedImage | None = None

    def end(self) -> None:
        """Note the time and let go of the pixels."""
        super().end()
        self.fused = None

    @property
    def image(self) -> FusedImage:
        """The image of a loaded pair."""
        assert self.fused is not None
        return self.fused


class ImageWorker(ChunkWorker[ImageState], Generic[Settings]):
    """Looks at images of chunks and commits their rows; what it looks for is up to the subclass.

    Args:
        source: Where the pairs are.
        output: Where parts go.
        fused: Where the images are, by method.
        settings: The run's settings.
        run: The run's identity.
        device: Where to compute.
    """

    def __init__(
        self,
        source: Storage,
        output: Storage,
        *,
        fused: Mapping[str, Storage],
        settings: Settings,
        run: RunIdentity,
        device: str = "cpu",
    ):
        super().__init__(source, output, run, device, max_attempts=settings.max_attempts)
        self.fused = fused
        self.settings = settings

    @abstractmethod
    def _stages(self) -> PairStages[ImageState]:
        """Return what an image goes through."""

    def _begin(self, ref: PairRef) -> ImageState:
        assert isinstance(ref, ScoreRef)
        return ImageState(ref)

    def _outcomes(self, pairs: Sequence[ImageState], *, in_tiles: bool) -> Outcomes[ImageState]:
        limits = PipelineLimits.of(self.settings, batch_size=1)
        return run_pipeline(pairs, self._stages(), limits, self.stopping)

    def _load(self, pair: ImageState) -> None:
        self._load_pair(pair)
        pair.fused = load_fused(
            pair.ref,
            self.fused[pair.ref.method],
            pair.shape,
            max_megapixels=self.settings.max_megapixels,
            stage=pair.timed,
        )

    def _load_pair(
        self, pair: ImageState, look: Callable[[str, bytes], None] | None = None
    ) -> None:
        pair.loaded = load_pair(
            pair.ref,
            self.source,
            settings=self.settings,
            max_megapixels=self.settings.max_megapixels,
            stage=pair.timed,
            look=look,
        )

    def _row(self, pair: ImageState) -> dict[str, Any]:
        ref = pair.ref
        return {
            **super()._row(pair),
            "method": ref.method,
            "fused_url": self.fused[ref.method].url(ref.fused_path),
            "fused_version": ref.fused_version,
            "fused_bytes": ref.fused_bytes,
        }


def load_fused(
    ref: ScoreRef,
    storage: Storage,
    shape: tuple[int, int],
    *,
    max_megapixels: float,
    stage: Stage = nullcontext,
) -> FusedImage:
    """Read and decode the fused image of a pair.

    Args:
        ref: Which image.
        storage: Where it is.
        shape: Height and width of the pair.
        max_megapixels: Larger images are refused.
        stage: Entered for each of the stages read and decode.

    Raises:
        PairError: The image can't be read or decoded, or is of another size.
        UnreachableError: The store gives no answer.
    """
    path = ref.fused_path
    with stage("read"):
        body = read_listed(storage, path, ref.fused_bytes, ref.fused_version)
    with stage("decode"):
        picture = decode_listed(path, body, max_megapixels)
    if picture.pixels.shape[:2] != shape:
        height, width = shape
        raise SizeMismatchError(
            f"{path} is {picture.pixels.shape[1]}x{picture.pixels.shape[0]} and its sources "
            f"{width}x{height}; expected equal sizes. Score images that were neither cropped nor "
            "scaled"
        )
    return FusedImage(picture, hashlib.sha256(body).hexdigest())
