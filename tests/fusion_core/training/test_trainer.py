import pytest
import torch
from tiny import TINY, picture_pair, tiny_model

from fusion_core.training.batch import Batch
from fusion_core.training.data import CropSource
from fusion_core.training.loss_config import LossConfig
from fusion_core.training.losses import loss_terms
from fusion_core.training.recipe import Recipe
from fusion_core.training.trainer import Trainer

RECIPE = Recipe(steps=30, learning_rate=5e-3, warmup=2, average=0.9, precision="fp32", network=TINY)


@pytest.fixture(scope="module")
def crops() -> CropSource:
    pairs = [picture_pair(seed) for seed in range(3)]
    return CropSource([(ir, vi[..., 1]) for ir, vi in pairs], 24, LossConfig())


def changed(**values: object) -> Recipe:
    return Recipe.model_validate(RECIPE.model_dump() | values)


@pytest.mark.parametrize(
    "values", [{}, {"precision": "bf16"}, {"optimiser": "sgd", "learning_rate": 0.05}]
)
def test_training_lowers_the_loss(crops: CropSource, values: dict[str, object]) -> None:
    trainer = Trainer(changed(**values), 30)
    batch = next(crops.centre_batches(3))
    losses = [float(sum(trainer.advance(batch).values())) for _ in range(30)]
    assert losses[-1] < 0.9 * losses[0]
    assert trainer.step == 30


def test_the_terms_are_those_of_the_loss(crops: CropSource) -> None:
    trainer, batch = Trainer(RECIPE, 30), next(crops.centre_batches(3))
    with torch.inference_mode():
        fused = trainer.averaged()(batch.ir, batch.vi)
        expected = loss_terms(fused, batch, RECIPE.loss)
    terms = trainer.advance(batch)
    assert {"intensity", "texture"} <= set(terms) == set(expected)
    for name, term in terms.items():
        assert float(term) == pytest.approx(float(expected[name]), rel=1e-5)


def test_equal_seeds_give_equal_weights_bit_for_bit(crops: CropSource) -> None:
    def trained(seed: int) -> Trainer:
        trainer = Trainer(changed(seed=seed, precision="bf16"), 4)
        for step in range(4):
            trainer.advance(crops.random_batch(4, seed, step))
        return trainer

    one, other, third = trained(1).state(), trained(1).state(), trained(2).state()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not all(torch.equal(one[name], third[name]) for name in one)


def test_a_restored_trainer_goes_on_as_if_nothing_had_happened(crops: CropSource) -> None:
    def advance(trainer: Trainer, steps: range) -> None:
        for step in steps:
            trainer.advance(crops.random_batch(2, 0, step))

    straight, before, after = Trainer(RECIPE, 6), Trainer(RECIPE, 6), Trainer(changed(seed=3), 6)
    advance(straight, range(6))
    advance(before, range(3))
    after.restore(before.state(), 3)
    advance(after, range(3, 6))
    expected, found = straight.state(), after.state()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_the_average_forgets_the_first_weights_and_is_off_at_zero(crops: CropSource) -> None:
    trainer, plain = Trainer(RECIPE, 6), Trainer(changed(average=0), 6)
    first = trainer.averaged().state_dict()["head.weight"].clone()
    for step in range(2):
        for one in (trainer, plain):
            one.advance(crops.random_batch(2, 0, step))
    one, two = trainer.state(), plain.state()
    assert torch.equal(two["average.head.weight"], two["model.head.weight"])
    kept = one["average.head.weight"]
    assert not torch.equal(kept, one["model.head.weight"])
    # Memories of 1/10 and 2/11: after two steps 2/110 of the first weights are left.
    plain_one = Trainer(RECIPE, 6)
    plain_one.advance(crops.random_batch(2, 0, 0))
    middle = plain_one.state()["model.head.weight"]
    by_hand = (first * 0.1 + middle * 0.9) * 2 / 11 + one["model.head.weight"] * 9 / 11
    assert torch.allclose(kept, by_hand, atol=1e-6)


def test_a_training_may_start_from_other_weights() -> None:
    start = tiny_model()
    trainer = Trainer(RECIPE, 5, start=start)
    assert torch.equal(trainer.averaged().head.weight, tiny_model().head.weight)


def test_each_half_of_a_batch_gives_half_of_its_gradient(crops: CropSource) -> None:
    """What averaging gradients between two workers rests on: all terms but fidelity are means."""
    batch = crops.random_batch(4, 0, 0)

    def gradient(part: Batch) -> torch.Tensor:
        trainer = Trainer(changed(clip=0, loss={"fidelity_weight": 0}), 5)
        trainer.advance(part)
        found = trainer.model.head.weight.grad
        assert found is not None
        return found

    halves = (gradient(batch.part(0, 2)) + gradient(batch.part(1, 2))) / 2
    assert torch.allclose(gradient(batch), halves, atol=1e-6)
