"""The models that have a name, and what computes them; other models are given by their URL."""

from typing import Literal

PACKAGED_NAME = "refinefuse"
"""The packaged weights that are taken where none are named."""

MINI_NAME = "refinefuse-mini"
"""The packaged weights of a small network, for CPUs."""

PACKAGED_NAMES = (PACKAGED_NAME, MINI_NAME)

BASELINE_NAMES = ("mean", "maximum", "laplacian", "guided")
"""Methods without a network, to compare with."""

EngineName = Literal["eager", "openvino", "compiled", "onnxruntime"]
"""What computes a model: torch as it is, OpenVINO, torch compiled, or ONNX Runtime."""
