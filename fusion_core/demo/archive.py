"""Makes pairs of infrared and visible images of invented streets, and archives of them."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fusion_core.demo.cameras import render_infrared, render_visible
from fusion_core.demo.canvas import Bools
from fusion_core.demo.street import build_scene
from fusion_core.demo.weather import KINDS, Kind, make_weather
from fusion_core.errors import SettingsError
from fusion_core.storage.store import Storage

SMALLEST = 64
SCENES_PER_SEED = 10_000
TAGS = ("sky", "road", "building", "glass", "tree", "car", "engine", "person", "sign")


@dataclass(frozen=True)
class ScenePair:
    """An infrared and a visible image of one scene.

    The masks are those of ``TAGS`` ("engine" is what a running car heats), "shadow" (ground that
    the sun does not reach), "smoke" and "glare" (what each hides in the visible).
    """

    ir: NDArray[np.uint8]  # (H, W), white hot
    vi: NDArray[np.uint8]  # (H, W, 3), sRGB
    kind: Kind
    masks: Mapping[str, Bools]  # (H, W) each


def make_pair(
    seed: int, height: int = 480, width: int = 640, kind: Kind | None = None
) -> ScenePair:
    """Makes one pair; equal arguments give equal bytes.

    Two pairs of one seed and size but of different kinds show the same street and the same
    people, under another sky.

    Args:
        seed: a non-negative number that decides everything left to chance.
        height: rows, at least 64.
        width: columns, at least 64.
        kind: the light and the air; by default it follows from the seed.

    Raises:
        SettingsError: the seed is negative, the size too small, or the kind unknown.
    """
    if seed < 0:
        raise SettingsError(f"seed is {seed}; expected 0 or more")
    if min(height, width) < SMALLEST:
        raise SettingsError(
            f"size is {height}x{width}; synthetic scenes need at least {SMALLEST}x{SMALLEST}"
        )
    kind = KINDS[seed % len(KINDS)] if kind is None else kind
    if kind not in KINDS:
        raise SettingsError(f"kind is {kind!r}; expected one of {', '.join(KINDS)}")
    # Each step has its own stream of chance, so that a change to one leaves the others alone.
    layout, air, visible, infrared = (np.random.default_rng([seed, step]) for step in range(4))
    scene = build_scene(layout, height, width)
    weather = make_weather(air, scene, kind)
    vi, veil = render_visible(scene, weather, visible)
    ir = render_infrared(scene, weather, infrared)
    masks = {tag: scene.tagged(tag) for tag in TAGS}
    masks["shadow"] = masks["road"] & (scene.shadow > 0.5) & (not weather.dark)
    masks["smoke"] = weather.smoke > 1.0
    masks["glare"] = (veil > 0.3) & (kind == "glare")
    return ScenePair(ir, vi, kind, masks)


def write_archive(
    url: str, pairs: int = 24, seed: int = 7, height: int = 480, width: int = 640
) -> list[str]:
    """Writes an archive of pairs as ``ir/{pair}.png`` (grey) and ``vi/{pair}.png`` (RGB).

    The kinds take turns. A file that already holds the same bytes is left as it is, so that its
    modification time, and with it its version, stays.

    Args:
        url: where to write, any fsspec URL or local path.
        pairs: how many pairs, 1 to 10000.
        seed: decides the scenes; archives of different seeds share none.
        height: rows of each image, at least 64.
        width: columns of each image, at least 64.

    Returns:
        The names of the pairs, such as ``scene_0007_night``, in the order written.

    Raises:
        SettingsError: a number is out of range.
        StorageError: a file can't be written.
    """
    if not 1 <= pairs <= SCENES_PER_SEED:
        raise SettingsError(f"pairs is {pairs}; expected 1 to {SCENES_PER_SEED}")
    store, names = Storage(url), []
    for index in range(pairs):
        kind = KINDS[index % len(KINDS)]
        pair = make_pair(seed * SCENES_PER_SEED + index, height, width, kind)
        names.append(f"scene_{index:04d}_{kind}")
        for folder, image in (("ir", pair.ir), ("vi", pair.vi)):
            png, path = io.BytesIO(), f"{folder}/{names[-1]}.png"
            Image.fromarray(image).save(png, format="PNG")
            if not store.exists(path) or store.read(path) != png.getvalue():
                store.write(path, png.getvalue())
    return names
