"""What a step computes has a deterministic way on a GPU; with a GPU at hand, it is taken."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import picture_pair
from torch.utils._python_dispatch import TorchDispatchMode

from fusion_core.models.baselines import BaselineFuser
from fusion_core.models.mini_config import MiniConfig
from fusion_core.models.network_config import NetworkConfig
from fusion_core.training.data import CropSource
from fusion_core.training.determinism import compute_alike
from fusion_core.training.distilling import TaughtCrops
from fusion_core.training.loss_config import LossConfig
from fusion_core.training.recipe import Recipe
from fusion_core.training.trainer import Trainer

# Of torch.use_deterministic_algorithms' documentation: what raises on CUDA. Bilinear resizing has
# another way there, by indexing.
NO_WAY = {
    *("_adaptive_avg_pool2d_backward", "adaptive_max_pool2d_backward", "avg_pool3d_backward"),
    *("max_unpool2d", "upsample_linear1d_backward", "upsample_bicubic2d_backward"),
    *("_upsample_bilinear2d_aa_backward", "_upsample_bicubic2d_aa_backward"),
    *("reflection_pad2d_backward", "nll_loss2d_forward", "put_", "histc", "bincount", "median"),
    *("kthvalue", "grid_sampler_2d_backward", "cumsum", "scatter_reduce"),
}
IMAGES = [(ir, vi[..., 1]) for ir, vi in (picture_pair(seed, (64, 80)) for seed in range(3))]
PLAIN = {"network": NetworkConfig(widths=(8, 8, 16, 16), decoder_width=8)}
TAUGHT = {"mini": MiniConfig(half=6, quarter=8, eighth=8, filters=2, hidden=5)}


class Computed(TorchDispatchMode):
    """Notes what torch computes, and how features lie that are pooled."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.pooled: list[torch.Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        self.names.add(name)
        if name == "_adaptive_avg_pool2d_backward":
            self.pooled.append(args[1])
        return func(*args, **(kwargs or {}))


def crops(folder: Path, network: dict[str, Any]) -> CropSource | TaughtCrops:
    if network is PLAIN:
        return CropSource(IMAGES, 48, LossConfig())
    teacher = BaselineFuser("maximum", "cpu", "auto")
    return TaughtCrops(IMAGES, 48, teacher, versions=1, seed=0, folder=folder)


def recipe(network: dict[str, Any]) -> Recipe:
    return Recipe.model_validate(
        {"steps": 4, "crop": 48, "batch": 2, "warmup": 0, "precision": "fp32", **network}
    )


@pytest.mark.parametrize("network", [PLAIN, TAUGHT], ids=["refinefuse", "mini"])
def test_a_step_computes_nothing_without_a_deterministic_way_but_one(
    tmp_path: Path, network: dict[str, Any]
) -> None:
    trainer = Trainer(recipe(network), 4)
    batch = crops(tmp_path, network).random_batch(2, 0, 0)
    with Computed() as computed:
        trainer.advance(batch)
    assert "upsample_bilinear2d_backward" in computed.names
    assert computed.names & NO_WAY <= {"_adaptive_avg_pool2d_backward"}
    # Its kernel for features that lie so adds nothing atomically.
    assert all(
        pooled.is_contiguous(memory_format=torch.channels_last) for pooled in computed.pooled
    )
    assert bool(computed.pooled) == (network is PLAIN)


TWICE = """
import sys
from pathlib import Path
import torch
from fusion_core.training import compute_alike
from fusion_core.training.trainer import Trainer
from test_determinism import PLAIN, TAUGHT, crops, recipe

compute_alike()
network = {"refinefuse": PLAIN, "mini": TAUGHT}[sys.argv[1]]
source = crops(Path(sys.argv[2]), network)
states = []
for _ in range(2):
    trainer = Trainer(recipe(network), 4, device="cuda")
    for step in range(4):
        trainer.advance(source.random_batch(2, 0, step))
    states.append(trainer.state())
apart = max(float((states[0][name] - states[1][name]).abs().max()) for name in states[0])
print(apart)
"""


def run_python(code: str, *arguments: str) -> str:
    """Run it in a process of its own: what it sets holds for the whole process."""
    environment = {**os.environ, "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    paths = [str(Path(__file__).parent), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def restored() -> Iterator[None]:
    """Leaves torch as it was for the other tests."""
    cuda, cudnn = torch.backends.cuda, torch.backends.cudnn
    before = cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.cudnn_sdp_enabled()
    benchmark = cudnn.benchmark
    yield
    torch.use_deterministic_algorithms(False)
    cudnn.benchmark = benchmark
    cuda.enable_flash_sdp(before[0])
    cuda.enable_mem_efficient_sdp(before[1])
    cuda.enable_cudnn_sdp(before[2])


@pytest.mark.usefixtures("restored")
def test_what_a_gpu_is_asked_for() -> None:
    torch.backends.cudnn.benchmark = True
    compute_alike()
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.backends.cudnn.benchmark
    fused = ("flash", "mem_efficient", "cudnn")
    assert not any(getattr(torch.backends.cuda, f"{name}_sdp_enabled")() for name in fused)
    assert torch.backends.cuda.math_sdp_enabled()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["refinefuse", "mini"])
def test_equal_seeds_give_equal_weights_on_a_gpu(tmp_path: Path, name: str) -> None:
    assert float(run_python(TWICE, name, str(tmp_path))) == 0
