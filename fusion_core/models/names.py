"""The models that have a name, and what computes them; other models are given by their URL."""

from typing import Literal

PACKAGED_NAME = "refinefuse"
"""The packaged weights that are taken where none are named."""

MINI_NAME = "refinefuse-mini"
"""The packaged weights of a small network, for CPUs."""

OPEN_NAME = "refinefuse-open"
"""The packaged weights that learnt from free images alone, for who may use no others."""

EARLIER_NAMES = {PACKAGED_NAME: ("refinefuse-1",)}
"""By a packaged name, the names of the weights that it stood for in earlier versions."""

PACKAGED_NAMES = (
    *(PACKAGED_NAME, MINI_NAME, OPEN_NAME),
    *(earlier for names in EARLIER_NAMES.values() for earlier in names),
)

BASELINE_NAMES = ("mean", "maximum", "laplacian", "guided")
"""Methods without a network, to compare with."""

EngineName = Literal["eager", "openvino", "compiled", "onnxruntime"]
"""What computes a model: torch as it is, OpenVINO, torch compiled, or ONNX Runtime."""
