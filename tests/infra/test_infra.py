import datetime as dt
import importlib
import re
import subprocess
import tomllib
import zoneinfo
from typing import Any

import pytest
from infra_files import IMAGE, INFRA, PROJECT, ROOT, load, lock
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import Flow

from fusion_core.jobs.detect_settings import DetectSettings
from fusion_core.jobs.evaluate_settings import EvaluateSettings
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.training.settings import TrainSettings

DEPENDENCIES = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = PROJECT["optional-dependencies"]
# But for onnx-gpu, which stands in the place of what the tests use, and for dashboard, which has a
# lock of its own.
OPTIONAL = [Requirement(line) for name in ("cpu", "train", "dev") for line in EXTRAS[name]]
DEVELOPMENT = [one for one in OPTIONAL if one.name != PROJECT["name"]]


@pytest.mark.parametrize("requirement", DEPENDENCIES + DEVELOPMENT, ids=lambda r: r.name)
def test_lock_holds_what_the_project_asks_for(requirement: Requirement) -> None:
    pins = lock()
    name = canonicalize_name(requirement.name)
    assert name in pins
    assert requirement.specifier.contains(pins[name], prereleases=True)


def test_lock_names_no_build_of_torch() -> None:
    assert not any(version.local for version in lock().values())


def test_what_the_dashboard_adds_is_locked_beside_the_rest() -> None:
    (asked,) = map(Requirement, EXTRAS["dashboard"])
    assert (asked.name, asked.extras) == ("ray", {"default"})
    assert asked.specifier.contains(lock()["ray"])
    assert {"aiohttp-cors", "opencensus"} <= set(lock("dashboard.lock"))
    assert not set(lock("dashboard.lock")) & set(lock())


def test_development_brings_every_extra_that_the_tests_use() -> None:
    (own,) = [one for one in OPTIONAL if one.name == PROJECT["name"]]
    assert own.extras == set(EXTRAS) - {"dev", "onnx-gpu", "dashboard"}


def test_the_wheel_says_which_pythons_it_is_for() -> None:
    named = {line.split()[-1] for line in PROJECT["classifiers"] if "Python :: 3." in line}
    asked = Requirement(f"python{PROJECT['requires-python']}").specifier
    assert named == {f"3.{k}" for k in range(30) if asked.contains(f"3.{k}.1")}


def deployments() -> dict[str, Any]:
    return {one["name"]: one for one in load("prefect.yaml")["deployments"]}


@pytest.mark.parametrize(
    ("name", "flow_name", "settings"),
    [
        ("nightly", "fuse-archive", FuseArchiveSettings),
        ("score", "score-archive", ScoreArchiveSettings),
        ("detect", "detect-archive", DetectSettings),
        ("evaluate", "evaluate", EvaluateSettings),
        ("train", "train-refinefuse", TrainSettings),
    ],
)
def test_deployments_deploy_their_flow(name: str, flow_name: str, settings: type) -> None:
    deployment = deployments()[name]
    module, _, function = deployment["entrypoint"].rpartition(".")
    flow = getattr(importlib.import_module(module), function)
    assert isinstance(flow, Flow)
    assert flow.name == flow_name
    validated = flow.validate_parameters(deployment["parameters"])
    assert isinstance(validated["settings"], settings)


@pytest.mark.parametrize("name", ["score", "detect", "evaluate", "train"])
def test_what_runs_on_request_has_no_schedule_and_shares_the_pool(name: str) -> None:
    asked, nightly = deployments()[name], deployments()["nightly"]
    assert "schedules" not in asked
    assert asked["work_pool"] == nightly["work_pool"]


def test_nightly_fires_once_a_day_one_run_at_a_time() -> None:
    deployment = deployments()["nightly"]
    (schedule,) = deployment["schedules"]
    assert schedule["timezone"] in zoneinfo.available_timezones()
    CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
    minute, hour, *rest = schedule["cron"].split()
    assert minute.isdigit()
    assert hour.isdigit()
    assert rest == ["*", "*", "*"]
    assert deployment["concurrency_limit"]["limit"] == 1


def test_the_day_of_the_nightly_run_is_that_of_its_schedule() -> None:
    deployment = deployments()["nightly"]
    settings = FuseArchiveSettings(**deployment["parameters"]["settings"])
    (schedule,) = deployment["schedules"]
    assert settings.time_zone == schedule["timezone"]


def test_the_prefix_that_prefect_yaml_shows_looks_back_beyond_one_failed_night() -> None:
    lines = re.findall(r"(?m)^ +# (prefix): (.+)$", (INFRA / "prefect.yaml").read_text())
    shown: dict[str, Any] = dict(lines)
    looked_at = FuseArchiveSettings(source="s3://a", output="s3://b", **shown)
    assert len(looked_at.expanded_prefixes(dt.date(2026, 11, 20))) == 3


def test_commands_in_prefect_yaml_name_its_pool_and_deployment() -> None:
    text = (INFRA / "prefect.yaml").read_text()
    pool = deployments()["nightly"]["work_pool"]["name"]
    assert re.findall(r"work-pool create (\S+)", text) == [pool]
    assert re.findall(r"worker start --pool (\S+)", text) == [pool]
    named = re.findall(r"deployment run (\S+)", text)
    assert named == [
        *("fuse-archive/nightly", "score-archive/score", "detect-archive/detect"),
        *("evaluate/evaluate", "train-refinefuse/train"),
    ]
    assert [name.split("/")[1] for name in named] == [*deployments()]
    assert re.findall(r"--prefect-file (\S+)", text) == ["prefect.yaml"]


def test_what_is_no_module_is_installed_with_its_package() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "package-data"
    ]
    folders = {name: ROOT.joinpath(*name.split(".")) for name in data}
    given = {path for name in data for one in data[name] for path in folders[name].glob(one)}
    others = {
        path
        for room in ("actors", "flows", "fusion_core")
        for path in (ROOT / room).rglob("*")
        if path.is_file()
        and path.suffix != ".py"
        and path.parent.name != "__pycache__"
        and path.name != "README.md"
    }
    assert others == given


def test_comments_name_the_image_of_this_version() -> None:
    files = ["Containerfile", *(str(path.relative_to(INFRA)) for path in INFRA.rglob("*.yaml"))]
    tags = {
        name: re.findall(r"fuse-archive:[0-9][\w.-]*", (INFRA / name).read_text()) for name in files
    }
    named = {tag for found in tags.values() for tag in found}
    assert {re.sub(r"-(cuda|job)$", "", tag.rstrip(".")) for tag in named} == {IMAGE}
    without = {"prefect.yaml", "kubernetes/namespace.yaml", "prometheus/alerts.yaml"}
    assert {name for name, found in tags.items() if not found} == without


def test_readme_names_every_file() -> None:
    text = (INFRA / "README.md").read_text()
    tracked = subprocess.run(
        ["git", "ls-files", "."], cwd=INFRA, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("no git checkout")
    missing = [name for name in tracked.stdout.split() if f"`{name}`" not in text]
    assert missing == ["README.md"]
