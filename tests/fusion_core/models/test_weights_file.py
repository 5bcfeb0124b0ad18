import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from fusion_core.errors import StorageError, WeightsError
from fusion_core.models.network import RefineFuse
from fusion_core.models.network_config import NetworkConfig
from fusion_core.models.weights_file import hash_model, load_weights, save_weights

SMALL = NetworkConfig(levels=2, widths=(4, 6), decoder_width=4)


@pytest.fixture
def model() -> RefineFuse:
    torch.manual_seed(1)
    return RefineFuse(SMALL).eval()


@pytest.fixture
def file(tmp_path: Path, model: RefineFuse) -> Path:
    path = tmp_path / "made" / "weights.safetensors"
    save_weights(str(path), model, {"steps": 3})
    return path


def write(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None) -> str:
    path.write_bytes(save({k: v.contiguous() for k, v in tensors.items()}, metadata))
    return str(path)


def header(config: NetworkConfig = SMALL) -> dict[str, str]:
    return {"format": "1", "network": config.model_dump_json(), "training": "{}"}


def test_what_is_written_is_read_back(tmp_path: Path, model: RefineFuse) -> None:
    path = tmp_path / "new" / "w.safetensors"
    sha256 = save_weights(str(path), model, {"steps": 3, "pairs": ["a"]})
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    loaded, info = load_weights(str(path), sha256)
    assert info.sha256 == sha256
    assert info.network == loaded.config == SMALL
    assert info.training == {"steps": 3, "pairs": ["a"]}
    image = torch.rand(1, 1, 8, 8)
    torch.testing.assert_close(loaded(image, image), model(image, image), atol=0, rtol=0)


def test_equal_weights_are_equal_files(tmp_path: Path, model: RefineFuse) -> None:
    path = str(tmp_path / "w.safetensors")
    said = {"note": "Übung \x07 „/“", "steps": 3}
    assert len({save_weights(path, model, said) for _ in range(30)}) == 1
    body = Path(path).read_bytes()
    assert int.from_bytes(body[:8], "little") % 8 == 0, "tensors begin where they can be mapped"
    assert load_weights(path)[1].training == said


def test_a_stretch_is_kept_and_none_is_not_written(tmp_path: Path) -> None:
    path = str(tmp_path / "w.safetensors")
    save_weights(path, RefineFuse(SMALL), {})
    assert b"stretch" not in Path(path).read_bytes(), "files from before there was one stay equal"
    assert load_weights(path)[1].network.model_dump().get("stretch", 1) == 1
    wide = SMALL.model_copy(update={"stretch": 1.02})
    save_weights(path, RefineFuse(wide), {})
    assert load_weights(path)[1].network == wide


def test_half_precision_storage_is_read_as_fp32(tmp_path: Path, model: RefineFuse) -> None:
    path = str(tmp_path / "half.safetensors")
    save_weights(path, model, {}, dtype=torch.float16)
    loaded, _ = load_weights(path)
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, model.state_dict()[name].half().float())
    assert model.head.weight.dtype == torch.float32


def test_fsspec_urls_work(model: RefineFuse) -> None:
    sha256 = save_weights("memory://weights/w.safetensors", model, {})
    assert load_weights("memory://weights/w.safetensors")[1].sha256 == sha256


def test_another_hash_is_refused(file: Path) -> None:
    with pytest.raises(WeightsError, match=r"has sha256 .*, expected 00"):
        load_weights(str(file), "00" * 32)


@pytest.mark.parametrize("length", [0, 5, 100, -10])
def test_a_file_cut_short_is_refused(file: Path, length: int) -> None:
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(WeightsError, match=r"safetensors|can't be read"):
        load_weights(str(file))


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="not a safetensors file"):
        load_weights(str(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"No model at .*absent"):
        load_weights(str(tmp_path / "absent"))


def test_an_unwritable_place_is_a_storage_error(tmp_path: Path, model: RefineFuse) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"can.t write .*w.safetensors: NotADirectoryError"):
        save_weights(str(tmp_path / "file" / "w.safetensors"), model, {})


def test_a_file_without_a_configuration_is_refused(tmp_path: Path, model: RefineFuse) -> None:
    url = write(tmp_path / "w", model.state_dict(), None)
    with pytest.raises(WeightsError, match="no 'format' and 'network'"):
        load_weights(url)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "99"}, "have format 99"),
        ({"network": "{"}, "doesn't describe a network"),
        ({"network": '{"levels": 9}'}, "doesn't describe a network"),
        ({"training": "{"}, "doesn't describe a network"),
    ],
)
def test_an_unknown_header_is_refused(
    tmp_path: Path, model: RefineFuse, change: dict[str, str], message: str
) -> None:
    url = write(tmp_path / "w", model.state_dict(), header() | change)
    with pytest.raises(WeightsError, match=message):
        load_weights(url)


def test_tensors_of_another_network_are_refused(tmp_path: Path, model: RefineFuse) -> None:
    wider = SMALL.model_copy(update={"decoder_width": 6})
    url = write(tmp_path / "w", model.state_dict(), header(wider))
    with pytest.raises(WeightsError, match="don't fit their own configuration"):
        load_weights(url)


def test_an_absurd_configuration_costs_no_memory(tmp_path: Path, model: RefineFuse) -> None:
    huge = SMALL.model_copy(update={"widths": (10_000_000, 10_000_000)})
    url = write(tmp_path / "w", model.state_dict(), header(huge))
    with pytest.raises(WeightsError, match="don't fit"):
        load_weights(url)


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path, model: RefineFuse) -> None:
    weights = model.state_dict()
    weights["head.bias"] = torch.tensor([float("nan")])
    with pytest.raises(WeightsError, match="infinities or NaN"):
        load_weights(write(tmp_path / "w", weights, header()))


def test_packaged_weights_match_their_recorded_hash() -> None:
    model, info = load_weights()
    assert model.config == info.network == NetworkConfig(stretch=1.0225)
    with pytest.raises(WeightsError, match="expected 11"):
        load_weights("refinefuse", "11" * 32)


def test_training_summary_is_json(file: Path) -> None:
    assert json.loads(json.dumps(load_weights(str(file))[1].training)) == {"steps": 3}


def test_hash_of_a_network_depends_on_weights_and_configuration(model: RefineFuse) -> None:
    before = hash_model(model)
    assert before == hash_model(model)
    with torch.no_grad():
        model.head.weight += 1
    assert hash_model(model) != before
