"""What all seven metrics of one 640x480 pair cost, beside plain NumPy/SciPy and the network.

    python tests/benchmarks/bench_metrics.py

writes results/metrics.json: milliseconds, and ratios of what was timed in turns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from plain_metrics import plain_scores, separable, windowed
from record import alternate, ratios, spread, write

from fusion_core import fuse
from fusion_core.demo.archive import make_pair
from fusion_core.images.colour import luminance
from fusion_core.metrics import score_batch, to_grey255
from fusion_core.models.fuser import load_fuser

HEIGHT, WIDTH = 480, 640
ROUNDS = 15
GPU_BATCH = 32


def main() -> None:
    """Measure and write the record."""
    pair = make_pair(1, HEIGHT, WIDTH, "night")
    greys = [to_grey255(image) for image in (pair.ir, pair.vi, fuse(pair.ir, pair.vi))]
    sides = [luminance(image) for image in (pair.ir, pair.vi)]
    results: dict[str, Any] = {
        "size": f"{WIDTH}x{HEIGHT}",
        "rounds": ROUNDS,
        "unit": "milliseconds; ratios are medians over the rounds",
    }
    for threads in (1, 2):
        results[f"cpu_{threads}_threads"] = on_cpu(greys, sides, threads)
    results["gpu"] = on_gpu(greys, sides) if torch.cuda.is_available() else "no GPU at hand"
    print(write("metrics", "python tests/benchmarks/bench_metrics.py", results).read_text())


def on_cpu(greys: list[np.ndarray], sides: list[np.ndarray], threads: int) -> dict[str, Any]:
    """Time one pair on so many threads of PyTorch; NumPy and SciPy use one of them."""
    torch.set_num_threads(threads)
    images = [torch.from_numpy(grey)[None, None] for grey in greys]
    floats = [grey.astype(np.float64) for grey in greys]
    ir, vi = (torch.from_numpy(side)[None, None] for side in sides)
    fuser = load_fuser(device="cpu")
    seconds = alternate(
        {
            "metrics": lambda: score_batch(*images),
            "network": lambda: fuser(ir, vi),
            "plain_separable": lambda: plain_scores(*floats, separable),
            "plain_windowed": lambda: plain_scores(*floats, windowed),
        },
        ROUNDS,
    )
    metrics = seconds["metrics"]
    times_as_fast = {
        name: spread(ratios(seconds[name], metrics))
        for name in ("plain_separable", "plain_windowed")
    }
    return {
        **{name: spread([1e3 * value for value in values]) for name, values in seconds.items()},
        "network_precision": fuser.precision,
        "times_as_fast_as": times_as_fast,
        "share_of_network": spread(ratios(metrics, seconds["network"]), 4),
    }


def on_gpu(
    greys: list[np.ndarray],
    sides: list[np.ndarray],
    device: str = "cuda",
    batch: int = GPU_BATCH,
    rounds: int = ROUNDS,
) -> dict[str, Any]:
    """Time a batch on the GPU; all its images lie there before."""
    images = [torch.from_numpy(image)[None, None] for image in (*greys, *sides)]
    a, b, f, ir, vi = (image.repeat(batch, 1, 1, 1).to(device) for image in images)
    fuser = load_fuser(device=device)

    def synchronised(function: Any) -> Any:
        def run() -> None:
            function()
            if device.startswith("cuda"):
                torch.cuda.synchronize()

        return run

    seconds = alternate(
        {
            "metrics": synchronised(lambda: score_batch(a, b, f)),
            "network": synchronised(lambda: fuser(ir, vi)),
        },
        rounds,
    )
    return {
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else device,
        "batch": batch,
        **{name: spread([1e3 * value for value in values]) for name, values in seconds.items()},
        "network_precision": fuser.precision,
        "share_of_network": spread(ratios(seconds["metrics"], seconds["network"]), 4),
    }


if __name__ == "__main__":
    main()
