import numpy as np
import pytest
from fusion_core.scenes.scaling import Scaling, choose_scaling
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.settings.scenes import SceneSettings

SAMPLE = np.arange(1001) * 10.0  # 0 to 10 000
NUMBERS = st.floats(-1e5, 1e5)


def test_a_scaling_by_hand() -> None:
    scaling = Scaling(100, 500)
    assert scaling.span == 400
    values = np.array([[100, 200, 300, 500]], np.uint16)
    unit = scaling.unit(values)
    assert unit.dtype == np.float32
    assert unit.tolist() == [[0, 0.25, 0.5, 1]]
    assert scaling.changed(values, unit, np.float32([[0.5, 0.25, 1, 0]])).tolist() == [
        [300, 200, 500, 100]
    ]


def test_values_beyond_the_range_are_clipped_for_the_model() -> None:
    assert Scaling(100, 500).unit(np.array([-40.0, 99, 501, 9000])).tolist() == [0, 0, 1, 1]


def test_a_value_keeps_what_it_exceeds_the_range_by() -> None:
    scaling = Scaling(100, 500)
    values = np.array([60.0, 100, 500, 700])
    unit = scaling.unit(values)
    # unchanged where the model changes nothing, although it saw them clipped
    assert scaling.changed(values, unit, unit).tolist() == values.tolist()
    fused = np.float32([0.25, 0.25, 0.75, 0.75])
    assert scaling.changed(values, unit, fused).tolist() == [160, 200, 400, 600]


@settings(max_examples=100)
@given(
    low=NUMBERS, span=st.floats(0.01, 1e5), fused=st.floats(0, 1, width=32), share=st.floats(0, 1)
)
def test_within_the_range_the_way_back_is_the_inverse(
    low: float, span: float, fused: float, share: float
) -> None:
    scaling = Scaling(low, low + span)
    value = np.array([low + share * span])
    back = scaling.changed(value, scaling.unit(value), np.float32([fused]))
    assert back[0] == pytest.approx(low + fused * span, abs=1e-6 * (span + abs(low)))


def test_small_counts_survive_the_way_there_and_back_in_sixteen_bits() -> None:
    counts = np.arange(65536)
    for scaling in (Scaling(0, 65535), Scaling(300, 12000), Scaling(-5.5, 40000.25)):
        unit = scaling.unit(counts)
        assert (np.rint(scaling.changed(counts, unit, unit)) == counts).all()


@pytest.mark.parametrize(
    ("dtype", "ends"),
    [("uint8", (0, 255)), ("uint16", (0, 65535)), ("int16", (-32768, 32767)), ("float32", (0, 1))],
)
def test_scaling_by_type_takes_what_the_type_holds(dtype: str, ends: tuple[float, float]) -> None:
    found = choose_scaling(SceneSettings(scaling="type"), "vi", dtype, SAMPLE)
    assert found == ("type", Scaling(*ends))


def test_percentiles_are_those_of_the_sample() -> None:
    assert choose_scaling(SceneSettings(), "vi", "uint16", SAMPLE) == (
        "percentiles",
        Scaling(50, 9950),
    )
    wide = SceneSettings(percentiles=(0, 100))
    assert choose_scaling(wide, "ir", "float32", SAMPLE)[1] == Scaling(0, 10000)


def test_eight_bits_are_taken_as_they_are_unless_a_range_is_fixed() -> None:
    sample = np.array([20.0, 30.0])
    assert choose_scaling(SceneSettings(), "vi", "uint8", sample) == ("type", Scaling(0, 255))
    fixed = SceneSettings(scaling="range", ir_range=(10, 90), vi_range=(0, 200))
    assert choose_scaling(fixed, "ir", "uint8", sample) == ("range", Scaling(10, 90))


def test_a_fixed_range_is_each_sides_own() -> None:
    fixed = SceneSettings(scaling="range", ir_range=(260, 320), vi_range=(0, 0.4))
    assert choose_scaling(fixed, "ir", "float32", SAMPLE) == ("range", Scaling(260, 320))
    assert choose_scaling(fixed, "vi", "float32", SAMPLE) == ("range", Scaling(0, 0.4))


@pytest.mark.parametrize("sample", [np.full(9, 70.0), np.array([70.0])])
def test_a_scene_without_contrast_gets_a_range_of_one(sample: np.ndarray) -> None:
    name, scaling = choose_scaling(SceneSettings(), "vi", "uint16", sample)
    assert (name, scaling) == ("percentiles", Scaling(70, 71))
    assert (scaling.unit(sample) == 0).all()


def test_a_scene_without_valid_pixels_has_a_scaling_all_the_same() -> None:
    assert choose_scaling(SceneSettings(), "vi", "uint16", np.array([]))[1] == Scaling(0, 1)
