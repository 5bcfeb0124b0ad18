"""Looks for things in the images of a chunk by a detector, and commits the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.archive.layout import DETECTIONS_FOLDER
from fusion_core.detection.detector import Detector
from fusion_core.detection.detector_file import DETECTION_VERSION
from fusion_core.images.pair import PicturePair
from fusion_core.images.picture import Picture
from fusion_core.jobs.detect_settings import SIDES, DetectSettings
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.image_worker import FusedImage, ImageState, ImageWorker
from fusion_core.jobs.pair import scaling_columns
from fusion_core.jobs.remarks import unused_percentiles
from fusion_core.jobs.stages import PairStages
from fusion_core.metrics.scaling import Scaling
from fusion_core.storage.store import Storage


class DetectingWorker(ImageWorker[DetectSettings]):
    """Looks at the images of chunks and commits their rows.

    Args:
        source: Where the pairs are.
        output: Where parts go.
        fused: Where the images are, by method.
        settings: The run's settings.
        run: The run's identity.
        detector: What looks at them.
        device: Where it computes.
    """

    folder = DETECTIONS_FOLDER

    def __init__(
        self,
        source: Storage,
        output: Storage,
        *,
        fused: Mapping[str, Storage],
        settings: DetectSettings,
        run: RunIdentity,
        detector: Detector,
        device: str = "cpu",
    ):
        everywhere = {**dict.fromkeys(SIDES, source), **fused}
        super().__init__(
            source, output, fused=everywhere, settings=settings, run=run, device=device
        )
        self.detector = detector

    def _stages(self) -> PairStages[ImageState]:
        return PairStages(self._load, self._look, self._boxes, name="detect")

    def _load(self, pair: ImageState) -> None:
        method = pair.ref.method
        if method not in SIDES:
            super()._load(pair)
            return
        hashes: dict[str, str] = {}

        def note(path: str, body: bytes) -> None:
            hashes[path] = hashlib.sha256(body).hexdigest()

        self._load_pair(pair, note)
        side = pair.pictures.ir if SIDES[method] == "ir" else pair.pictures.vi
        pair.fused = FusedImage(side.picture, hashes[pair.ref.fused_path])

    def _look(self, pairs: Sequence[ImageState]) -> Iterable[NDArray[np.float32]]:
        for pair in pairs:
            picture = pair.image.picture
            yield self.detector.output(seen(pair.pictures, picture, pair.ref.method))

    def _boxes(self, pair: ImageState, output: NDArray[np.float32]) -> dict[str, Any]:
        loaded = pair.pictures
        boxes = self.detector.boxes(output, pair.shape, self.settings)
        height, width = pair.shape
        return {
            "fused_sha256": pair.image.sha256,
            "height": height,
            "width": width,
            **scaling_columns(loaded),
            "remark": unused_percentiles(self.settings, loaded.scaling_names),
            **boxes.columns(),
        }

    def _row(self, pair: ImageState) -> dict[str, Any]:
        return {
            **super()._row(pair),
            "metric_version": DETECTION_VERSION,
            "engine": self.detector.engine,
            "seconds_detect": pair.seconds.get("detect"),
        }


def seen(pair: PicturePair, picture: Picture, method: str) -> NDArray[np.uint8]:
    """Return an image as a detector sees it, (H, W, 3) RGB of 8 bits.

    The infrared one is its luminance in three equal channels. Deep images are scaled as they are
    for fusing, and deep fused ones as the visible one is, whose units they have.

    Args:
        pair: The pair, as it was loaded for fusing.
        picture: The image.
        method: Whose image it is.
    """
    if SIDES.get(method) == "ir":
        unit = pair.ir.luminance()
    else:
        same = picture.pixels.dtype == pair.vi.picture.pixels.dtype
        scaling = pair.vi.scaling if same else Scaling(0.0, float(picture.top))
        unit = scaling.unit(picture.pixels)
    found = np.rint(255 * unit).astype(np.uint8)
    return found if found.ndim == 3 else np.repeat(found[..., None], 3, axis=2)
