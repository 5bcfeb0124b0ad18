import pytest
import torch

from fusion_core.models.box_filter import box_mean
from fusion_core.training.surroundings import mean_around


@pytest.mark.parametrize(
    ("reach", "shape"), [(1, (5, 7)), (3, (9, 4)), (48, (128, 128)), (7, (3, 3))]
)
def test_it_is_the_mean_of_the_part_of_the_square_that_is_there(
    reach: int, shape: tuple[int, int]
) -> None:
    images = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(1))
    exact = box_mean(images.double(), reach).float()
    torch.testing.assert_close(mean_around(images, reach), exact, atol=1e-5, rtol=0)


def test_by_hand() -> None:
    image = torch.tensor([[[[1.0, 2.0], [3.0, 6.0], [0.0, 0.0]]]])
    assert mean_around(image, 1)[0, 0].tolist() == [[3, 3], [2, 2], [2.25, 2.25]]
