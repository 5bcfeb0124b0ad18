import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from onnx_models import FREE, fused_by_hand, fusing_model, model_of, onnx_file
from torch import Tensor

from fusion_core.errors import SettingsError, UnsupportedSizeError, WeightsError
from fusion_core.models.foreign.fuser import ForeignFuser
from fusion_core.models.fuser import load_fuser

ENGINES = ("openvino", "onnxruntime")


def pair(*shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(6)
    return torch.rand(shape, generator=generator), torch.rand(shape, generator=generator)


def expected(ir: Tensor, vi: Tensor) -> Tensor:
    return torch.from_numpy(fused_by_hand(ir.numpy(), vi.numpy()))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return onnx_file(tmp_path_factory.mktemp("onnx"))


@pytest.fixture(scope="module", params=ENGINES)
def fuser(request: pytest.FixtureRequest, path: str) -> ForeignFuser:
    made = load_fuser(path, "cpu", engine=request.param)
    assert isinstance(made, ForeignFuser)
    return made


@pytest.mark.parametrize("size", [(16, 24), (64, 48), (4, 100)])
def test_it_computes_what_is_computed_by_hand(fuser: ForeignFuser, size: tuple[int, int]) -> None:
    ir, vi = pair(2, 1, *size)
    torch.testing.assert_close(fuser(ir, vi), expected(ir, vi), atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (17, 33), (3, 3)])
def test_a_size_that_is_not_taken_is_padded_by_reflection_and_cropped(
    fuser: ForeignFuser, size: tuple[int, int]
) -> None:
    ir, vi = pair(3, 1, *size)
    fused = fuser(ir, vi)
    wide = [np.pad(side.numpy(), ((0, 0), (0, 0), (0, 1), (0, 1)), "reflect") for side in (ir, vi)]
    rows, columns = (length + length % 2 for length in size)
    even = [torch.from_numpy(side[..., :rows, :columns]) for side in wide]
    wanted = expected(*even)[..., : size[0], : size[1]]
    torch.testing.assert_close(fused, wanted, atol=1e-6, rtol=0)


def test_the_size_that_was_taken_is_not_searched_again(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = load_fuser(path, "cpu")
    assert isinstance(made, ForeignFuser)
    shapes: list[tuple[int, ...]] = []
    run = made._runtime.run

    def noted(ir: Any, vi: Any) -> Any:
        shapes.append(ir.shape)
        return run(ir, vi)

    monkeypatch.setattr(made._runtime, "run", noted)
    for _ in range(2):
        made(*pair(1, 1, 5, 7))
    assert shapes == [(1, 1, 5, 7), (1, 1, 6, 8), (1, 1, 6, 8)]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fixed_size_takes_smaller_images_alone(tmp_path: Path, engine: Any) -> None:
    fixed = load_fuser(onnx_file(tmp_path, fusing_model((1, 1, 16, 24))), "cpu", engine=engine)
    ir, vi = pair(1, 1, 16, 24)
    torch.testing.assert_close(fixed(ir, vi), expected(ir, vi), atol=1e-6, rtol=0)
    assert fixed(*pair(2, 1, 5, 6)).shape == (2, 1, 5, 6)
    with pytest.raises(UnsupportedSizeError, match=r"can't take 25x16.*heights 16 and widths 24"):
        fixed(*pair(1, 1, 16, 25))


@pytest.mark.parametrize("engine", ENGINES)
def test_channels_may_come_last(tmp_path: Path, engine: Any) -> None:
    model = fusing_model((1, "height", "width", 1))
    born_elsewhere = load_fuser(onnx_file(tmp_path, model), "cpu", engine=engine)
    ir, vi = pair(2, 1, 10, 12)
    torch.testing.assert_close(born_elsewhere(ir, vi), expected(ir, vi), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("names", "swapped"),
    [
        (("a", "b"), False),
        (("visible", "infrared"), True),
        (("input_vi", "input_ir"), True),
        (("vis:0", "ir:0"), True),
        (("infrared", "visible"), False),
    ],
)
def test_names_say_which_image_is_which(
    tmp_path: Path, names: tuple[str, str], swapped: bool
) -> None:
    fused = load_fuser(onnx_file(tmp_path, fusing_model(names=names)), "cpu")(*pair(1, 1, 8, 8))
    ir, vi = pair(1, 1, 8, 8)
    wanted = expected(vi, ir) if swapped else expected(ir, vi)
    torch.testing.assert_close(fused, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("precision", "off"), [("fp16", 2e-3), ("bf16", 2e-2)])
def test_half_precision_is_taken_and_gives_fp32(
    tmp_path: Path, engine: Any, precision: Any, off: float
) -> None:
    if (engine, precision) == ("onnxruntime", "bf16"):
        pytest.skip("ONNX Runtime has these operators in bf16 on GPUs alone")
    model = onnx_file(tmp_path, fusing_model(precision=precision))
    made = load_fuser(model, "cpu", precision, engine=engine)
    ir, vi = pair(1, 1, 16, 24)
    fused = made(ir, vi)
    assert (made.precision, fused.dtype) == (precision, torch.float32)
    torch.testing.assert_close(fused, expected(ir, vi), atol=off, rtol=0)
    with pytest.raises(SettingsError, match=rf"was exported in {precision}"):
        load_fuser(model, "cpu", "fp32", engine=engine)


def test_name_hash_and_precision_are_those_of_the_file(fuser: ForeignFuser, path: str) -> None:
    assert fuser.name == "plain"
    assert fuser.model_hash == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert (fuser.precision, fuser.device) == ("fp32", "cpu")
    assert fuser.engine in ENGINES
    with pytest.raises(ValueError, match="expected two equal shapes"):
        fuser(*pair(1, 3, 8, 8))


def test_memory_that_ran_out_is_no_fault_of_the_size(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = load_fuser(path, "cpu")
    assert isinstance(made, ForeignFuser)

    def full(*_: Any) -> Any:
        raise RuntimeError("std::bad_alloc")

    monkeypatch.setattr(made._runtime, "run", full)
    with pytest.raises(RuntimeError, match="bad_alloc"):
        made(*pair(1, 1, 8, 8))


def one_operator(
    kind: str, inputs: list[str], tensors: list[Any] | None = None, **more: Any
) -> Any:
    return model_of([helper.make_node(kind, inputs, ["fused"], **more)], FREE, tensors or ())


def number(name: str, value: float) -> Any:
    return helper.make_tensor(name, TensorProto.FLOAT, [], [value])


@pytest.mark.parametrize("engine", ENGINES)
def test_results_are_clamped(tmp_path: Path, engine: Any) -> None:
    ir, vi = pair(1, 1, 8, 8)
    loud = onnx_file(tmp_path, one_operator("Sub", ["ir", "vi"]))
    fused = load_fuser(loud, "cpu", engine=engine)(ir, vi)
    assert torch.equal(fused, (ir - vi).clamp(0, 1))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_result_that_is_no_image_is_refused(tmp_path: Path, engine: Any) -> None:
    wide = onnx_file(tmp_path, one_operator("Concat", ["ir", "vi"], axis=3), "wide")
    with pytest.raises(UnsupportedSizeError, match=r"gave \(1, 1, 64, 128\) for 64x64"):
        load_fuser(wide, "cpu", engine=engine)(*pair(1, 1, 8, 8))
    endless = onnx_file(tmp_path, one_operator("Div", ["ir", "vi"]), "endless")
    ir, vi = pair(1, 1, 8, 8)
    with pytest.raises(WeightsError, match="gave infinities or NaN"):
        load_fuser(endless, "cpu", engine=engine)(ir, 0 * vi)


def test_a_graph_of_branches_is_computed(tmp_path: Path) -> None:
    """What only some frameworks write: operators within operators, with weights of their own."""

    def branch(name: str, scale: float) -> Any:
        out = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        nodes = [helper.make_node("Mul", ["ir", f"{name}_by"], [name])]
        return helper.make_graph(nodes, name, [], [out], [number(f"{name}_by", scale)])

    nodes = [
        helper.make_node("ReduceMax", ["vi"], ["brightest"], keepdims=0),
        helper.make_node("Greater", ["brightest", "limit"], ["bright"]),
        helper.make_node(
            "If", ["bright"], ["fused"], then_branch=branch("a", 0.5), else_branch=branch("b", 0.25)
        ),
    ]
    model = model_of(nodes, FREE, [number("limit", 0.5)])
    onnx.checker.check_model(model)
    fuser = load_fuser(onnx_file(tmp_path, model), "cpu", engine="onnxruntime")
    ir, vi = pair(1, 1, 8, 8)
    torch.testing.assert_close(fuser(ir, vi), ir / 2)
    torch.testing.assert_close(fuser(ir, vi / 4), ir / 4)
