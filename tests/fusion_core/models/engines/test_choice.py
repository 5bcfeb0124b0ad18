import subprocess
import sys
from typing import Any

import pytest
from tiny import tiny_model

from fusion_core.errors import SettingsError
from fusion_core.models.arithmetic import arithmetic_of
from fusion_core.models.baselines import BaselineFuser
from fusion_core.models.engines import choice
from fusion_core.models.engines.choice import resolve_engine
from fusion_core.models.fuser import load_fuser
from fusion_core.models.network_fuser import NetworkFuser


@pytest.mark.parametrize(
    ("device", "installed", "expected"),
    [
        ("cpu", True, "openvino"),
        ("cpu", False, "eager"),
        ("cuda", True, "eager"),
        ("cuda:1", True, "eager"),
        ("cuda", False, "eager"),
    ],
)
def test_auto_is_the_best_that_is_installed(
    monkeypatch: pytest.MonkeyPatch, device: str, installed: bool, expected: str
) -> None:
    monkeypatch.setattr(choice, "is_installed", lambda: installed)
    assert resolve_engine("auto", device) == expected


def test_auto_is_eager_where_the_system_may_refuse_memory() -> None:
    program = (
        "import resource\n"
        "from fusion_core.models.engines.choice import resolve_engine\n"
        "print(resolve_engine('auto', 'cpu'))\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 40, resource.RLIM_INFINITY))\n"
        "print(resolve_engine('auto', 'cpu'), resolve_engine('openvino', 'cpu'))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout.split() == ["openvino", "eager", "openvino"], ended.stderr


@pytest.mark.parametrize("engine", ["eager", "openvino", "compiled"])
def test_what_is_asked_for_is_taken(engine: Any) -> None:
    assert resolve_engine(engine, "cpu") == engine


def test_what_can_not_be_is_refused() -> None:
    with pytest.raises(SettingsError, match="openvino and device is cuda:0; OpenVINO computes on"):
        resolve_engine("openvino", "cuda:0")
    with pytest.raises(SettingsError, match="onnxruntime, which computes ONNX files alone"):
        NetworkFuser(tiny_model(), "cpu", "fp32", engine="onnxruntime")


@pytest.mark.parametrize("engine", ["openvino", "compiled", "onnxruntime"])
def test_baselines_are_eager_alone(engine: Any) -> None:
    with pytest.raises(SettingsError, match=rf"engine is {engine}, and mean is no network"):
        load_fuser("mean", "cpu", engine=engine)
    for fine in ("auto", "eager"):
        assert load_fuser("mean", "cpu", engine=fine).engine == "eager"  # type: ignore[arg-type]


def test_the_engine_is_part_of_the_arithmetic() -> None:
    assert load_fuser(device="cpu", precision="fp32").engine == "openvino"
    compiled = NetworkFuser(tiny_model(), "cpu", "fp32", engine="compiled")
    assert arithmetic_of(compiled).key == "cpu-fp32-compiled"
    assert arithmetic_of(BaselineFuser("mean", "cpu")).key == "cpu-fp32-eager"
