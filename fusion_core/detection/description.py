"""The description of a detector: what its ONNX file takes and gives, as a small JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fusion_core.detection.coco_classes import COCO_CLASSES
from fusion_core.errors import SettingsError
from fusion_core.settings.words import in_words

ALL = "all"
"""What a table calls the mean over all classes; no class may be called so."""

Head = Literal["yolox", "yolov5", "yolov8"]

_OF_HEADS: Mapping[str, Mapping[str, Any]] = {
    "yolox": {"channels": "BGR", "white": 255.0, "letterbox": "top-left"},
    "yolov5": {"channels": "RGB", "white": 1.0, "letterbox": "centre"},
    "yolov8": {"channels": "RGB", "white": 1.0, "letterbox": "centre"},
}
"""What the files of each family take, as their own programs export them."""

_LARGEST = 1 << 20  # bytes of a description


class Description(BaseModel):
    """What a detector's file takes and gives.

    Attributes:
        head: The family, which says how the output is laid out: see ``heads``.
        size: Height and width of its input.
        classes: Names of its classes, by their numbers from 0; ``coco`` stands for COCO's 80.
        channels: Order of its input's channels.
        white: What the pixel value 255 becomes; 0 becomes 0.
        mean: Is subtracted then, by channel in the detector's order.
        std: The rest is divided by it, likewise.
        letterbox: Where the image lies, scaled to fit; ``none`` stretches it to the whole input.
        fill: Pixel value around it, 0 to 255.
        layout: Order of the input's dimensions.
        strides: Pixels of the input between neighbouring cells of each grid; for ``yolox``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: Head
    size: tuple[int, int]
    classes: tuple[str, ...] = Field(min_length=1)
    channels: Literal["RGB", "BGR"]
    white: float = Field(gt=0, allow_inf_nan=False)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    letterbox: Literal["top-left", "centre", "none"]
    fill: int = Field(114, ge=0, le=255)
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    strides: tuple[int, ...] = (8, 16, 32)

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_head(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        named = {"classes": COCO_CLASSES} if values.get("classes") == "coco" else {}
        return {**_OF_HEADS.get(str(values.get("head")), {}), **values, **named}

    @field_validator("classes")
    @classmethod
    def _names_differ(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        for name in classes:
            if not name.strip() or name == ALL or classes.count(name) > 1:
                raise ValueError(
                    f"found the class name {name!r}; expected names that differ, none of them "
                    f"empty or {ALL!r}, which is the mean over the classes"
                )
        return classes

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        if not all(1 <= side <= 8192 for side in self.size):
            raise ValueError(f"found the size {list(self.size)}; expected height and width, 1 up")
        if not all(value > 0 for value in self.std):
            raise ValueError(f"found the std {list(self.std)}; expected three numbers above 0")
        if self.head == "yolox":
            uneven = [s for s in self.strides if s < 1 or any(side % s for side in self.size)]
            if uneven or not self.strides:
                raise ValueError(
                    f"found the strides {list(self.strides)} and the size {list(self.size)}; "
                    "expected strides that divide height and width, such as 8, 16 and 32"
                )
        return self


def parse_description(text: bytes, name: str) -> Description:
    """Read the JSON of a description.

    Args:
        text: The JSON.
        name: Where it was read from, for messages.

    Raises:
        SettingsError: It is no JSON, or doesn't describe a detector.
    """
    try:
        if len(text) > _LARGEST:
            raise ValueError(f"it has {len(text)} bytes; a description has at most {_LARGEST}")
        return Description.model_validate(json.loads(text))
    except ValidationError as error:
        told = "; ".join(": ".join(filter(None, one)) for one in in_words(error))
    except (ValueError, RecursionError) as error:
        told = f"it is no JSON: {error}"
    raise SettingsError(
        f"the description {name} of the detector can't be used: {told}. Expected JSON such as "
        '{"head": "yolox", "size": [416, 416], "classes": "coco"}; fusion_core/detection/README.md '
        "lists all of it"
    )
