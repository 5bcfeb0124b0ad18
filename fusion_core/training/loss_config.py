"""The settings of the training loss: its weights and masks."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class LossConfig(BaseModel):
    """Weights and masks of the loss; the defaults are what refinefuse-1 was trained with.

    The paper leaves weights and masks open, so they were picked by means over the 21 validation
    pairs of RoadScene. Each row but the first and the last continues one set of weights (the first
    row) for 250 steps of 4 crops of 128x128; one seed, so a hundredth means nothing:

    ========================================  =====  =====  =====  =====  ======  =====  =====
    weights                                   VIF    AG     SCD    Qabf   SF      EN     SSIM
    ========================================  =====  =====  =====  =====  ======  =====  =====
    texture 1, no other term but intensity    0.590  5.728  1.200  0.550  14.394  7.188  0.979
    gradient 1, correlation .1, fidelity .2   0.684  5.565  1.788  0.569  14.172  7.441  1.017
    the same with texture .7, gradient .7     0.694  5.614  1.787  0.575  14.265  7.451  1.017
    the same with texture 2, gradient 2       0.689  5.679  1.769  0.578  14.406  7.435  1.024
    180 steps more with texture_gain 1.1      0.714  6.155  1.814  0.584  15.624  7.514  1.020
    ========================================  =====  =====  =====  =====  ======  =====  =====

    Gradients shrink where a network can't be sure of them, which the gain makes up for; 1.15 was
    taken without another trial, when other cameras' images came out too flat. Those weights have
    none of the terms that came later (``ROBUST_LOSS``). Continued for 300 to 700 steps with crops
    of other cameras, black parts and a stretched tanh, they showed what these terms do (8 pairs of
    TNO, 33 of MSRS; sky in grey levels, 238 in the visible):

    ===========================================  ========  =========  =========  ===========  ===
    changed                                      TNO SCD   TNO EN     MSRS VIF   MSRS SSIM    sky
    ===========================================  ========  =========  =========  ===========  ===
    nothing else                                 1.906     7.175      0.946      0.874        182
    gain 1.1, fidelity .5, 1 - Qabf as a term    1.875     7.121      0.975      0.917        169
    dim_share 1, spread 3, sky 4, fidelity .4    1.823     7.211      1.024      0.941        221
    the same, what is hot on top, gain 1.13      1.829     7.324      1.027      0.998        218
    the preset "robust" for 2000 steps           1.840     7.328      1.059      1.003        220
    ===========================================  ========  =========  =========  ===========  ===

    The last row is of the trainings that refinefuse was chosen from; its card has all figures.

    A term that asks YOLOX-nano to see in the fused crop what it sees in either source was tried at
    three weights and left out: at the largest, with lesser changes beside it, AP at 0.5 of people
    and cars was 0.544 and 0.460 on 44 pairs of RoadScene, without 0.591 and 0.461, and VIF on MSRS
    was lower by 0.07.

    The masks were picked earlier, by smaller networks and shorter trainings: a neighbourhood of 11
    with a threshold of 0.004 sees edges only and leaves warm walls and ground as dark as the
    visible image has them; an intensity weight of 3 against a texture weight of 1 cost a quarter of
    AG. Varied since by ``ablate --study choices``, one by one, they change hardly more than another
    seed does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    intensity: Literal["masked", "mean", "max"] = Field(
        default="masked",
        description="masked: each source where its mask is 1; mean: both everywhere; "
        "max: the brighter source.",
    )
    intensity_weight: float = Field(default=1.0, ge=0, description="Factor of the intensity term.")
    texture_weight: float = Field(
        default=2.0, ge=0, description="Factor of the paper's texture term, by absolute gradients."
    )
    gradient_weight: float = Field(
        default=2.0, ge=0, description="Factor of the texture term by gradients with direction."
    )
    texture_gain: float = Field(
        default=1.15,
        gt=0,
        description="Both texture terms ask for so many times the steeper source's gradient.",
    )
    correlation_weight: float = Field(
        default=0.1, ge=0, description="Factor of 2 - SCD, the metric as a loss."
    )
    fidelity_weight: float = Field(
        default=0.2, ge=0, description="Factor of 2 - VIF, the metric as a loss."
    )
    dim_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="How far the brighter source stands in for both, in intensity and texture, "
        "where the infrared is dim as a whole. 0: not at all.",
    )
    spread_weight: float = Field(
        default=0.0, ge=0, description="Factor of what lacks of the sources' contrast."
    )
    sky_weight: float = Field(
        default=0.0, ge=0, description="Factor of what bright skies lack of the visible image's."
    )
    black_weight: float = Field(
        default=0.0, ge=0, description="Factor of light where both sources are black."
    )
    neighbourhood: int = Field(
        default=31,
        ge=3,
        description="Side in pixels of the square that contrast is measured against; odd.",
    )
    contrast_threshold: float = Field(
        default=0.001,
        gt=0,
        description="Squared difference from the neighbourhood that counts as high.",
    )
    saliency_deviations: float = Field(
        default=1.2,
        description="Infrared is salient above its mean plus this many standard deviations.",
    )
    saliency_floor: float = Field(
        default=0.55, ge=0, le=1, description="Infrared below this is never salient."
    )

    @field_validator("neighbourhood")
    @classmethod
    def _check_odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"neighbourhood is {value}; a square around a pixel has an odd side")
        return value


LATER_TERMS = ("dim_share", "spread_weight", "sky_weight", "black_weight")
"""Settings of terms that trainings of before don't know; 0 stands for none."""

PAPER_LOSS: Mapping[str, Any] = {
    "texture_weight": 5.0,
    "gradient_weight": 0.0,
    "texture_gain": 1.0,
    "correlation_weight": 0.0,
    "fidelity_weight": 0.0,
}
"""What the paper's loss changes of the defaults: intensity and texture only, with its lambda of 5.

The paper doesn't say which term carries lambda. On the intensity it left a blur (AG 2.57
against 5.39 after 200 steps) and dim pedestrians.
"""

ROBUST_LOSS: Mapping[str, Any] = {
    "texture_gain": 1.12,
    "correlation_weight": 0.15,
    "fidelity_weight": 0.4,
    "dim_share": 1.0,
    "spread_weight": 3.0,
    "sky_weight": 4.0,
    "black_weight": 5.0,
}
"""What the preset "robust" changes of the defaults; the second table above is why."""
