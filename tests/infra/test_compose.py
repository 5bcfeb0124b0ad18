"""The compose file, by the specification's schema, and what it lets in and out."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from infra_files import IMAGE, INFRA, load

DOCUMENT = load("compose.yaml")
SERVICES: dict[str, Any] = DOCUMENT["services"]
OURS = {name: one for name, one in SERVICES.items() if name != "database"}
PASSWORD = "${DATABASE_PASSWORD:?"


def by_the_specification(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    return subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)


def test_compose_is_as_the_specification_says(tmp_path: Path) -> None:
    done = by_the_specification(INFRA / "compose.yaml")
    assert done.returncode == 0, done.stdout
    misspelt = (INFRA / "compose.yaml").read_text().replace("start_period:", "start_after:")
    (tmp_path / "compose.yaml").write_text(misspelt)
    assert by_the_specification(tmp_path / "compose.yaml").returncode == 1


def test_compose_is_closed_to_the_network_and_holds_no_credentials() -> None:
    assert set(SERVICES) == {"database", "server", "worker", "worker-gpu", "deploy"}
    assert SERVICES["server"]["ports"] == ["127.0.0.1:4200:4200"]
    assert [name for name, one in SERVICES.items() if "ports" in one] == ["server"]
    for service in OURS.values():
        environment = service["environment"]
        assert service["image"].removesuffix("-cuda") == IMAGE
        assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
        assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
        assert all(value is None for name, value in environment.items() if name.startswith("AWS_"))
    secrets = [
        str(value)
        for service in SERVICES.values()
        for name, value in service["environment"].items()
        if "PASSWORD" in name
    ]
    assert len(secrets) == 2
    assert all(secret.startswith(PASSWORD) for secret in secrets)


def test_the_database_is_reached_by_prefects_server_alone() -> None:
    assert DOCUMENT["networks"]["database"] == {"internal": True}
    within = [name for name, one in SERVICES.items() if "database" in one.get("networks", [])]
    assert within == ["database", "server"]
    assert SERVICES["database"]["networks"] == ["database"]
    server, database = (SERVICES[name]["environment"] for name in ("server", "database"))
    assert server["PREFECT_SERVER_DATABASE_DRIVER"] == "postgresql+asyncpg"
    assert server["PREFECT_SERVER_DATABASE_HOST"] == "database"
    for ours, theirs in (("USER", "USER"), ("NAME", "DB"), ("PASSWORD", "PASSWORD")):
        assert server[f"PREFECT_SERVER_DATABASE_{ours}"] == database[f"POSTGRES_{theirs}"]
    assert re.fullmatch(r"postgres:\d+\.\d+-\w+@sha256:[0-9a-f]{64}", SERVICES["database"]["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_confined_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"cpus", "memory", "pids"} == set(service["deploy"]["resources"]["limits"])


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "deploy"])
def test_services_say_whether_they_are_well(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert {"test", "interval", "timeout", "retries", "start_period"} == set(check)
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert how == {"condition": "service_healthy"}
        assert "healthcheck" in SERVICES[other]


def test_health_is_asked_of_ports_that_are_served() -> None:
    for name in ("worker", "worker-gpu"):
        assert "--with-healthcheck" in SERVICES[name]["entrypoint"]
        assert ":8080/health" in SERVICES[name]["healthcheck"]["test"][-1]
    server = SERVICES["server"]["entrypoint"]
    port = server[server.index("--port") + 1]
    assert f":{port}/api/ready" in SERVICES["server"]["healthcheck"]["test"][-1]


def test_a_gpu_is_asked_for_in_a_profile_of_its_own() -> None:
    assert [name for name, one in SERVICES.items() if "profiles" in one] == ["worker-gpu"]
    gpu = SERVICES["worker-gpu"]
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert gpu["image"] == f"{IMAGE}-cuda"
    assert gpu["entrypoint"] == SERVICES["worker"]["entrypoint"]


def test_compose_refers_to_what_exists() -> None:
    for service in SERVICES.values():
        if build := service.get("build"):
            recipe = INFRA / build["context"] / build["dockerfile"]
            stated = re.findall(r"ARG (\w+)", recipe.read_text())
            assert set(build.get("args", {})) <= set(stated)
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in DOCUMENT["volumes"] or (INFRA / source).is_file()
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        assert set(service.get("networks", [])) <= set(DOCUMENT["networks"])


def test_compose_deploys_to_the_pool_that_its_worker_serves() -> None:
    pool = load("prefect.yaml")["deployments"][0]["work_pool"]["name"]
    worker = SERVICES["worker"]["entrypoint"]
    assert worker[worker.index("--pool") + 1] == pool
    (script,) = SERVICES["deploy"]["command"]
    assert re.findall(r"work-pool (?:inspect|create) (\S+)", script) == [pool, pool]
    assert subprocess.run(["sh", "-n", "-c", script], check=False).returncode == 0
