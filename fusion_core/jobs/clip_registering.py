"""Looks at whether both sides of a clip show the same place, and finds what aligns them.

A clip has one transform, of frames from all over it: were each frame aligned by its own, the fused
clip would shake.
"""

from __future__ import annotations

from collections.abc import Sequence

from fusion_core.archive.clip_names import is_clip
from fusion_core.archive.plan import PairRef
from fusion_core.images.pair import PicturePair
from fusion_core.jobs.loading import load_pair
from fusion_core.jobs.registering import (
    UNSEEN,
    Registered,
    Sight,
    checked,
    corrected_columns,
    transform_of,
)
from fusion_core.registration.camera import LEAST, CameraTransform, agreed
from fusion_core.registration.check import SIDE, Shift, Verdict
from fusion_core.registration.warp import Matrix
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.settings.registration import RegistrationSettings
from fusion_core.storage.store import Storage
from fusion_core.video.clip import Clip, nothing_matches

SAMPLES = 7
"""Frames of a clip that are looked at."""


def register_clip(
    samples: Sequence[PicturePair], settings: RegistrationSettings
) -> tuple[Matrix | None, Registered]:
    """Look at frames of a clip, and align it if the settings say so.

    Args:
        samples: Pairs of frames from all over it.
        settings: The settings.

    Returns:
        The transform that aligns the clip, None where it stays as it is; and what was found.
    """
    if settings.registration == "off" or not samples:
        return None, UNSEEN
    sights = [Sight.of(pictures, SIDE) for pictures in samples]
    limit = sights[0].limit(settings)
    shift, verdict = _most(sights, limit)
    if verdict != "shifted" or not settings.aligns:
        return None, checked(shift, verdict, limit, settings)
    found = _transform(samples, sights[0].size, limit, settings)
    if found is None:
        return None, checked(shift, verdict, limit, settings, tried=True)
    columns = corrected_columns(found.matrix, found.score, sights[0].size)
    return found.matrix, Registered(columns)


def load_sample(ref: PairRef, source: Storage, settings: FuseArchiveSettings) -> PicturePair:
    """Load the images of a pair, or frames from the middle of a clip, to look at their camera.

    Raises:
        PairError: They can't be read, decoded or paired.
        UnreachableError: The store gives no answer.
    """
    if not is_clip(ref.ir_path, ref.vi_path):
        return load_pair(ref, source, settings=settings, max_megapixels=settings.max_megapixels)
    clip = Clip(source, ref, settings)
    for pictures in clip.samples(1) or clip.samples(SAMPLES):
        return pictures
    raise nothing_matches(clip)


def _most(sights: Sequence[Sight], limit: float) -> tuple[Shift, Verdict]:
    """Return what most frames that are sure say, by the one in their middle."""
    shifts = [sight.shift() for sight in sights]
    by_verdict: dict[Verdict, list[Shift]] = {}
    for shift in shifts:
        by_verdict.setdefault(shift.verdict(limit), []).append(shift)
    unsure = by_verdict.pop("unsure", [])
    if not by_verdict or len(unsure) > len(shifts) / 2:
        return max(shifts, key=lambda shift: shift.score), "unsure"
    verdict = max(by_verdict, key=lambda name: len(by_verdict[name]))
    agreeing = sorted(by_verdict[verdict], key=lambda shift: shift.offset)
    return agreeing[len(agreeing) // 2], verdict


def _transform(
    samples: Sequence[PicturePair],
    size: tuple[int, int],
    limit: float,
    settings: RegistrationSettings,
) -> CameraTransform | None:
    matrices = [transform_of(pictures, settings).matrix for pictures in samples]
    sure = [matrix for matrix in matrices if matrix is not None]
    if len(samples) < LEAST and sure:  # of a clip that short, all are one
        return CameraTransform(sure[0], 1.0, 1, size)
    return agreed(sure, size, limit)
