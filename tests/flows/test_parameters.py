"""What Prefect makes of flows and their parameters before a run begins."""

from contextlib import nullcontext
from typing import Any

import pytest
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import validate
from prefect.utilities.schema_tools.validation import ValidationError

from flows.evaluate import evaluate
from flows.fuse_archive import fuse_archive
from flows.score_archive import score_archive


@pytest.mark.parametrize("flow", [fuse_archive, score_archive, evaluate])
@pytest.mark.parametrize("field", ["source", "output", "index"])
def test_a_url_with_a_password_is_refused_before_it_is_kept(
    flow: Flow[Any, Any], field: str
) -> None:
    schema = parameter_schema(flow).model_dump()
    settings: dict[str, Any] = {"source": "s3://a", "output": "s3://b", "index": None}
    if flow is score_archive:
        settings["fused"] = {"densefuse": "fused/{pair}.png"}
    validate({"settings": settings}, schema, raise_on_error=True)
    settings[field] = "s3://user:planted@host/bucket"
    with pytest.raises(ValidationError, match=rf"settings\.{field}"):
        validate({"settings": settings}, schema, raise_on_error=True)


def test_a_deployment_of_before_still_finds_its_flow() -> None:
    assert load_flow_from_entrypoint("flows.evaluate.evaluate_refinefuse") is evaluate


@pytest.mark.parametrize("flow", [fuse_archive, score_archive, evaluate])
@pytest.mark.parametrize("overlap", ["wait", "skip", "leave"])
def test_a_deployment_may_still_have_the_old_word_for_skip(
    flow: Flow[Any, Any], overlap: str
) -> None:
    schema = parameter_schema(flow).model_dump()
    settings: dict[str, Any] = {"source": "s3://a", "output": "s3://b", "overlap": overlap}
    settings |= {"fused": {"m": "f/{pair}.png"}} if flow is score_archive else {}
    settings |= {"models": {"mean": "mean"}} if flow is evaluate else {}
    validate({"settings": settings}, schema, raise_on_error=True)
    with pytest.warns(FutureWarning) if overlap == "leave" else nullcontext():
        given = flow.validate_parameters({"settings": settings})["settings"]
    assert given.overlap == ("wait" if overlap == "wait" else "skip")
    settings["overlap"] = "go"
    with pytest.raises(ValidationError, match=r"settings\.overlap"):
        validate({"settings": settings}, schema, raise_on_error=True)


@pytest.mark.parametrize("flow", [fuse_archive, score_archive, evaluate])
@pytest.mark.parametrize(
    ("scaling", "refused"),
    [
        ({"ir_range": [7200, 9000.5], "percentiles": [1, 99]}, {"ir_range": [7200]}),
        ({"scaling": "range", "ir_range": [0, 9], "vi_range": [0, 1]}, {"scaling": "minmax"}),
    ],
)
def test_the_form_takes_ranges_and_percentiles(
    flow: Flow[Any, Any], scaling: dict[str, Any], refused: dict[str, Any]
) -> None:
    schema = parameter_schema(flow).model_dump()
    settings: dict[str, Any] = {"source": "s3://a", "output": "s3://b", **scaling}
    settings |= {"fused": {"m": "f/{pair}.png"}} if flow is score_archive else {}
    settings |= {"models": {"mean": "mean"}} if flow is evaluate else {}
    validate({"settings": settings}, schema, raise_on_error=True)
    given = flow.validate_parameters({"settings": settings})["settings"]
    for name, value in scaling.items():
        assert getattr(given, name) == (tuple(value) if isinstance(value, list) else value)
    with pytest.raises(ValidationError, match=next(iter(refused))):
        validate({"settings": settings | refused}, schema, raise_on_error=True)


@pytest.mark.parametrize("flow", [fuse_archive, score_archive, evaluate])
@pytest.mark.parametrize("nodata", [None, 0, -9999.5, "none"])
def test_the_form_takes_a_nodata_value_nothing_and_the_word_none(
    flow: Flow[Any, Any], nodata: float | str | None
) -> None:
    schema = parameter_schema(flow).model_dump()
    settings: dict[str, Any] = {"source": "s3://a", "output": "s3://b", "nodata": nodata}
    settings |= {"fused": {"m": "f/{pair}.png"}} if flow is score_archive else {}
    settings |= {"models": {"mean": "mean"}} if flow is evaluate else {}
    validate({"settings": settings}, schema, raise_on_error=True)
    assert flow.validate_parameters({"settings": settings})["settings"].nodata == nodata
    settings["nodata"] = "zero"
    with pytest.raises(ValidationError, match=r"settings\.nodata"):
        validate({"settings": settings}, schema, raise_on_error=True)
