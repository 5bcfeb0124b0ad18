"""What happens where the operating system really refuses memory, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fusion_core.models.fuser import load_fuser

PROGRAM = """
import resource, sys
import numpy as np, torch
from fusion_core.errors import MemoryExhaustedError
from fusion_core.models.fuser import load_fuser
from fusion_core.models.tiling.batches import PhotographFuser

def leave(mebibytes):
    lines = open("/proc/self/status").read().splitlines()
    used = next(int(line.split()[1]) for line in lines if line.startswith("VmSize")) << 10
    resource.setrlimit(resource.RLIMIT_AS, (used + (mebibytes << 20), resource.RLIM_INFINITY))

torch.set_num_threads(1)
photographs = PhotographFuser(load_fuser(device="cpu", precision="fp32", engine="eager"), 2, 768)
ir, vi = np.load(sys.argv[1])
small = ir[None, :64, :64], vi[None, :64, :64]
((before, _),) = photographs.fuse(*small)
leave(450)
both = photographs.fuse(np.stack([ir, ir]), np.stack([vi, vi]))
assert photographs.batch_size == 1, photographs.batch_size
np.save(sys.argv[2], [fused for fused, _ in both])
print(*(remark.split()[4] for _, remark in both))
leave(60)
try:
    photographs.fuse(ir[None], vi[None])
except MemoryExhaustedError as error:
    print(error)
((after, remark),) = photographs.fuse(*small)
assert remark is None
assert (before == after).all()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and limits the address space")
def test_a_photograph_larger_than_memory_is_fused_in_tiles_and_a_hopeless_one_fails(
    tmp_path: Path,
) -> None:
    pair = np.random.default_rng(2).random((2, 600, 700), np.float32)
    sources, fused = tmp_path / "pair.npy", tmp_path / "fused.npy"
    np.save(sources, pair)
    # The network takes about 0.8 GB for the whole, and 0.4 GB for a part of it that it pools over.
    # What is freed counts towards the limit again only if the allocator doesn't keep it.
    given_back = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, sources, fused],
        capture_output=True,
        text=True,
        timeout=200,
        env=given_back,
    )
    assert ended.returncode == 0, ended.stderr
    sizes, message = ended.stdout.splitlines()
    assert set(sizes.split()) <= {"768", "384", "192", "128"}
    assert message.startswith("memory ran out on cpu for ")
    assert "700x600 pixels" in message
    ir, vi = (torch.from_numpy(side)[None, None] for side in pair)
    whole = load_fuser(device="cpu", precision="fp32", engine="eager")(ir, vi)[0, 0].numpy()
    for tiled in np.load(fused):
        levels = 255 * np.abs(tiled - whole)
        assert levels.mean() < 1
        assert np.percentile(levels, 99) < 3
        assert levels.max() < 6


REFUSED = """
import resource
import torch
from fusion_core.models.fuser import load_fuser

torch.set_num_threads(1)
fuser = load_fuser(device="cpu", precision="fp32", engine="openvino")
pair = torch.rand(2, 1, 1, 600, 700)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20), resource.RLIM_INFINITY))
try:
    fuser(*pair)
except MemoryError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and limits the address space")
def test_openvino_that_was_refused_memory_says_so() -> None:
    """It raises nothing by itself, and a batch of no images was fused again for ever."""
    ended = subprocess.run(
        [sys.executable, "-c", REFUSED], capture_output=True, text=True, timeout=100
    )
    assert ended.stdout.strip() == "OpenVINO found no memory and gave empty outputs", ended.stderr
