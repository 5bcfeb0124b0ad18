import datetime as dt
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError, field_validator

from fusion_core.settings import in_words


class Inner(BaseModel):
    weight: float = Field(1.0, gt=0)


class Settings(BaseModel):
    limit: int = Field(1, ge=1, le=9)
    share: float = Field(0.5, lt=1)
    word: Literal["wait", "skip"] = "wait"
    day: dt.date | None = None
    flag: bool = False
    ends: tuple[float, float] | None = None
    nodata: float | Literal["none"] | None = None
    inner: Inner = Inner()
    url: str = ""

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str) -> str:
        if "@" in url:
            raise ValueError("the URL holds a password; expected a plain URL")
        return url


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"limit": "0"}, [("limit", "found '0'; expected at least 1")]),
        ({"limit": 12}, [("limit", "found 12; expected at most 9")]),
        ({"limit": "x"}, [("limit", "found 'x'; expected a whole number")]),
        ({"limit": 1.5}, [("limit", "found 1.5; expected a whole number")]),
        ({"share": "1"}, [("share", "found '1'; expected less than 1")]),
        ({"share": "much"}, [("share", "found 'much'; expected a number")]),
        ({"word": "wait."}, [("word", "found 'wait.'; expected wait or skip. Did you mean wait?")]),
        ({"word": "stop"}, [("word", "found 'stop'; expected wait or skip")]),
        ({"day": "monday"}, [("day", "found 'monday'; expected a date such as 2026-11-20")]),
        ({"flag": "perhaps"}, [("flag", "found 'perhaps'; expected true or false")]),
        ({"ends": [1]}, [("ends.1", "is missing")]),
        ({"ends": [1, 2, 3]}, [("ends", "found 3 values; expected 2")]),
        ({"inner": {"weight": 0}}, [("inner.weight", "found 0; expected more than 0")]),
        ({"url": "s3://a:planted@b"}, [("url", "the URL holds a password; expected a plain URL")]),
        (
            {"limit": 0, "share": 2},
            [
                ("limit", "found 0; expected at least 1"),
                ("share", "found 2; expected less than 1"),
            ],
        ),
    ],
)
def test_what_is_wrong_is_said_in_words(given: dict[str, Any], told: list[tuple[str, str]]) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(**given)
    assert in_words(refused.value) == told


def test_a_value_of_several_kinds_names_each_once_and_no_branch() -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(nodata="zero")  # type: ignore[arg-type]
    told = in_words(refused.value)
    assert told == [
        ("nodata", "found 'zero'; expected a number"),
        ("nodata", "found 'zero'; expected none"),
    ]


def test_what_is_missing_or_unknown_is_named() -> None:
    class Strict(BaseModel, extra="forbid"):
        source: str

    with pytest.raises(ValidationError) as refused:
        Strict(sauce="a")  # type: ignore[call-arg]
    assert in_words(refused.value) == [
        ("source", "is missing"),
        ("sauce", "is no setting; check its name"),
    ]
