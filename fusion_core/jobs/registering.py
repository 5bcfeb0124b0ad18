"""Looks at whether both images of a pair show the same place, and aligns photographs that don't.

What is found stands in the pair's row, whatever becomes of it: see the columns ``registration``,
``shift_x``, ``shift_y``, ``registration_score`` and ``registration_matrix``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import MisalignedError
from fusion_core.images.colour import luminance
from fusion_core.images.pair import PicturePair
from fusion_core.registration.align import Transform, estimate
from fusion_core.registration.camera import CameraTransform
from fusion_core.registration.check import SIDE, Shift, Verdict, estimate_shift, limit_for
from fusion_core.registration.ecc import Model
from fusion_core.registration.orientation import Plane, factor_for, reduced, reduced_mask
from fusion_core.registration.warp import Matrix, can_warp, grown, shift_of, warped
from fusion_core.scenes.pair import ScenePair
from fusion_core.settings.registration import RegistrationSettings

_ALIGNING_SIDE = 1280
"""Transforms are estimated in pairs reduced to about so many pixels along the longer side."""


@dataclass(frozen=True)
class Registered:
    """What registration found of a pair.

    Attributes:
        columns: Those of the manifest.
        remark: What a reader of the fused image should know of it, if anything.
        failure: Why the pair is not to be fused; None where it is.
    """

    columns: Mapping[str, Any]
    remark: str | None = None
    failure: str | None = None

    def check(self) -> None:
        """Raise MisalignedError where the pair is not to be fused."""
        if self.failure is not None:
            raise MisalignedError(self.failure)


UNSEEN = Registered({})
"""Of a pair that was not looked at."""


@dataclass(frozen=True)
class Sight:
    """Both images of a pair as registration sees them: in grey, reduced.

    Attributes:
        ir: Infrared luminance, (H, W) in [0, 1].
        vi: Visible luminance, likewise.
        valid: Where both show something, (H, W); None where they do everywhere.
        factor: Pixels of the pair along a side of one here.
        size: Height and width of the pair itself.
    """

    ir: Plane
    vi: Plane
    valid: NDArray[np.bool_] | None
    factor: int
    size: tuple[int, int]

    @classmethod
    def of(cls, pictures: PicturePair, side: int) -> Sight:
        """Reduce a pair of photographs to about ``side`` pixels along the longer side."""
        height, width = pictures.vi.picture.pixels.shape[:2]
        factor = factor_for((height, width), side)
        # Reducing comes first, for then colours and scaling cost little.
        ir, vi = (
            luminance(reduced(one.picture.pixels, factor), one.scaling)
            for one in (pictures.ir, pictures.vi)
        )
        valid = pictures.valid
        seen = None if valid is None else reduced_mask(valid, factor)
        return cls(ir, vi, seen, factor, (int(height), int(width)))

    @classmethod
    def of_scene(cls, scene: ScenePair) -> Sight:
        """Take the decimated read of a scene that its scaling was taken from."""
        preview = scene.preview
        return cls(preview.ir, preview.vi, preview.valid, preview.step, scene.size)

    def limit(self, settings: RegistrationSettings) -> float:
        """Return how many pixels the pair may be off, at least what can be told of it."""
        finest = self.factor * factor_for(self.vi.shape, SIDE)
        return max(limit_for(*self.size, settings.registration_limit), float(finest))

    def shift(self) -> Shift:
        """Estimate by how much the pair is off, in its own pixels."""
        return estimate_shift(self.ir, self.vi, self.valid).scaled(self.factor)


def register_scene(scene: ScenePair, settings: RegistrationSettings) -> Registered:
    """Look at whether a scene's images show the same place where their georeferences say so."""
    if settings.registration == "off":
        return UNSEEN
    sight = Sight.of_scene(scene)
    shift, limit = sight.shift(), sight.limit(settings)
    return checked(shift, shift.verdict(limit), limit, settings)


def register_photographs(
    pictures: PicturePair, settings: RegistrationSettings
) -> tuple[PicturePair, Registered]:
    """Look at whether a pair of photographs shows one place; align it if the settings say so.

    Returns:
        The pair, aligned or as it was, and what was found.
    """
    if settings.registration == "off":
        return pictures, UNSEEN
    sight = Sight.of(pictures, SIDE)
    shift, limit = sight.shift(), sight.limit(settings)
    verdict = shift.verdict(limit)
    if verdict != "shifted" or not settings.aligns:
        return pictures, checked(shift, verdict, limit, settings)
    transform = _transform(pictures, settings, limit)
    if transform is None:
        return pictures, checked(shift, verdict, limit, settings, tried=True)
    columns = corrected_columns(transform.matrix, transform.score, sight.size)
    return moved(pictures, transform.matrix), Registered(columns)


@dataclass(frozen=True)
class PairTransform:
    """What one pair says of its camera.

    Attributes:
        matrix: The transform; the identity where it is aligned, None where it isn't sure.
        size: Height and width of its images in pixels.
        limit: How many pixels it may be off.
    """

    matrix: Matrix | None
    size: tuple[int, int]
    limit: float


def transform_of(pictures: PicturePair, settings: RegistrationSettings) -> PairTransform:
    """Estimate the transform of one pair of a camera."""
    sight = Sight.of(pictures, SIDE)
    limit = sight.limit(settings)
    matrix: Matrix | None = None
    match sight.shift().verdict(limit):
        case "aligned":
            matrix = np.eye(3)
        case "shifted":
            found = _transform(pictures, settings, limit)
            matrix = None if found is None else found.matrix
    return PairTransform(matrix, sight.size, limit)


def register_by_camera(
    pictures: PicturePair,
    settings: RegistrationSettings,
    name: str,
    camera: CameraTransform | None,
) -> tuple[PicturePair, Registered]:
    """Align a pair by its camera's transform, and look at what that leaves.

    Args:
        pictures: The pair.
        settings: How far it may be off.
        name: What the camera is called.
        camera: Its transform; None where that isn't sure.

    Returns:
        As ``register_photographs``. Without a transform of its size, the pair stays as it is.
    """
    sight = Sight.of(pictures, SIDE)
    limit = sight.limit(settings)
    fits = camera is not None and camera.size == sight.size
    if camera is None or not fits or not camera.moves:
        shift = sight.shift()
        found = checked(shift, shift.verdict(limit), limit, settings, tried=not fits)
        if not fits:
            told = f"no transform of the camera {name} is sure for its size"
            columns = {**found.columns, "registration": "unsure"}
            found = replace(found, columns=columns, remark=f"{told}: the pair stays as it is")
        return pictures, found
    aligned = moved(pictures, camera.matrix)
    columns = corrected_columns(camera.matrix, camera.score, sight.size)
    left = Sight.of(aligned, SIDE).shift()
    if left.verdict(limit) != "shifted":
        return aligned, Registered(columns)
    told = f"by the transform of the camera {name} the infrared image still is off by"
    return aligned, Registered(columns, f"{told} {_in_words(left)}; at most {limit:.1f} may be")


def moved(pictures: PicturePair, matrix: Matrix) -> PicturePair:
    """Return a pair whose infrared side was moved by a transform; uncovered borders are no data."""
    side = pictures.ir
    pixels, inside = warped(side.picture.pixels, matrix, side.valid)
    alpha = np.where(inside, np.iinfo(pixels.dtype).max, 0).astype(pixels.dtype)
    picture = replace(side.picture, pixels=pixels, alpha=alpha)
    valid = None if inside.all() else inside
    return replace(pictures, ir=replace(side, picture=picture, valid=valid))


def corrected_columns(matrix: Matrix, score: float, size: tuple[int, int]) -> dict[str, Any]:
    """Return the columns of a pair that was aligned by a transform."""
    x, y = shift_of(matrix, *size)
    return {
        "registration": "corrected",
        "shift_x": x,
        "shift_y": y,
        "registration_score": score,
        "registration_matrix": matrix.ravel().tolist(),
    }


def _transform(
    pictures: PicturePair, settings: RegistrationSettings, limit: float
) -> Transform | None:
    """Estimate the transform that aligns a pair, in its own pixels; None where none is sure."""
    sight = Sight.of(pictures, _ALIGNING_SIDE)
    if not can_warp(*sight.size):
        return None
    model, factor = cast(Model, settings.registration), sight.factor
    found = estimate(sight.ir, sight.vi, model, valid=sight.valid, limit=limit / factor)
    return replace(found, matrix=grown(found.matrix, factor)) if found.sure else None


def checked(
    shift: Shift,
    verdict: Verdict,
    limit: float,
    settings: RegistrationSettings,
    *,
    tried: bool = False,
) -> Registered:
    """Return what is said of a pair that stays as it is.

    Args:
        shift: By how much it is off.
        verdict: What that means.
        limit: By how much it may be.
        settings: Whether it fails for that.
        tried: Whether a transform was looked for that mends it, in vain.
    """
    columns = {
        "registration": "unsure" if tried else verdict,
        "shift_x": shift.x,
        "shift_y": shift.y,
        "registration_score": shift.score,
    }
    if verdict == "aligned":
        return Registered(columns)
    if verdict == "unsure":
        # Checked only, most of these show too little to be told; the column is enough.
        told = "whether it is aligned is not sure, so the pair was fused as it is"
        return Registered(columns, told if settings.aligns else None)
    told = f"the infrared image is off by {_in_words(shift)}; at most {limit:.1f} may be"
    if tried:
        told += f", and no {settings.registration} that mends it is sure: it stays as it is"
    if settings.misaligned == "fail":
        told += (
            ". Look at the pair; set registration to affine to have such pairs aligned, "
            "registration_limit to allow more, or misaligned to remark"
        )
        return Registered(columns, failure=told)
    return Registered(columns, told)


def _in_words(shift: Shift) -> str:
    """Say how far and where to: 'about 13 pixels (12 right, 5 up, turned by 2.5°)'."""
    parts = []
    for value, ways in ((shift.x, ("left", "right")), (shift.y, ("up", "down"))):
        if abs(value) >= 0.5:
            parts.append(f"{abs(value):.0f} {ways[value > 0]}")
    if abs(degrees := math.degrees(shift.turn)) >= 0.5:
        parts.append(f"turned by {degrees:.1f}°")
    where = f" ({', '.join(parts)})" if parts else ""
    return f"about {shift.offset:.0f} pixels{where}"
