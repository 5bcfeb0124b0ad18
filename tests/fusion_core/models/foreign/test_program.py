from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_models import FREE, fusing_model, model_of, onnx_file

from fusion_core.errors import SettingsError, WeightsError
from fusion_core.models.fuser import read_model


def refused(folder: Path, model: Any, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        read_model(onnx_file(folder, model))


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.ones((1, 1, 64, 64), np.float32), "far")
    model = model_of([helper.make_node("Mul", ["ir", "far"], ["fused"])], FREE, [weights])
    path = tmp_path / "plain.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="plain.bin", size_threshold=0)
    assert (tmp_path / "plain.bin").exists()
    with pytest.raises(WeightsError, match=r"weights of far lie in another file.*onnx\.save"):
        read_model(str(path))


def test_constants_of_operators_in_another_file_are_refused(tmp_path: Path) -> None:
    tensor = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    inner = [helper.make_node("Constant", [], ["c"], value=tensor)]
    out = helper.make_tensor_value_info("c", TensorProto.FLOAT, None)
    branch = helper.make_graph(inner, "branch", [], [out])
    node = helper.make_node("If", ["ir"], ["fused"], then_branch=branch, else_branch=branch)
    refused(tmp_path, model_of([node]), "lie in another file")


@pytest.mark.parametrize("domain", ["com.microsoft", "our.own"])
def test_operators_of_others_are_refused(tmp_path: Path, domain: str) -> None:
    node = helper.make_node("Gelu", ["ir"], ["fused"], domain=domain)
    refused(tmp_path, model_of([node]), rf"the operator {domain}\.Gelu; expected operators of ONNX")


def test_functions_of_the_file_itself_are_taken_unless_they_hold_others(tmp_path: Path) -> None:
    for inner, fine in (("", True), ("com.microsoft", False)):
        model = model_of([helper.make_node("Mix", ["ir", "vi"], ["fused"], domain="mine")])
        model.opset_import.append(helper.make_opsetid("mine", 1))
        body = [helper.make_node("Max", ["a", "b"], ["c"], domain=inner)]
        opsets = [helper.make_opsetid("", 20)]
        model.functions.append(helper.make_function("mine", "Mix", ["a", "b"], ["c"], body, opsets))
        if fine:
            assert read_model(onnx_file(tmp_path, model)).name == "plain"
        else:
            refused(tmp_path, model, r"com\.microsoft\.Max")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 8, 8), r"shape \(1, 3, 8, 8\); expected \(1, 1, H, W\) or \(1, H, W, 1\)"),
        ((4, 1, 8, 8), r"shape \(4, 1, 8, 8\)"),
        ((1, 8, 8), r"shape \(1, 8, 8\)"),
        (("n", "c", "h", "w"), r"shape \(any, any, any, any\)"),
    ],
)
def test_other_shapes_are_refused(tmp_path: Path, shape: Any, message: str) -> None:
    node = helper.make_node("Max", ["ir", "vi"], ["fused"])
    refused(tmp_path, model_of([node], shape), message)


@pytest.mark.parametrize("names", [("ir",), ("ir", "vi", "depth")])
def test_other_numbers_of_images_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    model = model_of([helper.make_node("Max", [*names], ["fused"])], names=names)
    refused(tmp_path, model, rf"it takes {len(names)} inputs and gives 1 outputs; expected two")


def test_whole_numbers_are_refused(tmp_path: Path) -> None:
    node = helper.make_node("Max", ["ir", "vi"], ["fused"])
    refused(tmp_path, model_of([node], kind=TensorProto.UINT8), "expected float, float16 or bfloat")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = Path(onnx_file(tmp_path))
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    for length in (1, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"can't be (used|read)"):
            read_model(str(path))
    for _ in range(200):
        body = np.frombuffer(whole, np.uint8).copy()
        body[rng.integers(1, len(body), 4)] = rng.integers(0, 256, 4)
        path.write_bytes(body.tobytes())
        try:
            read_model(str(path))
        except WeightsError:
            continue  # or it is another program, which some bytes make of it


def test_without_the_package_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = onnx_file(tmp_path, fusing_model())
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(SettingsError, match=r"pip install 'fuse-archive\[cpu\]'"):
        read_model(path)
