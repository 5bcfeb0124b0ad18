"""What is shipped: the weights' file, and what they make of real images that they never saw."""

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from fusion_core.metrics import METRIC_NAMES, score_batch
from fusion_core.models.fuser import load_fuser
from fusion_core.models.weights_file import load_weights
from fusion_core.reports import published_sets
from fusion_core.training.gradient_losses import sobel
from fusion_core.training.saliency_masks import saliency

ROOT = Path(__file__).resolve().parents[3]
REAL_IMAGES = ROOT.parent / "shared" / "data"
ROADSCENE, TNO = REAL_IMAGES / "roadscene", REAL_IMAGES / "tno"
HELD_OUT = "FLIR_03952"  # four pedestrians at night
RECORD = ROOT / "tests/benchmarks/results/weights.json"
CARDS = {
    "refinefuse": "MODEL_CARD.md",
    "refinefuse-open": "OPEN_CARD.md",
    "refinefuse-1": "REFINEFUSE_1_CARD.md",
}
PAIRS = {"refinefuse": 295, "refinefuse-open": 244, "refinefuse-1": 150}
ABOVE = {"refinefuse": 7, "refinefuse-open": 5, "refinefuse-1": 7}
"""In how many of the seven means over TNO weights are above the paper's."""


@pytest.mark.parametrize("name", CARDS)
def test_the_file_is_small_and_says_how_it_was_trained(name: str) -> None:
    folder = resources.files("fusion_core.models.weights")
    assert len((folder / f"{name}.safetensors").read_bytes()) <= 10_000_000
    _, info = load_weights(name)
    assert info.training["pairs"] == PAIRS[name]
    assert info.sha256[:16] in (folder / CARDS[name]).read_text()


@pytest.mark.parametrize("name", ["refinefuse", "refinefuse-1"])
def test_what_was_kept_apart_is_in_the_file_and_listed(name: str) -> None:
    folder = resources.files("fusion_core.models.weights")
    listed = (folder / "roadscene_validation.txt").read_text().split()
    assert load_weights(name)[1].training["validation"] == listed
    assert len(listed) == 21


def test_the_open_weights_saw_nothing_but_streets_of_the_generator_and_landsat() -> None:
    training = load_weights("refinefuse-open")[1].training
    assert training["start_sha256"] is None
    assert all(pair.startswith(("street_", "landsat_")) for pair in training["validation"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["refinefuse", "refinefuse-open"])
def test_the_recorded_figures_are_what_the_weights_give(name: str) -> None:
    """On the eight TNO pairs; none was trained on."""
    if not TNO.is_dir():
        pytest.skip(f"needs the TNO pairs in {TNO}")
    fuser = load_fuser(name, device="cpu")
    scores = []
    for file in sorted(file.name for file in (TNO / "ir").iterdir()):
        ir, vi = (grey(TNO / kind / file) for kind in ("ir", "vi"))
        fused = (255 * fuser(ir / 255, vi / 255)).round()
        found = score_batch(ir, vi, fused)
        scores.append([float(found[metric]) for metric in METRIC_NAMES])
    # bf16 on one machine, fp32 on another.
    assert np.mean(scores, axis=0) == pytest.approx(recorded(name, "tno"), rel=0.01)


@pytest.mark.parametrize("name", CARDS)
def test_the_weights_are_above_the_paper_on_the_record(name: str) -> None:
    (published,) = (row for row in published_sets()["tno"] if row.method == "RefineFuse")
    found = zip(recorded(name, "tno"), METRIC_NAMES, strict=True)
    assert sum(mean > published.means[metric] for mean, metric in found) >= ABOVE[name]


@pytest.mark.parametrize("name", CARDS)
def test_the_weights_are_ahead_of_maximum_and_pyramid_on_the_record(name: str) -> None:
    compared = (name, "maximum", "laplacian")
    means = {method: recorded(method, "tno") for method in compared}
    ranks = {
        one: np.mean([sum(means[o][k] > means[one][k] for o in compared) for k in range(7)])
        for one in compared
    }
    assert ranks[name] < min(ranks["maximum"], ranks["laplacian"])


def recorded(name: str, part: str) -> list[float]:
    """The seven means of weights over a set."""
    means = json.loads(RECORD.read_text())["results"]["means"][name][part]
    return [means[metric] for metric in METRIC_NAMES]


def grey(file: Path) -> Tensor:
    """Luminance as whole numbers 0..255, (1, 1, H, W)."""
    with Image.open(file) as image:
        return torch.from_numpy(np.array(image.convert("L"))).float()[None, None]


def correlation(first: Tensor, second: Tensor) -> float:
    return float(torch.corrcoef(torch.stack((first, second)))[0, 1])


def edges(image: Tensor) -> Tensor:
    return sobel(image).abs().sum(1, keepdim=True)


def brightness_over_surroundings(image: Tensor, region: Tensor) -> float:
    around = functional.max_pool2d(region.float(), 31, stride=1, padding=15) > region
    return float(image[region > 0].mean() - image[around].mean())


@pytest.fixture(scope="module")
def street() -> tuple[Tensor, Tensor, Tensor]:
    """Infrared, visible luminance and what the packaged weights make of a pair they never saw."""
    if not ROADSCENE.is_dir():
        pytest.skip(f"needs the RoadScene pairs in {ROADSCENE}")
    assert HELD_OUT in load_weights()[1].training["validation"]
    ir, vi = (grey(ROADSCENE / kind / f"{HELD_OUT}.jpg") / 255 for kind in ("ir", "vi"))
    return ir, vi, load_fuser(device="cpu")(ir, vi)


def test_packaged_weights_keep_the_hot_pedestrians_bright(
    street: tuple[Tensor, Tensor, Tensor],
) -> None:
    ir, vi, fused = street
    hot = saliency(ir, 1.2, 0.55)
    seen, shown = (brightness_over_surroundings(image, hot) for image in (vi, fused))
    assert shown > seen + 0.1


def test_packaged_weights_keep_the_visible_texture(street: tuple[Tensor, Tensor, Tensor]) -> None:
    ir, vi, fused = street
    cool = saliency(ir, 1.2, 0.55) == 0
    like_visible = correlation(edges(fused)[cool], edges(vi)[cool])
    like_infrared = correlation(edges(ir)[cool], edges(vi)[cool])
    assert like_visible > max(0.5, like_infrared + 0.2)


def test_packaged_weights_draw_no_halo_at_the_border() -> None:
    """More surroundings change all of an image, for the network pools; the border hardly more."""
    if not ROADSCENE.is_dir():
        pytest.skip(f"needs the RoadScene pairs in {ROADSCENE}")
    # A day scene; without the margin its border changes by 2.2 grey levels more than the rest.
    ir, vi = (grey(ROADSCENE / kind / "FLIR_04701.jpg") / 255 for kind in ("ir", "vi"))
    fuser = load_fuser(device="cpu")
    larger = [functional.pad(image, (40, 40, 40, 40), mode="reflect") for image in (ir, vi)]
    change = (fuser(ir, vi) - fuser(*larger)[..., 40:-40, 40:-40]).abs()
    border = torch.ones_like(change, dtype=torch.bool)
    border[..., 3:-3, 3:-3] = False
    assert change[border].mean() < change[~border].mean() + 1.2 / 255
