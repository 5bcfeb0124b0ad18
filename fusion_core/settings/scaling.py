"""The settings that say what an image's values become for the model and the metrics."""

from __future__ import annotations

from typing import Any, Literal, Self

from numpy.typing import NDArray
from pydantic import Field, model_validator

from fusion_core.metrics.scaling import (
    PERCENTILES,
    Range,
    Scaling,
    ScalingName,
    choose_scaling,
    scaling_problem,
)
from fusion_core.settings.run import PairSettings

Side = Literal["ir", "vi"]


class ScalingSettings(PairSettings):
    """The settings that decide what a pair's values become for the model and the metrics."""

    scaling: ScalingName = Field(
        "auto",
        description="What an image's values become, once for the whole image: percentiles of a "
        "decimated read, the data type's range, or a fixed range, which needs ir_range and "
        "vi_range. auto is a side's fixed range where there is one, else percentiles, but the "
        "type's range for photographs that use it. 8 bits take their type's range unless a range "
        "is fixed.",
    )
    percentiles: Range = Field(
        PERCENTILES, description="Percentiles that become black and white, of 0 to 100."
    )
    ir_range: Range | None = Field(
        None,
        description="Infrared values that become black and white, for scaling auto and range; in "
        "the units that the file declares by scale and offset.",
    )
    vi_range: Range | None = Field(
        None,
        description="Visible values that become black and white, for scaling auto and range; in "
        "the units that the file declares by scale and offset.",
    )
    nodata: float | Literal["none"] | None = Field(
        None,
        description="Value that means no data in files which declare none, such as 0 around a "
        "Landsat scene; the fused scene declares it. Default: a collar of one value around both "
        "scenes is found. none: nothing is looked for.",
    )

    @model_validator(mode="after")
    def _ranges_fit(self) -> Self:
        problem = scaling_problem(
            self.scaling,
            percentiles=self.percentiles,
            ir_range=self.ir_range,
            vi_range=self.vi_range,
        )
        if problem:
            raise ValueError(problem)
        return self

    @property
    def nodata_value(self) -> float | None:
        """The value that means no data in files which declare none, if one was given."""
        return None if self.nodata == "none" else self.nodata

    def choose(
        self, side: Side, *, container: Range, bits: int, photograph: bool, sample: NDArray[Any]
    ) -> tuple[str, Scaling]:
        """Choose the scaling of one side of a pair; see ``choose_scaling``."""
        return choose_scaling(
            self.scaling,
            fixed=self.ir_range if side == "ir" else self.vi_range,
            percentiles=self.percentiles,
            container=container,
            bits=bits,
            photograph=photograph,
            sample=sample,
        )
