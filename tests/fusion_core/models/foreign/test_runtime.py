import sys
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from onnx import helper
from onnx_models import model_of, onnx_file

from fusion_core.errors import SettingsError, WeightsError
from fusion_core.models.foreign import runtime
from fusion_core.models.foreign.runtime import OnnxRuntime, OpenVinoRuntime, resolve_runtime
from fusion_core.models.fuser import load_fuser


def test_openvino_computes_on_cpus_and_onnx_runtime_elsewhere() -> None:
    assert resolve_runtime("auto", "cpu") == "openvino"
    assert resolve_runtime("auto", "cuda:0") == "onnxruntime"
    assert resolve_runtime("onnxruntime", "cpu") == "onnxruntime"


@pytest.mark.parametrize(
    ("engine", "device"), [("eager", "cpu"), ("compiled", "cuda"), ("openvino", "cuda:0")]
)
def test_other_engines_are_refused(engine: Any, device: str) -> None:
    with pytest.raises(SettingsError, match=rf"engine is {engine}, and the model is an ONNX file"):
        resolve_runtime(engine, device)


def test_what_is_missing_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = onnx_file(tmp_path)
    monkeypatch.setattr(runtime, "is_installed", lambda: False)
    assert resolve_runtime("auto", "cpu") == "onnxruntime"
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"OpenVINO.*pip install 'fuse-archive\[cpu\]'"):
        resolve_runtime("auto", "cpu")
    with pytest.raises(SettingsError, match=r"ONNX Runtime.*'fuse-archive\[onnx-gpu\]'"):
        resolve_runtime("auto", "cuda")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SettingsError, match=r"engine is onnxruntime, which can't be loaded"):
        load_fuser(path, "cpu", engine="onnxruntime")


def test_onnx_runtime_without_cuda_never_computes_on_the_cpu_instead(tmp_path: Path) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("ONNX Runtime has CUDA here")
    made = load_fuser(onnx_file(tmp_path), "cpu", engine="onnxruntime")
    assert made.engine == "onnxruntime"
    with pytest.raises(SettingsError, match=r"has no CUDA or can't load it.*onnx-gpu"):
        OnnxRuntime(None, "cuda:0")  # type: ignore[arg-type]


def test_an_operator_that_is_not_known_is_named(tmp_path: Path) -> None:
    path = onnx_file(tmp_path, model_of([helper.make_node("Fuse", ["ir", "vi"], ["fused"])]))
    for engine in ("openvino", "onnxruntime"):
        with pytest.raises(WeightsError, match=rf"can't be computed by {engine}.*Fuse"):
            load_fuser(path, "cpu", engine=engine)  # type: ignore[arg-type]


def test_it_computes_with_the_workers_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    path = onnx_file(tmp_path)
    by_openvino = load_fuser(path, "cpu", engine="openvino")._runtime  # type: ignore[attr-defined]
    assert isinstance(by_openvino, OpenVinoRuntime)
    assert by_openvino._program.get_property("INFERENCE_NUM_THREADS") == 1
    other = load_fuser(path, "cpu", engine="onnxruntime")._runtime  # type: ignore[attr-defined]
    assert other._session.get_session_options().intra_op_num_threads == 1
