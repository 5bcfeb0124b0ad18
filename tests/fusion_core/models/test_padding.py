import torch
from torch.nn import functional

from fusion_core.models.padding import pad_reflected, reflected_indices


def test_reflection_repeats_where_the_pad_exceeds_the_image() -> None:
    assert reflected_indices(3, -2, 6).tolist() == [2, 1, 0, 1, 2, 1, 0, 1]
    assert reflected_indices(2, -3, 2).tolist() == [1, 0, 1, 0, 1]
    assert reflected_indices(1, -1, 3).tolist() == [0, 0, 0, 0]


def test_padding_matches_torch_where_torch_can_reflect() -> None:
    image = torch.rand(1, 1, 13, 10, generator=torch.Generator().manual_seed(4))
    expected = functional.pad(image, (3, 8, 3, 5), mode="reflect")
    assert torch.equal(pad_reflected(image, 7, margin=3), expected)
