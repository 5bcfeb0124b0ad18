"""Pixels without data have no part in any metric."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from metric_cases import KINDS, TOLERANCES, assert_close, make
from metric_reference import reference_scores, textbook_scores
from metric_scenes import GAPS, filled_stream, gaps, scene, streamed
from scored_by_torch import by_torch

from fusion_core.errors import MetricError
from fusion_core.metrics import METRIC_NAMES, StreamedScores, score

CONVENTIONS = ("published", "textbook")
REFERENCES = {"published": reference_scores, "textbook": textbook_scores}
conventions = st.sampled_from(CONVENTIONS)
seeds = st.integers(0, 2**32 - 1)
tile_sides = st.sampled_from((8, 16, 64))


def bits(scores: dict[str, float]) -> dict[str, bytes]:
    return {name: np.float64(value).tobytes() for name, value in scores.items()}


def assert_as_reference(images, valid, tile) -> None:
    for convention, reference in REFERENCES.items():
        found = streamed(images, convention, valid, tile)
        expected = reference(*images, valid)
        assert_close(found, expected, valid.shape)
        if convention == "published":  # the one that has loops of its own
            with by_torch():
                assert_close(streamed(images, convention, valid, tile), expected, valid.shape)


@example(
    shape=(29, 31), of=("one pixel", "constant", "smooth"), kind="wedge", tile=8, seed=679598
)  # few and flat windows, of which fp32 would round the textbook's variances
@settings(max_examples=150)
@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    of=st.tuples(*[st.sampled_from(KINDS)] * 3),
    kind=st.sampled_from(GAPS),
    tile=tile_sides,
    seed=seeds,
)
def test_images_with_gaps_of_every_kind(shape, of, kind, tile, seed):
    rng = np.random.default_rng(seed)
    assert_as_reference([make(kind, shape, rng) for kind in of], gaps(kind, shape, rng), tile)


@settings(max_examples=100)
@given(
    data=st.data(),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    tile=st.sampled_from((1, 2, 8)),
    seed=seeds,
)
def test_tiny_images_with_arbitrary_gaps(data, shape, tile, seed):
    rng = np.random.default_rng(seed)
    mask = data.draw(st.lists(st.booleans(), min_size=shape[0] * shape[1], max_size=81))
    valid = np.array(mask[: shape[0] * shape[1]]).reshape(shape)
    levels = rng.choice(256, 3)
    images = [rng.choice(levels, shape).astype(np.uint8) for _ in range(3)]
    # No window of VIF fits, so that tiles off the pyramid's grid do as well.
    assert_as_reference(images, valid, tile)


@pytest.mark.parametrize("kind", ["wedge", "hole", "salt"])
@pytest.mark.parametrize("tile", [64, 4096])
def test_a_scene_whose_gaps_cross_tiles(kind, tile):
    images = scene(150, 170, seed=2)
    for seed in range(3):
        assert_as_reference(images, gaps(kind, (150, 170), np.random.default_rng(seed)), tile)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_tiles_score_as_the_scene_in_one_piece(convention):
    images = scene(700, 900)
    rows, columns = np.indices((700, 900))
    valid = (rows + columns > 400) & (3 * rows < 4 * columns + 900)
    valid[300:340, 250:265] = False
    whole = streamed(images, convention, valid, 4096)
    found = streamed(images, convention, valid, 128)
    for name, value in whole.items():
        assert found[name] == pytest.approx(value, rel=1e-6, abs=0), name


def test_a_case_worked_out_by_hand():
    fused = np.array([[10, 14, 99], [10, 17, 20], [13, 17, 24]], np.uint8)
    valid = fused != 99
    images = [fused[::-1], fused.T, fused]
    # Down: 0, 3, 3, 0, 4; across: 4, 7, 3, 4, 7.
    vertical, horizontal = 0 + 9 + 9 + 0 + 16, 16 + 49 + 9 + 16 + 49
    # Down and across, of the pixels with neighbours that hold data.
    one_sided_or_central = [(0, 4), (1.5, 7), (1.5, 5), (3, 4), (0, 5.5), (4, 7)]
    forward = [(0, 4), (3, 7), (0, 3)]
    shares = np.array([2, 1, 2, 1, 1, 1]) / 8
    found = streamed(images, valid=valid)
    assert found["sf"] == pytest.approx(np.sqrt(vertical / 5 + horizontal / 5))
    assert found["ag"] == pytest.approx(
        sum(np.hypot(*pair) for pair in one_sided_or_central) / np.sqrt(2) / (4 * 6 / 9)
    )
    assert found["en"] == pytest.approx(-(shares * np.log2(shares)).sum())
    textbook = streamed(images, "textbook", valid)
    assert textbook["sf"] == pytest.approx(np.sqrt((vertical + horizontal) / 8))
    assert textbook["ag"] == pytest.approx(np.mean([np.hypot(*p) for p in forward]) / np.sqrt(2))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_scene_without_gaps_scores_as_without_a_mask_to_the_last_bit(convention):
    images = scene(150, 200)
    expected = streamed(images, convention, tile=64)
    everywhere = np.ones((150, 200), bool)
    assert bits(streamed(images, convention, everywhere, 64)) == bits(expected)


@settings(max_examples=30)
@given(kind=st.sampled_from(GAPS), convention=conventions, seed=seeds)
def test_what_lies_in_the_gaps_has_no_influence(kind, convention, seed):
    rng = np.random.default_rng(seed)
    images = [image / 255 for image in scene(70, 90, seed)]
    valid = gaps(kind, (70, 90), rng)
    streams = [filled_stream(images, convention, valid, 32)]
    for nodata in (np.nan, -9999.0, np.inf, 1.0, None):
        changed = [
            np.where(valid, image, rng.random(valid.shape) if nodata is None else nodata)
            for image in images
        ]
        streams.append(filled_stream(changed, convention, valid, 32))
    assert len({str(bits(stream.scores())) for stream in streams}) == 1
    assert len({str(stream.undefined()) for stream in streams}) == 1


@pytest.mark.parametrize("value", [0, 255])
def test_what_lies_in_the_gaps_of_colour_images_has_no_influence_either(value):
    images = [np.stack([image, image // 2, 255 - image], 2) for image in scene(70, 90)]
    valid = np.arange(70)[:, None] + 20 > np.arange(90)
    changed = [np.where(valid[..., None], x, value).astype(np.uint16) * 257 for x in images]
    assert bits(streamed(changed, valid=valid)) == bits(streamed(images, valid=valid))


@settings(max_examples=40)
@given(
    top=st.integers(0, 5),
    left=st.integers(0, 5),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    kinds=st.tuples(*[st.sampled_from(("noise", "smooth"))] * 3),
    seed=seeds,
)
@example(top=1, left=2, height=45, width=50, kinds=("noise", "smooth", "noise"), seed=0)
def test_data_in_a_rectangle_only_scores_as_the_image_cropped_to_it(
    top, left, height, width, kinds, seed
):
    rng = np.random.default_rng(seed)
    # VIF keeps every second pixel from the image's corner, up to three times.
    crop = np.s_[8 * top : 8 * top + height, 8 * left : 8 * left + width]
    images = [make(kind, (100, 100), rng) for kind in kinds]
    valid = np.zeros((100, 100), bool)
    valid[crop] = True
    # The border has a part of its own in the published Qabf and AG.
    same = {"published": {"en", "scd", "ssim", "sf", "vif"}, "textbook": set(METRIC_NAMES)}
    for convention, names in same.items():
        found = streamed(images, convention, valid, 32)
        expected = score(*(image[crop] for image in images), convention)
        for name in names:
            rel, abs_ = TOLERANCES.get(name, (1e-6, 1e-9))
            assert found[name] == pytest.approx(expected[name], rel, abs_, nan_ok=True), name


def test_a_stream_with_gaps_holds_the_same_few_sums():
    images, rng = scene(200, 300), np.random.default_rng(0)
    few, many = (
        filled_stream(images, valid=gaps("wedge", (200, 300), rng), tile=tile) for tile in (64, 512)
    )
    for stream in (few, many):
        assert sum(sums.nbytes for sums in stream._sums.values()) < 4096
        assert len(stream._lost) <= len(METRIC_NAMES)


def test_a_mask_may_be_read_only_and_run_backwards():
    images, valid = scene(50, 60), np.arange(50)[:, None] + 20 > np.arange(60)
    backwards = valid[::-1].copy()
    backwards.flags.writeable = False
    assert streamed(images, valid=backwards[::-1]) == streamed(images, valid=valid)


@pytest.mark.parametrize(
    ("valid", "message"),
    [
        (np.ones((90, 119), bool), r"valid has shape \(90, 119\), expected \(90, 120\)"),
        (np.ones((1, 90, 120), bool), r"valid has shape \(1, 90, 120\), expected \(90, 120\)"),
        (np.ones((90, 120), np.uint8), "valid holds uint8, expected bool, True where a pixel"),
    ],
)
def test_a_mask_of_another_shape_or_type_is_refused(valid, message):
    stream = StreamedScores(90, 120)
    (window,) = stream.windows()
    with pytest.raises(MetricError, match=message):
        stream.add(window, *scene(90, 120), valid=valid)


def test_pixels_with_data_must_still_be_images():
    stream = StreamedScores(90, 120)
    (window,) = stream.windows()
    valid = np.ones((90, 120), bool)
    valid[0, 0] = False
    with pytest.raises(MetricError, match="from nan to nan, expected"):
        stream.add(window, *(np.full((90, 120), np.nan) for _ in range(3)), valid=valid)
