import pytest
from pydantic import ValidationError

from fusion_core.jobs.evaluate_settings import EvaluateSettings
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.settings.run import RunSettings

NEEDED = {"source": "in", "output": "out"}
FUSED = {"m": "fused/{pair}.png"}


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (FuseArchiveSettings, {}),
        (ScoreArchiveSettings, {"fused": FUSED}),
        (EvaluateSettings, {"models": {"mean": "mean"}}),
    ],
)
def test_leaving_a_run_to_another_is_called_skip_and_the_old_word_is_taken_with_a_warning(
    kind: type[RunSettings], more: dict[str, object]
) -> None:
    with pytest.warns(FutureWarning, match="'leave' is called 'skip' now") as told:
        old = kind.model_validate({**NEEDED, **more, "overlap": "leave"})
    assert len(told) == 1
    assert old == kind.model_validate({**NEEDED, **more, "overlap": "skip"})
    assert kind.model_validate(old.model_dump()) == old


def test_where_python_says_the_old_word_is_named() -> None:
    with pytest.warns(FutureWarning) as told:
        FuseArchiveSettings(source="in", output="out", overlap="leave")  # type: ignore[arg-type]
    assert told[0].filename == __file__


def test_no_other_word_is_taken() -> None:
    with pytest.raises(ValidationError, match="'wait' or 'skip'"):
        RunSettings.model_validate({**NEEDED, "overlap": "go"})


def test_no_hash_knows_what_becomes_of_a_run_that_finds_another() -> None:
    fusing = [FuseArchiveSettings(source="in", output="out", overlap=o) for o in ("wait", "skip")]  # type: ignore[arg-type]
    assert len({settings.image_settings().settings_hash() for settings in fusing}) == 1
    scoring = [
        ScoreArchiveSettings.model_validate({**NEEDED, "fused": FUSED, "overlap": overlap})
        for overlap in ("wait", "skip")
    ]
    assert len({settings.settings_hash() for settings in scoring}) == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"inventory": "s3://b/manifest.json"}, "is one of S3 and the source is in"),
        (
            {"source": "s3://a", "inventory": "s3://b/manifest.json", "identity": "checksum"},
            "an S3 Inventory tells none",
        ),
        ({"inventory": "s3://key:secret@b/x.parquet"}, "the URL holds a user name and password"),
        ({"identity": "md5"}, "'etag', 'version' or 'checksum'"),
    ],
)
def test_an_inventory_that_cannot_be_of_use_is_refused(fields: dict[str, str], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        RunSettings.model_validate({**NEEDED, **fields})


def test_no_hash_knows_how_files_are_found() -> None:
    ways: list[dict[str, str]] = [{}, {"inventory": "list.parquet"}, {"identity": "checksum"}]
    fusing = [FuseArchiveSettings.model_validate({**NEEDED, **way}) for way in ways]
    assert len({settings.image_settings().settings_hash() for settings in fusing}) == 1
    scoring = [
        ScoreArchiveSettings.model_validate({**NEEDED, "fused": FUSED, **way}) for way in ways
    ]
    assert len({settings.settings_hash() for settings in scoring}) == 1
