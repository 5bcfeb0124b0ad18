"""Whoever plans learns a model's hash, for packaged weights without torch."""

import subprocess
import sys

import pytest

from fusion_core.errors import WeightsError
from fusion_core.models.fuser import read_model
from fusion_core.models.model_hash import model_hash_of
from fusion_core.models.names import PACKAGED_NAMES


@pytest.mark.parametrize("name", PACKAGED_NAMES)
def test_the_hash_of_packaged_weights_is_known_without_torch(name: str) -> None:
    program = (
        "import sys\n"
        "from fusion_core.models.model_hash import model_hash_of\n"
        f"print(model_hash_of({name!r}), 'torch' in sys.modules)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.stdout.split() == [read_model(name).model_hash, "False"], told.stderr


@pytest.mark.parametrize("name", [*PACKAGED_NAMES, "mean"])
def test_a_hash_that_is_not_the_expected_one_is_refused(name: str) -> None:
    with pytest.raises(WeightsError, match="expected 00"):
        model_hash_of(name, "0" * 64)
