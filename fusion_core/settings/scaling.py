"""The settings that say what an image's values become for the model and the metrics."""

from __future__ import annotations

from typing import Any, Literal, Self

from numpy.typing import NDArray
from pydantic import Field, model_validator

from fusion_core.metrics.scaling import PERCENTILES, Range, Scaling, ScalingName, choose_scaling
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
        None, description="Infrared values that become black and white, for scaling auto and range."
    )
    vi_range: Range | None = Field(
        None, description="Visible values that become black and white, for scaling auto and range."
    )
    nodata: float | Literal["none"] | None = Field(
        None,
        description="Value that means no data in files which declare none, such as 0 around a "
        "Landsat scene; the fused scene declares it. Default: a collar of one value around both "
        "scenes is found. none: nothing is looked for.",
    )

    @model_validator(mode="after")
    def _ranges_fit(self) -> Self:
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(
                f"percentiles are {low:g} and {high:g}; expected two of 0 to 100, the lower first"
            )
        for name in ("ir_range", "vi_range"):
            found = getattr(self, name)
            if self.scaling == "range" and found is None:
                raise ValueError(f"scaling is range and {name} isn't set; expected both ranges")
            if found is not None and not found[0] < found[1]:
                raise ValueError(f"{name} is {found}; expected two numbers, the lower first")
            if found is not None and self.scaling in ("percentiles", "type"):
                raise ValueError(
                    f"{name} is set and scaling is {self.scaling}, which takes no range; expected "
                    "scaling auto or range"
                )
        ranges = self.ir_range is not None and self.vi_range is not None
        if tuple(self.percentiles) != PERCENTILES and (ranges or self.scaling == "type"):
            why = "both ranges are set" if ranges else "scaling is type"
            raise ValueError(
                f"percentiles are set and {why}, so that none is taken; leave percentiles out"
            )
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
