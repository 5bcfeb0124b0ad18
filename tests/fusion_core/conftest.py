import pytest
import torch

from fusion_core.models.fuser import load_fuser
from fusion_core.models.network_fuser import NetworkFuser

# Threads that compete for busy cores, or wait for each other over small images, cost far more than
# they save.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def packaged() -> NetworkFuser:
    fuser = load_fuser(device="cpu")
    assert isinstance(fuser, NetworkFuser)
    return fuser
