"""The settings of a detecting run: what looks at which images, and which boxes are left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field, field_validator, model_validator

from fusion_core.detection.detector_file import DETECTION_VERSION, DetectorEngine, DetectorFile
from fusion_core.jobs.fused_settings import FusedSettings, check_method_name
from fusion_core.settings.digest import settings_digest
from fusion_core.settings.scaling import ScalingSettings, Side
from fusion_core.settings.secrets import NO_SECRET, NO_SECRETS, refuse_secret

SIDES: Mapping[str, Side] = {"infrared": "ir", "visible": "vi"}
"""The methods that are the pairs' own images."""

_BOX_FIELDS = ("score_threshold", "nms_overlap", "nms_by_class", "max_boxes")


class DetectSettings(FusedSettings):
    """Everything that a detect-archive run can be told."""

    fused: dict[str, str] = Field(
        {},
        json_schema_extra=NO_SECRETS,
        description="The fused images of each method that are looked at beside the infrared and "
        "the visible ones, NAME=TEMPLATE, as for score.",
    )
    output: str = Field(
        json_schema_extra=NO_SECRET,
        description="Folder or bucket for the boxes and the table: any fsspec URL.",
    )
    detector: str = Field(
        json_schema_extra=NO_SECRET,
        description="The detector, an ONNX file with a head as YOLOX, YOLOv5 or YOLOv8 have it: "
        "any fsspec URL.",
    )
    detector_description: str | None = Field(
        None,
        json_schema_extra=NO_SECRET,
        description="JSON file with the head, size and classes of the detector: any fsspec URL. "
        "Default: the one beside it, with its name and .json.",
    )
    engine: DetectorEngine = Field(
        "auto",
        description="What computes the detector. auto is OpenVINO on a CPU where it is installed, "
        "else ONNX Runtime.",
    )
    score_threshold: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="Boxes that score less are left out. AP wants a low one, for it takes boxes of "
        "all scores.",
    )
    nms_overlap: float = Field(
        0.45,
        gt=0,
        le=1,
        description="Of boxes whose intersection over union is larger the best one is left.",
    )
    nms_by_class: bool = Field(
        True, description="Compare boxes with those of their own class only."
    )
    max_boxes: int = Field(
        100, ge=1, le=300, description="At most so many boxes of an image are kept, the best ones."
    )
    labels: str | None = Field(
        None,
        json_schema_extra=NO_SECRET,
        description="What is really there: a COCO file (.json), or YOLO files by a template such "
        "as labels/{pair}.txt or by their folder: any fsspec URL. Images are found by the names "
        "of their pairs' files.",
    )
    label_classes: str | None = Field(
        None,
        json_schema_extra=NO_SECRET,
        description="File with the name of a class on each line, for the numbers in YOLO files: "
        "any fsspec URL. Default: the detector's classes.",
    )
    class_names: dict[str, str] = Field(
        {},
        description="What the detector calls a class that the labels call otherwise, LABEL=CLASS, "
        "such as bike=bicycle.",
    )
    classes: tuple[str, ...] = Field(
        (),
        description="The classes that count in the table, as the detector calls them. Default: all "
        "that the labels have.",
    )
    published: str | None = Field(
        None,
        json_schema_extra=NO_SECRET,
        description="CSV file of published rows that are shown below the table, with the columns "
        "method, class, ap50, ap and source: any fsspec URL.",
    )
    contact_sheet: int = Field(
        4,
        ge=0,
        le=32,
        description="Pairs drawn with their boxes, those on which methods differ most; 0 draws "
        "none.",
    )
    shown_score: float = Field(
        0.3, gt=0, lt=1, description="Least score of the boxes that are drawn, and compared for it."
    )
    limit: int | None = Field(
        None, ge=1, description="Look at no more images than so many in this run."
    )

    @field_validator("fused")
    @classmethod
    def _sides_have_their_names(cls, fused: dict[str, str]) -> dict[str, str]:
        for name in fused:
            if name in SIDES:
                raise ValueError(
                    f"found the method name {name!r}, which is the pairs' own images, looked at in "
                    "any case; expected another name for a method that fused"
                )
        return fused

    @field_validator(*("detector", "detector_description", "labels", "label_classes", "published"))
    @classmethod
    def _no_password(cls, url: str | None) -> str | None:
        return url if url is None else refuse_secret(url)

    @model_validator(mode="after")
    def _labels_are_there(self) -> Self:
        told = [name for name in ("label_classes", "class_names", "classes") if getattr(self, name)]
        if told and self.labels is None:
            raise ValueError(
                f"found {' and '.join(told)} and no labels; expected labels, which they say "
                "something of"
            )
        if self.label_classes and self.labels and self.labels.endswith(".json"):
            raise ValueError(
                "found label_classes and labels in COCO JSON, which names its classes itself; "
                "expected one of the two"
            )
        for name in self.classes:
            check_method_name(name)
        return self

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods whose images are looked at, in the order of the table."""
        return (*SIDES, *self.fused)

    def hashed_fields(self) -> set[str]:
        """Return the settings that the hash is made of, beside the detector and the version."""
        return {*ScalingSettings.model_fields, *_BOX_FIELDS}

    def settings_hash(self, detector: DetectorFile) -> str:
        """Return 16 hex digits that change whenever other boxes may result.

        Args:
            detector: The detector as it was read.
        """
        deciding = {name: getattr(self, name) for name in self.hashed_fields()}
        return settings_digest(
            deciding
            | {
                "detector": detector.sha256,
                "description": detector.description.model_dump(mode="json"),
                "version": DETECTION_VERSION,
            }
        )
