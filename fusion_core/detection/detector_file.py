"""A detector's file and description, read and not yet computed: nothing here loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fusion_core.detection.description import Description, parse_description
from fusion_core.errors import SettingsError, WeightsError
from fusion_core.models.model_file import ModelFile, read_model_file
from fusion_core.storage.store import Storage

DETECTION_VERSION = "detections-1"
"""Raised whenever the same detector, description and settings would find other boxes."""

DetectorEngine = Literal["auto", "openvino", "onnxruntime"]

EXPORT_ADVICE = (
    "Export it again as one ONNX file, without non-maximum suppression, that takes one picture and "
    "gives its boxes first."
)
"""What to do about a file that can't be used."""


@dataclass(frozen=True)
class DetectorFile:
    """A detector as it was read, not yet ready to compute.

    Attributes:
        file: Its ONNX file.
        description: What that takes and gives.
    """

    file: ModelFile
    description: Description

    @property
    def sha256(self) -> str:
        """The sha256 of the ONNX file, in hex."""
        return self.file.sha256


def read_detector(url: str, description: str | None = None) -> DetectorFile:
    """Read a detector's file and its description.

    Args:
        url: Path or fsspec URL of the ONNX file.
        description: Path or fsspec URL of the JSON file that describes it. Default: the one beside
            it, with its name and ``.json``.

    Raises:
        WeightsError: The file is missing, or no ONNX file.
        SettingsError: The description is missing, or can't be used.
        StorageError: The store failed for good.
    """
    file = read_model_file(url)
    if file.kind != "onnx":
        raise WeightsError(f"The detector {url} is no ONNX file; expected one. {EXPORT_ADVICE}")
    beside = description or f"{url.removesuffix('.onnx')}.json"
    try:
        text = Storage(beside).read("")
    except FileNotFoundError as error:
        raise SettingsError(
            f"there is no description {beside} of the detector; expected JSON such as "
            '{"head": "yolox", "size": [416, 416], "classes": "coco"}. Write one there, or name '
            "another by detector_description"
        ) from error
    return DetectorFile(file, parse_description(text, beside))
