"""The settings of a scoring run: which methods' fused images are compared, and by what metrics."""

from __future__ import annotations

from pydantic import Field, field_validator

from fusion_core.jobs.fused_settings import FusedSettings
from fusion_core.metrics import METRIC_VERSIONS, Convention
from fusion_core.settings.digest import settings_digest
from fusion_core.settings.fuse import IMAGE_VERSION
from fusion_core.settings.scaling import ScalingSettings
from fusion_core.settings.secrets import NO_SECRET


class ScoreArchiveSettings(FusedSettings):
    """Everything that a score-archive run can be told."""

    output: str = Field(
        json_schema_extra=NO_SECRET,
        description="Folder or bucket for the scores and the comparison table: any fsspec URL.",
    )
    convention: Convention = Field(
        "published",
        description="Definitions of the metrics where the field is split: those that reproduce "
        "the published TNO table, or those of the textbooks.",
    )
    limit: int | None = Field(None, ge=1, description="Score at most so many images in this run.")

    @field_validator("fused")
    @classmethod
    def _has_a_method(cls, fused: dict[str, str]) -> dict[str, str]:
        if not fused:
            raise ValueError(
                "found no method; expected at least one, such as densefuse=fused/{pair}.png"
            )
        return fused

    @property
    def metric_version(self) -> str:
        """Name of the definitions that the scores follow."""
        return METRIC_VERSIONS[self.convention]

    def settings_hash(self) -> str:
        """Return 16 hex digits that change whenever other scores may result."""
        deciding = {name: getattr(self, name) for name in ScalingSettings.model_fields}
        return settings_digest(deciding | {"metrics": self.metric_version, "image": IMAGE_VERSION})

    def hashes_before(self) -> tuple[str, ...]:
        """Return the hashes that the same settings had under earlier image versions.

        The first knew no scaling of photographs: nothing that was scored then is as it would be by
        settings that ask for one.
        """
        default = ScalingSettings(size_mismatch=self.size_mismatch)
        plain = all(getattr(self, name) == value for name, value in default)
        before = {"size_mismatch": self.size_mismatch, "metrics": self.metric_version}
        return (settings_digest(before),) if plain else ()
