"""The command line, called as people call it."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from command_line import given_to_flow
from tiny import tiny_weights, write_pairs

from flows.cli import main
from fusion_core.jobs.evaluate_settings import EvaluateSettings
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.settings.run import ArchiveSettings
from fusion_core.training.ablation import AblateSettings
from fusion_core.training.settings import TrainSettings


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        ("run", FuseArchiveSettings),
        ("score", ScoreArchiveSettings),
        ("evaluate", EvaluateSettings),
        ("train", TrainSettings),
        ("ablate", AblateSettings),
    ],
)
def test_every_setting_is_an_option_with_its_description(
    command: str,
    settings: type[ArchiveSettings],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name, field in settings.model_fields.items():
        assert f"--{name.replace('_', '-')} " in text or f"--{name.replace('_', '-')}," in text
        assert field.description is not None
        assert " ".join(field.description.split()[:4]) in text


def trained_with(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> TrainSettings:
    """Return the settings that the flow is given for these arguments."""
    given = given_to_flow(monkeypatch, "train", "--source", "a", "--output", "b", *arguments)
    assert type(given) is TrainSettings
    return given


def test_a_preset_and_values_of_network_and_loss_are_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = trained_with(monkeypatch)
    assert plain == TrainSettings(source="a", output="b")
    nested = ["--loss.texture-weight", "2", "--network.widths", "8,8", "--network.levels", "2"]
    paper = trained_with(
        monkeypatch, "--preset", "paper", "--seed", "4", *nested, "--no-network.sfim"
    )
    assert (paper.optimiser, paper.epochs, paper.crop, paper.seed) == ("sgd", 300, 256, 4)
    assert (paper.loss.texture_weight, paper.loss.intensity_weight) == (2, 1)
    assert (paper.network.widths, paper.network.levels, paper.network.sfim) == ((8, 8), 2, False)
    assert trained_with(monkeypatch, "--preset", "paper", "--steps", "9").epochs is None
    assert trained_with(monkeypatch, "--validation", "ids.txt").validation == "ids.txt"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "0"], "--batch: found '0'; expected at least 1"),
        (["--steps", "3", "--epochs", "2"], "found steps 3 and epochs 2; give one"),
        (["--network.levels", "9"], "--network.levels: found '9'; expected at most 5"),
        (["--worker", "gpu:0.5"], "--worker: found 'gpu:0.5'; expected auto, gpu, cpu or cpu:4"),
    ],
)
def test_a_training_that_cannot_be_is_named(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["train", "--source", "a", "--output", "b", *arguments])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--chunk-pairs", "0"], "--chunk-pairs: found '0'; expected at least 1"),
        (["--worker", "tpu"], "--worker: found 'tpu'; expected auto, gpu, gpu:0.5, cpu or"),
        (["--prefix", "{pair}"], "--prefix"),
        (["--quality", "80"], "quality is 80 and format is png, which has none; expected format"),
        (["--scaling", "range"], "scaling is range and ir_range isn't set"),
        (["--source", "s3://key:secret@bucket"], "holds a user name and password"),
    ],
)
def test_a_wrong_value_is_named_with_its_option(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["run", "--source", "a", "--output", "b", *arguments])
    told = capsys.readouterr().err
    assert message in told
    assert "secret" not in told


def run_with(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> FuseArchiveSettings:
    """Return the settings that the flow is given for these arguments."""
    given = given_to_flow(monkeypatch, "run", "--source", "a", "--output", "b", *arguments)
    assert type(given) is FuseArchiveSettings
    return given


@pytest.mark.parametrize("word", ["skip", "leave"])
def test_a_run_is_skipped_by_the_old_word_too(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(FutureWarning, match="'skip'") if word == "leave" else nullcontext():
        settings = run_with(monkeypatch, "--overlap", word)
    assert settings.overlap == "skip"


@pytest.mark.parametrize(
    ("arguments", "nodata"),
    [([], None), (["0"], 0), (["-9999"], -9999), (["none"], "none")],
)
def test_nodata_is_a_value_or_the_word_none(
    arguments: list[str], nodata: float | str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    option = ["--nodata", *arguments] if arguments else []
    assert run_with(monkeypatch, *option).nodata == nodata


def scored_with(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> ScoreArchiveSettings:
    """Return the settings that the scoring flow is given for these arguments."""
    given = given_to_flow(monkeypatch, "score", "--source", "a", "--output", "b", *arguments)
    assert type(given) is ScoreArchiveSettings
    return given


@pytest.mark.parametrize("written", [["7200", "9000.5"], ["[7200, 9000.5]"], ["7200,9000.5"]])
def test_ranges_and_percentiles_reach_runs_and_scores(
    written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--ir-range", *written, "--percentiles", "1", "99", "--nodata", "0"]
    scored = scored_with(monkeypatch, "--fused", "m=f/{pair}.png", *options)
    for given in (run_with(monkeypatch, *options), scored):
        assert (given.ir_range, given.vi_range) == ((7200, 9000.5), None)
        assert (given.scaling, given.percentiles, given.nodata) == ("auto", (1, 99), 0)


def test_methods_come_through_the_command_line_as_they_are_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    methods = {
        "densefuse": "fused_densefuse/{pair}.png",
        "with-equals": "f=1/{pair:path},v=2/*.png",
        "other bucket": "s3://b/{settings}/{pair}.{digest}.png",
        'a "b"': 'x "y" \\z/{pair}.png',
        "backslash": "{pair}\\",
        "{braces}": "{pair}",
        "[1,2]": "[a]/{pair}.png",
        "true": "null/{pair}.png",
    }
    options = [f"{name}={text}" for name, text in methods.items()]
    joined = [f"--fused={option}" for option in options]
    apart = [word for option in options for word in ("--fused", option)]
    for arguments in (joined, apart, [*apart[:4], "--limit", "3", *joined[2:]]):
        assert scored_with(monkeypatch, *arguments).fused == methods
    assert capsys.readouterr().out == "the table\n" * 3
    for name, text in methods.items():
        given = scored_with(monkeypatch, "--fused", f"{name}={text}")
        assert given.fused == {name: text}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "parameter --fused requires an argument"),
        (["--fused", "densefuse"], "--fused: found 'densefuse'; expected NAME=TEMPLATE"),
        (["--fused"], "parameter --fused requires an argument"),
        (["--fused", ""], "--fused: found ''; expected NAME=TEMPLATE"),
        (["--fused", "=f/{pair}"], "--fused: found the method name ''"),
        (["--fused", "a/b=f/{pair}"], "found the method name 'a/b'"),
        (["--fused", "a=x/{pair}", "--fused", "a=y/{pair}"], "--fused: found the name 'a' twice"),
        (["--fused", "a=x/{name}.png"], "lacks ['pair']; expected all that make up the pair id"),
        (["--fused", "a=s3://key:secret@b/{pair}"], "holds a user name and password"),
    ],
)
def test_methods_that_cannot_be_scored_are_named(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["score", "--source", "a", "--output", "b", *arguments])
    told = capsys.readouterr().err
    assert message in told
    assert "secret" not in told


def evaluated_with(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict[str, str]:
    """Return the models that the flow is given for these arguments."""
    given = given_to_flow(monkeypatch, "evaluate", "--source", "a", "--output", "b", *arguments)
    assert type(given) is EvaluateSettings
    return given.models


def test_models_come_with_a_name_or_are_their_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = ["laplacian", "mine=s3://b/date=1/w,1.safetensors", "my mean=mean", "best.safetensors"]
    options = [word for model in models for word in ("--models", model)]
    assert evaluated_with(monkeypatch, *options, "--published", "tno") == {
        "laplacian": "laplacian",
        "mine": "s3://b/date=1/w,1.safetensors",
        "my mean": "mean",
        "best.safetensors": "best.safetensors",
    }
    assert evaluated_with(monkeypatch) == EvaluateSettings(source="a", output="b").models
    assert capsys.readouterr().out == "the table\n" * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "mean", "--models=mean=x"], "--models: found the name 'mean' twice"),
        (["--models", "x/w.safetensors"], "--models: found the method name 'x/w.saf"),
        (["--models"], "parameter --models requires an argument"),
        (["--models", ""], "--models: found the method name ''"),
        (["--published", "lena"], "--published: found the image set 'lena'"),
    ],
)
def test_models_that_cannot_be_evaluated_are_named(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "--source", "a", "--output", "b", *arguments])
    assert message in capsys.readouterr().err


def test_the_environment_sets_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE", "from-the-environment")
    monkeypatch.setenv("RUN__SOURCE", "from-the-environment")
    with pytest.raises(SystemExit, match="2"):
        main(["run", "--output", "b"])
    assert "--source" in capsys.readouterr().err


@pytest.mark.usefixtures("prefect_api")
def test_a_failed_run_says_why_in_a_line_and_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.cluster.starting", lambda *_: nullcontext())
    monkeypatch.setattr("flows.commandline.preflight.check_start", lambda _: None)
    write_pairs(tmp_path / "in", ["a"])
    places = ["--source", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    templates = ["--ir", "{kind}/{pair}.png", "--vi", "vi/{pair}.png"]
    with pytest.raises(SystemExit, match="1"):
        main(["run", *places, "--model", tiny_weights(tmp_path), *templates])
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith("fuse-archive: SettingsError: the templates have different fields")
