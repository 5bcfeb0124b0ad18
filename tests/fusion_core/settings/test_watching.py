from typing import Any

import pytest
from pydantic import ValidationError
from tiny import score_settings_for, settings_for

WATCHED = {
    "metrics_port": 9300,
    "metrics_address": "0.0.0.0",
    "metrics_push": "http://pushgateway:9091",
    "log_format": "json",
}


def test_how_a_run_is_watched_is_in_no_hash() -> None:
    plain, watched = (settings_for("in", "out", "mean", **values) for values in ({}, WATCHED))
    assert watched.image_settings().settings_hash() == plain.image_settings().settings_hash()
    scored, watched_too = (
        score_settings_for("in", "out", "a", **values) for values in ({}, WATCHED)
    )
    assert watched_too.settings_hash() == scored.settings_hash()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"metrics_address": "0.0.0.0"}, "there is no metrics_port; expected both"),
        ({"metrics_push": "pushgateway:9091"}, "expected the URL of a Pushgateway"),
        ({"metrics_push": "http://me:secret@pushgateway"}, "user name and password"),
        ({"metrics_port": 65_536}, "less than or equal to 65535"),
    ],
)
def test_what_can_not_act_or_holds_a_secret_is_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told) as refused:
        settings_for("in", "out", "mean", **values)
    assert "secret@" not in str(refused.value)
