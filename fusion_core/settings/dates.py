"""The settings that choose which days of an archive a run looks at."""

from __future__ import annotations

import datetime as dt
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, field_validator, model_validator

LOOK_BACK = 3
"""Days that are looked at unless a setting says otherwise: one night may fail, without a loss."""

_ONE_DAY, _ANOTHER_DAY = dt.date(2000, 1, 1), dt.date(2011, 12, 22)


class DateSettings(BaseModel):
    """The prefix of the paths that are looked at, and the days that it is filled with."""

    prefix: str = Field(
        "",
        description="Only paths below the source that start with this are looked at. It may hold "
        "the run's date, {date:%Y/%m/%d}; the days before it are looked at as well.",
    )
    date: dt.date | None = Field(
        None, description="The run's date, for prefix and manifest. Default: today, by time_zone."
    )
    days: int | None = Field(
        None,
        ge=1,
        le=366,
        description="So many days are looked at where the prefix holds the date: the run's own and "
        "those before it, so that what came in late is found the next night. "
        f"Default: {LOOK_BACK}.",
    )
    time_zone: str = Field(
        "UTC",
        description="Time zone whose date is today's, such as Europe/Berlin: that of the schedule, "
        "and of whoever names the folders.",
    )

    @field_validator("prefix")
    @classmethod
    def _prefix_expands(cls, prefix: str) -> str:
        try:
            expanded = prefix.format(date=_ONE_DAY)
        except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
            raise ValueError(
                f"{prefix!r} can't be expanded ({error!r}); the only field it may hold is the "
                "date, such as {date:%Y/%m/%d}"
            ) from error
        if ".." in expanded.split("/"):
            raise ValueError(
                f"{prefix!r} leads out of the source; expected a path below it. Give the folder "
                "that is meant as the source"
            )
        return prefix

    @field_validator("time_zone")
    @classmethod
    def _zone_is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:  # OSError: a folder of zones
            raise ValueError(
                f"found the time zone {name!r}; expected a name of the IANA time zone database, "
                "such as UTC or Europe/Berlin"
            ) from error
        return name

    @model_validator(mode="after")
    def _days_have_a_date(self) -> Self:
        if self.days is not None and self.days > 1 and not self.prefix_has_date:
            raise ValueError(
                f"days is {self.days} and the prefix {self.prefix!r} holds no date, so all days "
                "are looked at anyway; expected a prefix such as {date:%Y/%m/%d}. Leave days out"
            )
        return self

    @property
    def prefix_has_date(self) -> bool:
        """Whether the prefix is another one on other days."""
        # Two days that differ in all that a date can be written by.
        return self.prefix.format(date=_ONE_DAY) != self.prefix.format(date=_ANOTHER_DAY)

    def expanded_prefixes(self, date: dt.date) -> tuple[str, ...]:
        """Return ``prefix`` with each day filled in that is looked at, the run's own first.

        Prefixes below another one are left out, so that no file is listed twice.
        """
        if not self.prefix_has_date:
            return (self.prefix.format(date=date).lstrip("/"),)
        first = max(date.toordinal() - (self.days or LOOK_BACK), 0)
        days = map(dt.date.fromordinal, range(date.toordinal(), first, -1))
        found = dict.fromkeys(self.prefix.format(date=day).lstrip("/") for day in days)
        return tuple(
            one
            for one in found
            if not any(one.startswith(other) for other in found if other != one)
        )

    def run_date(self, now: dt.datetime) -> dt.date:
        """Return the run's date: the one that is set, or today in the time zone.

        Args:
            now: The time, of any zone.
        """
        return self.date or now.astimezone(ZoneInfo(self.time_zone)).date()
