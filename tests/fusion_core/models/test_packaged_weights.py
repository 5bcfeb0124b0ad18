"""What is shipped: the weights' file, and what they make of real images that they never saw."""

import csv
from collections.abc import Iterator
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
from fusion_core.training.gradient_losses import sobel
from fusion_core.training.saliency_masks import saliency

ROOT = Path(__file__).resolve().parents[3]
REAL_IMAGES = ROOT.parent / "shared" / "data"
ROADSCENE, TNO = REAL_IMAGES / "roadscene", REAL_IMAGES / "tno"
HELD_OUT = "FLIR_03952"  # four pedestrians at night
RECORD = ROOT / "tests/benchmarks/results/evaluation_tno.csv"


def test_the_file_is_small_and_says_how_it_was_trained() -> None:
    folder = resources.files("fusion_core.models.weights")
    assert len((folder / "refinefuse.safetensors").read_bytes()) <= 10_000_000
    listed = (folder / "roadscene_validation.txt").read_text().split()
    _, info = load_weights()
    assert info.training["validation"] == listed
    assert len(listed) == 21
    assert info.training["pairs"] == 150
    assert info.sha256[:16] in (folder / "MODEL_CARD.md").read_text()


def test_the_card_states_the_recorded_figures() -> None:
    card = (resources.files("fusion_core.models.weights") / "MODEL_CARD.md").read_text()
    for name in ("tno", "roadscene", "msrs"):
        record = RECORD.with_name(f"evaluation_{name}.csv")
        for method, means in recorded(record):
            if method in ("refinefuse", "laplacian", "maximum"):
                assert " | ".join(f"{mean:.3f}" for mean in means) in card, (name, method)


@pytest.mark.slow
def test_the_recorded_figures_are_what_the_weights_give() -> None:
    """On the eight TNO pairs; none was trained on."""
    if not TNO.is_dir():
        pytest.skip(f"needs the TNO pairs in {TNO}")
    fuser = load_fuser(device="cpu")
    scores = []
    for name in sorted(file.name for file in (TNO / "ir").iterdir()):
        ir, vi = (grey(TNO / kind / name) for kind in ("ir", "vi"))
        fused = (255 * fuser(ir / 255, vi / 255)).round()
        found = score_batch(ir, vi, fused)
        scores.append([float(found[metric]) for metric in METRIC_NAMES])
    means = dict(recorded(RECORD))["refinefuse"]
    # bf16 on one machine, fp32 on another.
    assert np.mean(scores, axis=0) == pytest.approx(means, rel=0.01)


def test_the_weights_are_ahead_of_maximum_and_pyramid_on_the_record() -> None:
    means = dict(recorded(RECORD))
    compared = ("refinefuse", "maximum", "laplacian")
    ranks = {
        name: np.mean([sum(means[o][k] > means[name][k] for o in compared) for k in range(7)])
        for name in compared
    }
    assert ranks["refinefuse"] < min(ranks["maximum"], ranks["laplacian"])


def recorded(file: Path) -> Iterator[tuple[str, list[float]]]:
    """Each method of a table.csv, with its means."""
    with file.open() as lines:
        for row in csv.DictReader(lines):
            yield row["method"], [float(row[metric]) for metric in METRIC_NAMES]


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
