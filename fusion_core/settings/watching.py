"""The settings of how a run can be watched; they decide no pixel, and are no part of any hash."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from fusion_core.settings.secrets import NO_SECRET, refuse_secret

LogFormat = Literal["text", "json"]
_LOOPBACK = "127.0.0.1"


class WatchingSettings(BaseModel):
    """How a run can be watched while it works, and what is told of it at its end."""

    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="Port on which the run serves metrics for Prometheus while it is at work; 0 "
        "takes a free one, which the log names. Default: none.",
    )
    metrics_address: str = Field(
        _LOOPBACK,
        description="Address on which it serves them; 0.0.0.0 is every interface, as a container "
        "needs it.",
    )
    metrics_push: str | None = Field(
        None,
        json_schema_extra=NO_SECRET,
        description="Pushgateway that is given the metrics when the run ends, such as "
        "http://pushgateway:9091. Default: none.",
    )
    log_format: LogFormat = Field(
        "text",
        description="text, or json: one object a line on the error stream, with run, chunk and "
        "pair.",
    )

    @field_validator("metrics_push")
    @classmethod
    def _push_to_a_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not url.startswith(("http://", "https://")):
            raise ValueError(
                f"found {url!r}; expected the URL of a Pushgateway, such as http://pushgateway:9091"
            )
        return refuse_secret(url)

    @model_validator(mode="after")
    def _address_has_a_port(self) -> Self:
        if self.metrics_address != _LOOPBACK and self.metrics_port is None:
            raise ValueError(
                f"metrics_address is {self.metrics_address} and there is no metrics_port; expected "
                "both. Give a metrics_port, or leave metrics_address out"
            )
        return self
