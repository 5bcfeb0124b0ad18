"""Trained weights become files of the package, as it reads them."""

import hashlib
import shutil
from pathlib import Path

import pytest
import torch
from tiny import tiny_weights

from fusion_core.models import packaging
from fusion_core.models.engines.converted_file import file_name, unpacked
from fusion_core.models.mini_config import MiniConfig
from fusion_core.models.mini_network import MiniFuse
from fusion_core.models.weights_file import load_weights, save_weights

NAMES = ("refinefuse", "refinefuse-1")


@pytest.fixture
def trained(tmp_path: Path) -> str:
    """Weights as a training leaves them."""
    return tiny_weights(tmp_path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a package that knows two names."""
    monkeypatch.setattr(packaging, "PACKAGED_NAMES", NAMES)
    made = tmp_path / "package"
    made.mkdir()
    return made


def test_weights_are_stored_as_halves_under_their_name_with_their_hash(
    trained: str, folder: Path
) -> None:
    sha256 = packaging.package("refinefuse", trained, folder)
    body = (folder / "refinefuse.safetensors").read_bytes()
    assert sha256 == hashlib.sha256(body).hexdigest()
    assert (folder / "refinefuse.sha256").read_text() == f"{sha256}  refinefuse.safetensors\n"
    network, info = load_weights(str(folder / "refinefuse.safetensors"))
    before, told = load_weights(trained)
    assert (info.network, info.training) == (told.network, told.training)
    halves = {name: tensor.half().float() for name, tensor in before.state_dict().items()}
    assert all(torch.equal(tensor, halves[name]) for name, tensor in network.state_dict().items())


def test_another_stretch_takes_the_place_of_that_of_the_training(
    trained: str, folder: Path
) -> None:
    packaging.package("refinefuse", trained, folder, stretch=1.0225)
    network, info = load_weights(str(folder / "refinefuse.safetensors"))
    before, _ = load_weights(trained)
    assert (before.config.stretch, network.config.stretch) == (1.0, 1.0225)
    assert info.network == before.config.model_copy(update={"stretch": 1.0225})
    generator = torch.Generator().manual_seed(1)
    ir, vi = torch.rand(2, 1, 1, 32, 40, generator=generator)
    one, other = (fuser.half().float()(ir, vi) for fuser in (before, network))
    wanted = (0.5 + 1.0225 * (one - 0.5)).clamp(0, 1)
    assert torch.allclose(other, wanted, atol=1e-6)


def test_a_network_without_a_stretch_is_refused(folder: Path, tmp_path: Path) -> None:
    url = str(tmp_path / "mini.safetensors")
    save_weights(url, MiniFuse(MiniConfig(half=4, quarter=4)), {})
    with pytest.raises(ValueError, match="found a refinefuse-mini, expected a RefineFuse"):
        packaging.package("refinefuse", url, folder, stretch=1.1)
    assert not [*folder.iterdir()]


def test_what_is_converted_is_kept_and_what_is_of_no_weights_goes(
    trained: str, folder: Path
) -> None:
    for name in NAMES:
        shutil.copy(trained, folder / f"{name}.safetensors")
    (folder / "openvino-1-of-others.zip").write_bytes(b"stale")
    packaging.convert_packaged(folder)
    sha256 = load_weights(trained)[1].sha256
    (made,) = folder.glob("openvino-*")
    assert made.name == file_name(sha256)
    assert unpacked(made.read_bytes(), sha256) is not None
    made.write_bytes(b"kept as it is")
    packaging.convert_packaged(folder)
    assert made.read_bytes() == b"kept as it is"


def test_a_name_that_the_package_does_not_know_is_refused(trained: str, folder: Path) -> None:
    with pytest.raises(ValueError, match="found the name 'other', expected one of refinefuse, "):
        packaging.package("other", trained, folder)
    assert not [*folder.iterdir()]
