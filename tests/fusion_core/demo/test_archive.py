"""Synthetic pairs: repeatable, and true to what light and heat do."""

import hashlib
import os
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path

import fsspec
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fusion_core.demo.archive import StreetPair, make_pair, write_archive
from fusion_core.demo.cameras import render_infrared, render_visible
from fusion_core.demo.canvas import Floats, Scene
from fusion_core.demo.street import build_scene
from fusion_core.demo.weather import KINDS, Kind, Weather, make_weather
from fusion_core.errors import SettingsError, StorageError

SEEDS = (1, 2, 3, 4)
SIZE = (240, 320)
LARGE = (480, 640)
Mask = NDArray[np.bool_]


def luma(vi: NDArray[np.uint8]) -> Floats:
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.asarray(vi.astype(np.float32) @ weights)


def grown(mask: Mask, steps: int) -> Mask:
    """A mask with a rim of ``steps`` pixels added."""
    for _ in range(steps):
        wide = np.pad(mask, 1)
        mask = mask | wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]
    return mask


def slope(image: NDArray[np.generic]) -> Floats:
    down, across = np.gradient(np.asarray(image, dtype=np.float32))
    return np.asarray(np.hypot(down, across))


def digest(pair: StreetPair) -> str:
    return hashlib.sha256(pair.ir.tobytes() + pair.vi.tobytes()).hexdigest()


@cache
def made(seed: int, size: tuple[int, int], kind: Kind) -> StreetPair:
    """A pair for tests that only look at it: making one takes most of their time."""
    pair = make_pair(seed, *size, kind=kind)
    for image in (pair.ir, pair.vi, *pair.masks.values()):
        image.flags.writeable = False
    return pair


@cache
def scene_of(seed: int) -> Scene:
    return build_scene(np.random.default_rng(seed), *SIZE)


def set_up(seed: int, kind: Kind) -> tuple[Scene, Weather]:
    scene = scene_of(seed)
    return scene, make_weather(np.random.default_rng(seed), scene, kind)


def both(scene: Scene, weather: Weather) -> tuple[Floats, Floats]:
    """Infrared and visible grey levels with the same noise for every call."""
    vi, _ = render_visible(scene, weather, np.random.default_rng(5))
    ir = render_infrared(scene, weather, np.random.default_rng(6))
    return ir.astype(np.float32), luma(vi)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_arguments_give_equal_bytes(kind: Kind) -> None:
    first, second = make_pair(5, *SIZE, kind=kind), make_pair(5, *SIZE, kind=kind)
    assert digest(first) == digest(second)
    for name, mask in first.masks.items():
        np.testing.assert_array_equal(mask, second.masks[name])


def test_seeds_and_kinds_give_different_images() -> None:
    pairs = [made(seed, SIZE, kind) for seed in SEEDS for kind in KINDS]
    assert len({digest(pair) for pair in pairs}) == len(pairs)


def test_the_kind_follows_from_the_seed_unless_given() -> None:
    assert {make_pair(seed, 64, 64).kind for seed in range(4)} == set(KINDS)
    assert make_pair(0, 64, 64, kind="glare").kind == "glare"


@pytest.mark.parametrize("size", [(64, 64), (97, 131), (200, 80), (480, 640)])
@pytest.mark.parametrize("kind", KINDS)
def test_images_and_masks_have_the_size_asked_for(size: tuple[int, int], kind: Kind) -> None:
    pair = make_pair(9, *size, kind=kind)
    assert pair.ir.shape == size
    assert pair.vi.shape == (*size, 3)
    assert pair.ir.dtype == pair.vi.dtype == np.uint8
    for mask in pair.masks.values():
        assert mask.shape == size
        assert mask.dtype == np.bool_
    assert pair.ir.std() > 10
    assert pair.vi.std() > 5


@pytest.mark.parametrize("seed", range(12))
def test_every_scene_holds_a_street_with_a_running_car_and_people(seed: int) -> None:
    masks = made(seed, SIZE, KINDS[seed % len(KINDS)]).masks
    for name in ("sky", "road", "building", "car", "engine", "person"):
        assert masks[name].any(), name
    assert not (masks["engine"] & ~masks["car"]).any()
    assert not (masks["person"] & masks["car"]).any()


def test_only_the_fitting_kinds_have_smoke_glare_and_shadow() -> None:
    for kind in KINDS:
        masks = made(4, SIZE, kind).masks
        assert masks["smoke"].any() == (kind == "smoke")
        assert masks["glare"].any() == (kind == "glare")
        assert masks["shadow"].any() == (kind in ("day", "smoke"))


@pytest.mark.parametrize("seed", SEEDS)
def test_kinds_of_one_seed_share_their_geometry(seed: int) -> None:
    day, night = made(seed, SIZE, "day"), made(seed, SIZE, "night")
    for name in ("sky", "person", "car", "building"):
        np.testing.assert_array_equal(day.masks[name], night.masks[name])


@pytest.mark.parametrize("seed", SEEDS)
def test_people_at_night_are_warm_in_infrared_and_dark_in_visible(seed: int) -> None:
    pair = made(seed, SIZE, "night")
    person = pair.masks["person"]
    around = grown(person, 6) & ~grown(person, 2) & ~pair.masks["car"] & ~pair.masks["sky"]
    assert pair.ir[person].mean() > pair.ir[around].mean() + 35
    assert np.median(luma(pair.vi)[person]) < 70


@pytest.mark.parametrize("seed", SEEDS)
def test_engines_are_the_hottest_part_of_cars_and_invisible_as_such(seed: int) -> None:
    pair = made(seed, SIZE, "night")
    engine, rest = pair.masks["engine"], pair.masks["car"] & ~pair.masks["engine"]
    assert pair.ir[engine].mean() > pair.ir[rest].mean() + 50


@pytest.mark.parametrize("kind", KINDS)
def test_the_sky_is_the_coldest_thing(kind: Kind) -> None:
    pair = made(3, SIZE, kind)
    sky = ~grown(~pair.masks["sky"], 3)
    assert pair.ir[sky].max() < np.percentile(pair.ir[~pair.masks["sky"]], 5)


@pytest.mark.parametrize("seed", SEEDS)
def test_panes_mirror_the_cold_sky(seed: int) -> None:
    pair = made(seed, LARGE, "night")
    glass = pair.masks["glass"] & pair.masks["building"]
    wall = pair.masks["building"] & ~pair.masks["glass"]
    assert pair.ir[glass].mean() < pair.ir[wall].mean() - 5


@pytest.mark.parametrize("seed", SEEDS)
def test_smoke_hides_from_the_visible_but_not_from_the_infrared(seed: int) -> None:
    scene, weather = set_up(seed, "smoke")
    clear = replace(weather, smoke=np.zeros_like(weather.smoke))
    behind = weather.smoke > 2.0
    assert behind.mean() > 0.01
    smoky_ir, smoky_vi = both(scene, weather)
    clear_ir, clear_vi = both(scene, clear)
    assert slope(smoky_vi)[behind].mean() < 0.5 * slope(clear_vi)[behind].mean()
    assert slope(smoky_ir)[behind].mean() > 0.7 * slope(clear_ir)[behind].mean()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_stands_before_the_smoke_stays_as_it_was(seed: int) -> None:
    scene, weather = set_up(seed, "smoke")
    near = scene.places[2] < scene.haven[1] - 6.0
    assert near.any()
    assert not weather.smoke[near].any()


@pytest.mark.parametrize("seed", SEEDS)
def test_glare_saturates_the_visible_and_leaves_the_infrared_alone(seed: int) -> None:
    pair = made(seed, SIZE, "glare")
    glare = pair.masks["glare"]
    white = pair.vi.min(axis=2) >= 250
    assert white[glare].mean() > 0.05
    assert pair.ir[glare].max() < 255
    scene, weather = set_up(seed, "glare")
    dazzled_ir, dazzled_vi = both(scene, weather)
    dipped_ir, dipped_vi = both(scene, replace(weather, dazzle=1.0))
    np.testing.assert_array_equal(dazzled_ir, dipped_ir)
    assert dazzled_vi.mean() > dipped_vi.mean() + 1


@pytest.mark.parametrize("seed", SEEDS)
def test_shadows_are_far_stronger_in_visible_than_in_infrared(seed: int) -> None:
    scene, weather = set_up(seed, "day")
    ground = scene.tagged("road")
    shaded = ground & (scene.shadow > 0.9)
    assert shaded.any()
    open_ir, open_vi = both(replace(scene, shadow=np.zeros_like(scene.shadow)), weather)
    ir, vi = both(scene, weather)
    visible_loss = 1 - vi[shaded].mean() / open_vi[shaded].mean()
    infrared_loss = 1 - ir[shaded].mean() / open_ir[shaded].mean()
    assert visible_loss > 0.25
    assert 0 < infrared_loss < 0.5 * visible_loss


@pytest.mark.parametrize("seed", SEEDS)
def test_only_the_visible_shows_the_grain_of_the_road(seed: int) -> None:
    pair = made(seed, LARGE, "day")
    road = ~grown(~pair.masks["road"], 3)
    road[: 480 * 3 // 4] = False
    vi, ir = luma(pair.vi), pair.ir.astype(np.float32)
    assert np.median(slope(vi)[road]) > 2.5 * np.median(slope(ir)[road])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_edges_of_people_and_cars_lie_at_the_same_place_in_both_images(seed: int) -> None:
    pair = made(seed, LARGE, "day")
    for name in ("car", "person"):
        mask = pair.masks[name]
        rim = grown(mask, 1) & grown(~mask, 1)
        for image in (luma(pair.vi), pair.ir):
            steep = slope(image)
            # Moved sideways by any number of pixels, the outline fits worse.
            along = [float(steep[np.roll(rim, by, axis=1)].mean()) for by in range(-8, 9)]
            assert abs(int(np.argmax(along)) - 8) <= 1, name


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"seed": -1}, "-1"),
        ({"seed": 1, "height": 63}, "63x640"),
        ({"seed": 1, "width": 10}, "480x10"),
        ({"seed": 1, "kind": "rain"}, "rain"),
    ],
)
def test_unusable_arguments_are_named(arguments: dict[str, object], found: str) -> None:
    with pytest.raises(SettingsError, match=found):
        make_pair(**arguments)  # type: ignore[arg-type]


def test_an_archive_holds_grey_and_colour_files_of_all_kinds() -> None:
    names = write_archive("memory://synthetic-test/archive", pairs=6, height=64, width=80)
    files = fsspec.filesystem("memory")
    try:
        assert names[:2] == ["scene_0000_day", "scene_0001_night"]
        assert [name.rsplit("_")[-1] for name in names] == [KINDS[i % 4] for i in range(6)]
        assert len(files.find("/synthetic-test/archive")) == 12
        for folder, mode in (("ir", "L"), ("vi", "RGB")):
            body = files.cat_file(f"/synthetic-test/archive/{folder}/{names[3]}.png")
            image = Image.open(BytesIO(body))
            assert image.mode == mode
            assert image.size == (80, 64)
    finally:
        files.rm("/synthetic-test", recursive=True)


def test_a_write_that_fails_in_passing_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    files = fsspec.filesystem("memory")
    write, failures = files.pipe_file, [TimeoutError("stalled")]

    def fail_once(path: str, body: bytes, **options: object) -> None:
        if failures:
            raise failures.pop()
        write(path, body, **options)

    monkeypatch.setattr(files, "pipe_file", fail_once)
    try:
        write_archive("memory://synthetic-retry", pairs=1, height=64, width=64)
        assert not failures
        assert len(files.find("/synthetic-retry")) == 2
    finally:
        files.rm("/synthetic-retry", recursive=True)


def test_writing_again_leaves_equal_files_untouched(tmp_path: Path) -> None:
    names = write_archive(str(tmp_path), pairs=3, height=64, width=64)
    paths = sorted(tmp_path.rglob("*.png"))
    assert len(paths) == 6
    for path in paths:
        os.utime(path, (1_000, 1_000))
    damaged = tmp_path / "ir" / f"{names[2]}.png"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1] + b"?")
    missing = tmp_path / "vi" / f"{names[1]}.png"
    missing.unlink()
    assert write_archive(str(tmp_path), pairs=3, height=64, width=64) == names
    assert damaged.read_bytes() == whole
    renewed = {path for path in paths if path.stat().st_mtime != 1_000}
    assert renewed == {damaged, missing}


def test_another_seed_gives_another_archive(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_archive(str(tmp_path / str(seed)), pairs=1, seed=seed, height=64, width=64)
    first, second = (tmp_path / str(seed) / "ir/scene_0000_day.png" for seed in (1, 2))
    assert first.read_bytes() != second.read_bytes()


def test_an_archive_of_no_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="pairs is 0"):
        write_archive(str(tmp_path), pairs=0)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="file/archive"):
        write_archive(str(tmp_path / "file" / "archive"), pairs=1, height=64, width=64)
