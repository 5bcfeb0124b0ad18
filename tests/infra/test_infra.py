import datetime as dt
import importlib
import re
import subprocess
import tomllib
import zoneinfo
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import Flow
from setuptools import find_packages

import fusion_core
from fusion_core.jobs.evaluate_settings import EvaluateSettings
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.training.settings import TrainSettings

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPENDENCIES = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = PROJECT["optional-dependencies"]
# But for onnx-gpu, which stands in the place of what the tests use.
OPTIONAL = [Requirement(line) for name in ("cpu", "dev") for line in EXTRAS[name]]
DEVELOPMENT = [one for one in OPTIONAL if one.name != PROJECT["name"]]
IMAGE = f"fuse-archive:{fusion_core.__version__}"
MANIFESTS = ["prefect.yaml", "compose.yaml", "kuberay/raycluster.yaml"]


def load(name: str) -> Any:
    return yaml.safe_load((INFRA / name).read_text())


def lock() -> dict[str, Version]:
    lines = (INFRA / "requirements.lock").read_text().split()
    assert all(line.count("==") == 1 for line in lines)
    pins = [line.split("==") for line in lines]
    return {canonicalize_name(name): Version(version) for name, version in pins}


def instructions() -> list[tuple[str, list[str]]]:
    """The Containerfile's instructions and their words."""
    text = (INFRA / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.split()[1:]) for line in lines]


def ray_containers(document: Any) -> list[Any]:
    spec = document["spec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    return [c for g in groups for c in g["template"]["spec"]["containers"]]


def uncommented_gpu_group() -> Any:
    lines = (INFRA / "kuberay/raycluster.yaml").read_text().splitlines()
    first = next(k for k, line in enumerate(lines) if line.strip() == "# - groupName: gpu")
    lines[first:] = [line.replace("    # ", "    ", 1) for line in lines[first:]]
    return yaml.safe_load("\n".join(lines))


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_are_yaml_mappings(name: str) -> None:
    assert isinstance(load(name), dict)


@pytest.mark.parametrize("requirement", DEPENDENCIES + DEVELOPMENT, ids=lambda r: r.name)
def test_lock_holds_what_the_project_asks_for(requirement: Requirement) -> None:
    pins = lock()
    name = canonicalize_name(requirement.name)
    assert name in pins
    assert requirement.specifier.contains(pins[name], prereleases=True)


def test_lock_names_no_build_of_torch() -> None:
    assert not any(version.local for version in lock().values())


def deployments() -> dict[str, Any]:
    return {one["name"]: one for one in load("prefect.yaml")["deployments"]}


@pytest.mark.parametrize(
    ("name", "flow_name", "settings"),
    [
        ("nightly", "fuse-archive", FuseArchiveSettings),
        ("score", "score-archive", ScoreArchiveSettings),
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


@pytest.mark.parametrize("name", ["score", "evaluate", "train"])
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
        *("fuse-archive/nightly", "score-archive/score", "evaluate/evaluate"),
        "train-refinefuse/train",
    ]
    assert [name.split("/")[1] for name in named] == [*deployments()]
    assert re.findall(r"--prefect-file (\S+)", text) == ["infra/prefect.yaml"]


def test_image_has_the_python_of_the_project() -> None:
    (base,) = [words for name, words in instructions() if name == "FROM"]
    version = re.fullmatch(r"python:(\d+\.\d+\.\d+)-slim-\w+", base[0])
    assert version
    assert PROJECT["requires-python"]
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(version[1])


def test_image_copies_existing_files_that_reach_the_build() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    reaching = [line.removeprefix("!") for line in ignore if line.startswith("!")]
    copied = [source for name, words in instructions() if name == "COPY" for source in words[:-1]]
    assert "*" in ignore
    assert sorted(copied) == sorted(reaching)
    assert all((ROOT / source).exists() for source in copied)


def test_image_holds_every_package_and_file_that_the_build_reads() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    copied = [source for name, words in instructions() if name == "COPY" for source in words[:-1]]
    patterns = project["tool"]["setuptools"]["packages"]["find"]["include"]
    installed = set(find_packages(str(ROOT), include=patterns))
    packages = {name.partition(".")[0] for name in installed}
    assert packages == {"actors", "flows", "fusion_core"}
    found = [path.parent for name in packages for path in (ROOT / name).rglob("__init__.py")]
    assert {".".join(path.relative_to(ROOT).parts) for path in found} == installed
    files = {PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml"}
    assert packages | files <= set(copied)


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


def test_image_installs_with_the_lock_and_ends_without_root() -> None:
    runs = [" ".join(words) for name, words in instructions() if name == "RUN"]
    assert any(
        "pip install" in run and "--constraint infra/requirements.lock" in run for run in runs
    )
    users = [words for name, words in instructions() if name == "USER"]
    assert users[-1] == ["1000:1000"]
    assert "--uid 1000 " in runs[0] + " "
    assert instructions()[-1] == ("ENTRYPOINT", ['["fuse-archive"]'])
    assert "fuse-archive" in PROJECT["scripts"]


def test_comments_name_the_image_of_this_version() -> None:
    for name in ["Containerfile", "compose.yaml", "kuberay/raycluster.yaml"]:
        tags = re.findall(r"fuse-archive:[0-9][\w.-]*", (INFRA / name).read_text())
        assert tags
        assert {tag.removesuffix("-cuda").rstrip(".") for tag in tags} == {IMAGE}


def test_compose_is_closed_to_the_network_and_holds_no_credentials() -> None:
    services = load("compose.yaml")["services"]
    assert set(services) == {"server", "worker", "deploy"}
    assert services["server"]["ports"] == ["127.0.0.1:4200:4200"]
    assert not any("ports" in services[name] for name in ("worker", "deploy"))
    for service in services.values():
        environment = service["environment"]
        assert service["image"] == IMAGE
        assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
        assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
        assert all(value is None for name, value in environment.items() if name.startswith("AWS_"))


def test_compose_refers_to_what_exists() -> None:
    document = load("compose.yaml")
    services = document["services"]
    build = services["server"]["build"]
    assert (INFRA / build["context"] / build["dockerfile"]).is_file()
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in document["volumes"] or (INFRA / source).is_file()
        assert set(service.get("depends_on", {})) <= set(services)


def test_compose_deploys_to_the_pool_that_its_worker_serves() -> None:
    services = load("compose.yaml")["services"]
    pool = deployments()["nightly"]["work_pool"]["name"]
    worker = services["worker"]["entrypoint"]
    assert worker[worker.index("--pool") + 1] == pool
    (script,) = services["deploy"]["command"]
    assert re.findall(r"work-pool (?:inspect|create) (\S+)", script) == [pool, pool]
    assert subprocess.run(["sh", "-n", "-c", script], check=False).returncode == 0


def test_kuberay_runs_the_locked_ray() -> None:
    document = load("kuberay/raycluster.yaml")
    assert (document["apiVersion"], document["kind"]) == ("ray.io/v1", "RayCluster")
    assert Version(document["spec"]["rayVersion"]) == lock()["ray"]
    assert {container["image"] for container in ray_containers(document)} == {IMAGE}


@pytest.mark.parametrize("gpu", [False, True], ids=["cpu", "gpu"])
def test_kuberay_containers_are_bounded_and_authenticated(gpu: bool) -> None:
    document = uncommented_gpu_group() if gpu else load("kuberay/raycluster.yaml")
    assert len(document["spec"]["workerGroupSpecs"]) == 1 + gpu
    for container in ray_containers(document):
        environment = {entry["name"]: entry for entry in container["env"]}
        assert environment["RAY_AUTH_MODE"]["value"] == "token"
        assert "secretKeyRef" in environment["RAY_AUTH_TOKEN"]["valueFrom"]
        assert container["resources"]["limits"] == container["resources"]["requests"]
        volumes = {mount["name"] for mount in container.get("volumeMounts", [])}
        assert volumes <= {"ray-folder"}


def test_kuberay_probes_ask_ports_that_are_fixed() -> None:
    spec = uncommented_gpu_group()["spec"]
    head = spec["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert head["readinessProbe"]["tcpSocket"]["port"] == 6379
    for group in spec["workerGroupSpecs"]:
        (container,) = group["template"]["spec"]["containers"]
        port = int(group["rayStartParams"]["node-manager-port"])
        assert container["readinessProbe"]["tcpSocket"]["port"] == port
        assert container["livenessProbe"]["tcpSocket"]["port"] == port


def test_readme_names_every_file() -> None:
    text = (INFRA / "README.md").read_text()
    tracked = subprocess.run(
        ["git", "ls-files", "."], cwd=INFRA, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("no git checkout")
    missing = [name for name in tracked.stdout.split() if f"`{name}`" not in text]
    assert missing == ["README.md"]
