import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from tiny import tiny_model, tiny_weights
from torch import Tensor, nn

from fusion_core.errors import SettingsError, WeightsError
from fusion_core.models.baselines import BASELINES
from fusion_core.models.fuser import load_fuser, read_model
from fusion_core.models.model_file import ModelFile
from fusion_core.models.names import BASELINE_NAMES, PACKAGED_NAME
from fusion_core.models.network_fuser import NetworkFuser


class Sum(nn.Module):
    def forward(self, ir: Tensor, vi: Tensor) -> Tensor:
        return ir + vi


def test_names_are_those_of_the_methods() -> None:
    assert PACKAGED_NAME == "refinefuse"
    assert tuple(BASELINES) == BASELINE_NAMES
    for name in ("refinefuse", "mean", "maximum", "laplacian", "guided"):
        model = read_model(name)
        fuser = load_fuser(name, "cpu")
        assert model.name == fuser.name == name
        assert model.model_hash == fuser.model_hash
        assert len(fuser.model_hash) == 64
        assert fuser.device == "cpu"
    assert load_fuser("mean", "cpu").precision == "fp32"


def test_every_baseline_is_reached_and_fuses() -> None:
    ir, vi = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)
    fused = [load_fuser(name, "cpu")(ir, vi) for name in sorted(BASELINES)]
    assert len({tuple(one.flatten().tolist()) for one in fused}) == 4


def test_a_file_of_weights_is_known_by_its_content(tmp_path: Path) -> None:
    odd = tmp_path / "weights.onnx"
    odd.write_bytes(Path(tiny_weights(tmp_path)).read_bytes())
    fuser = load_fuser(str(odd), "cpu", "fp32", engine="eager")
    assert isinstance(fuser, NetworkFuser)
    assert fuser.name == "refinefuse"
    assert fuser.model_hash == hashlib.sha256(odd.read_bytes()).hexdigest()
    image = torch.rand(1, 1, 8, 8)
    assert torch.equal(fuser(image, image), NetworkFuser(tiny_model(), "cpu", "fp32")(image, image))


@pytest.mark.parametrize("name", ["mean", "refinefuse"])
def test_another_hash_is_refused(name: str) -> None:
    found = read_model(name).model_hash
    assert read_model(name, found.upper()).model_hash == found
    with pytest.raises(WeightsError, match=rf"has sha256 {found}, expected 00"):
        load_fuser(name, "cpu", sha256="00" * 32)


def test_a_pickle_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "network.pth"
    path.write_bytes(pickle.dumps({"weights": 1}))
    with pytest.raises(WeightsError, match=r"is a pickle, .*save_weights.*torch\.onnx\.export"):
        load_fuser(str(path), "cpu")
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match=r"is a zip file, as torch writes.*Of a pickle load"):
        load_fuser(str(path), "cpu")


def test_a_program_of_torch_export_is_refused_with_how_to_convert_it(tmp_path: Path) -> None:
    path = str(tmp_path / "plain.pt2")
    images = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)
    torch.export.save(torch.export.export(Sum(), images), path)
    advice = r"torch\.onnx\.export\(torch\.export\.load\('name\.pt2'\), f='name\.onnx', dynamo=True"
    with pytest.raises(WeightsError, match=advice):
        read_model(path)


def test_anything_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(b"GIF89a, and so on")
    with pytest.raises(WeightsError, match="not a safetensors file and no ONNX file either"):
        load_fuser(str(path), "cpu")
    for place in (tmp_path / "absent", tmp_path):
        with pytest.raises(
            WeightsError, match=r"No model at .*or a name: refinefuse, refinefuse-mini, "
        ):
            read_model(str(place))


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(SettingsError, match="computes in fp32 only"):
        load_fuser("laplacian", "cpu", "bf16")
    with pytest.raises(SettingsError, match="device is 'abacus'"):
        load_fuser("laplacian", "abacus")


@pytest.mark.parametrize(
    ("url", "stem"),
    [
        ("s3://models/v2/DenseFuse.onnx", "DenseFuse"),
        ("a/b.c.onnx", "b.c"),
        ("plain", "plain"),
        ("models/plain", "plain"),
    ],
)
def test_the_stem_of_a_file(url: str, stem: str) -> None:
    assert ModelFile(url, b"", "").stem == stem
