from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.metrics.scaling import Scaling, choose_scaling, decimated

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


def chosen(sample: np.ndarray, **changes: Any) -> tuple[str, Scaling]:
    """Choose the scaling of a photograph of 16 bits, or of what ``changes`` say."""
    facts = {"container": (0.0, 65535.0), "bits": 16, "photograph": True}
    wanted = {"fixed": None, "percentiles": (0.5, 99.5)}
    name = changes.pop("name", "auto")
    return choose_scaling(name, **{**facts, **wanted, **changes}, sample=sample)


def test_percentiles_are_those_of_the_sample() -> None:
    assert chosen(SAMPLE) == ("percentiles", Scaling(50, 9950))
    assert chosen(SAMPLE, percentiles=(0, 100))[1] == Scaling(0, 10000)


def test_a_photograph_that_uses_its_container_takes_its_range() -> None:
    wide = np.linspace(0, 40000, 1001)
    assert chosen(wide) == ("type", Scaling(0, 65535))
    assert chosen(wide, photograph=False)[0] == "percentiles"
    assert chosen(wide, name="percentiles")[0] == "percentiles"


def test_counts_of_fourteen_bits_never_use_a_container_of_sixteen() -> None:
    counts = np.linspace(0, 16383, 5000)
    assert chosen(counts, percentiles=(0, 100)) == ("percentiles", Scaling(0, 16383))
    declared = {"container": (0.0, 16383.0), "bits": 14}
    assert chosen(counts, **declared) == ("type", Scaling(0, 16383))


def test_eight_bits_are_taken_as_they_are_unless_a_range_is_fixed() -> None:
    byte: dict[str, Any] = {"container": (0.0, 255.0), "bits": 8}
    sample = np.array([20.0, 30.0])
    for name in ("auto", "percentiles", "type"):
        assert chosen(sample, name=name, **byte) == ("type", Scaling(0, 255))
    assert chosen(sample, fixed=(10, 90), **byte) == ("range", Scaling(10, 90))


@pytest.mark.parametrize("name", ["auto", "range"])
def test_a_fixed_range_goes_before_all_else(name: str) -> None:
    assert chosen(SAMPLE, name=name, fixed=(260, 320)) == ("range", Scaling(260, 320))


@pytest.mark.parametrize("sample", [np.full(9, 70.0), np.array([70.0])])
def test_an_image_without_contrast_gets_a_range_of_one(sample: np.ndarray) -> None:
    name, scaling = chosen(sample)
    assert (name, scaling) == ("percentiles", Scaling(70, 71))
    assert (scaling.unit(sample) == 0).all()


def test_an_image_without_valid_pixels_has_a_scaling_all_the_same() -> None:
    assert chosen(np.array([]))[1] == Scaling(0, 1)


def test_a_sample_is_taken_from_all_over_an_image() -> None:
    image = np.arange(3000 * 40).reshape(3000, 40)
    found = decimated(image)
    assert found.shape == (1000, 14)
    assert found[-1, -1] == image[2997, 39]
    assert decimated(image[:1024]).shape == (1024, 40)
