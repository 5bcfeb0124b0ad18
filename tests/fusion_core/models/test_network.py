from itertools import product

import pytest
import torch
from pydantic import ValidationError
from torch.utils.flop_counter import FlopCounterMode

from fusion_core.models.network import RefineFuse
from fusion_core.models.network_config import NetworkConfig

PARAMETERS, GIGA_MACS_256, GIGA_MACS_512 = 2.21e6, 12.73, 48.11  # the paper's Table 11


def small(**changes: object) -> NetworkConfig:
    settings = {"widths": (4, 6, 6, 8, 8), "decoder_width": 4, "token_grid": 4} | changes
    return NetworkConfig.model_validate(settings)


def giga_macs(size: int) -> float:
    with torch.device("meta"):
        model, image = RefineFuse(), torch.rand(1, 1, size, size)
        with FlopCounterMode(display=False) as counter:
            model(image, image)
    return float(counter.get_total_flops()) / 2e9


def test_default_has_the_size_of_the_paper() -> None:
    with torch.device("meta"):
        parameters = sum(p.numel() for p in RefineFuse().parameters())
    assert parameters == pytest.approx(PARAMETERS, rel=0.10)
    assert giga_macs(256) == pytest.approx(GIGA_MACS_256, rel=0.02)
    assert giga_macs(512) == pytest.approx(GIGA_MACS_512, rel=0.02)


def test_cost_is_affine_in_the_pixels() -> None:
    cost = {size: giga_macs(size) for size in (256, 512, 1024)}
    per_pixel = (cost[512] - cost[256]) / (512**2 - 256**2)
    assert cost[1024] == pytest.approx(cost[512] + per_pixel * (1024**2 - 512**2), rel=1e-3)
    constant = cost[256] - per_pixel * 256**2
    assert 0.5 < constant < 1.5  # attention over a fixed grid; the paper's pair gives 0.94


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("sfim", "psim", "fim"), list(product((True, False), repeat=3)))
def test_every_configuration_runs_and_uses_all_its_weights(
    levels: int, sfim: bool, psim: bool, fim: bool
) -> None:
    config = small(levels=levels, sfim=sfim, psim=psim, fim=fim)
    model = RefineFuse(config)
    side = config.multiple * 3
    ir, vi = torch.rand(2, 1, side, config.multiple), torch.rand(2, 1, side, config.multiple)
    fused = model(ir, vi)
    assert fused.shape == ir.shape
    assert fused.dtype == torch.float32
    assert 0 <= float(fused.detach().min()) <= float(fused.detach().max()) <= 1
    fused.sum().backward()
    unused = [name for name, p in model.named_parameters() if p.grad is None]
    assert not unused


def test_switches_change_the_network() -> None:
    names = {frozenset(RefineFuse(small(**{s: False})).state_dict()) for s in ("sfim", "psim")}
    names |= {frozenset(RefineFuse(c).state_dict()) for c in (small(), small(fim=False))}
    assert len(names) == 4


def test_last_convolution_stays_fp32_when_the_body_is_cast() -> None:
    model = RefineFuse(small()).body_to(torch.bfloat16)
    kinds = {name.split(".")[0]: p.dtype for name, p in model.named_parameters()}
    assert kinds.pop("head") == torch.float32
    assert set(kinds.values()) == {torch.bfloat16}
    image = torch.rand(1, 1, 16, 16)
    assert model(image, image).dtype == torch.float32


def test_last_convolution_is_fp32_under_autocast() -> None:
    model = RefineFuse(small())
    seen: list[torch.dtype] = []
    model.decoders[0].register_forward_hook(lambda *a: seen.append(a[2].dtype))
    model.head.register_forward_hook(lambda *a: seen.append(a[2].dtype))
    image = torch.rand(1, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        model(image, image)
    assert seen == [torch.bfloat16, torch.float32]


def test_bf16_body_stays_near_fp32() -> None:
    torch.manual_seed(5)
    model, image = RefineFuse(small()), torch.rand(2, 1, 32, 32)
    exact = model(image, image.flip(3))
    assert (model.body_to(torch.bfloat16)(image, image.flip(3)) - exact).abs().max() < 0.02


@pytest.mark.parametrize(("towards", "end"), [(-1, 0.0), (1, 1.0)])
def test_a_stretched_tanh_reaches_black_and_white(towards: int, end: float) -> None:
    """At tanh(2.5) = 0.9866: 1.02 of it passes the end, and 1 of it is 1.7 grey levels short."""
    found = {}
    for stretch in (1.0, 1.02):
        model = RefineFuse(small(stretch=stretch))
        torch.nn.init.zeros_(model.head.weight)
        torch.nn.init.constant_(model.head.bias, towards * 2.5)
        found[stretch] = model(*torch.zeros(2, 1, 1, 16, 16)).detach()
    assert (found[1.02] == end).all()
    assert (found[1.0] - end).abs().mean() * 255 == pytest.approx(1.708, abs=0.01)


def test_config_survives_json_and_is_frozen() -> None:
    config = small(levels=3, psim=False)
    assert NetworkConfig.model_validate_json(config.model_dump_json()) == config
    for field in NetworkConfig.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(config, field, getattr(config, field))


@pytest.mark.parametrize(
    "settings",
    [
        {"levels": 6},
        {"levels": 0},
        {"widths": (8, 8)},
        {"widths": (8, 8, 0, 8)},
        {"depth": 4},
        {"stretch": 0.9},
    ],
)
def test_config_refuses_what_makes_no_network(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        NetworkConfig.model_validate(settings)
