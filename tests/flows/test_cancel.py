"""What is left of a run that is told to stop: no process, no lease, no half-written row."""

import collections
import hashlib
import itertools
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import ray
from listening import LOOPBACK, listeners
from outputs import local_rows
from prefect_processes import ROOT, PrefectServer, prefect_server, stop
from processes import alive, command, wait_for
from tiny import settings_for, tiny_weights, write_pairs

from flows.fuse_archive import fuse_archive
from flows.summaries.run import RunSummary
from fusion_core.archive.lease_record import newest_generation, read_record
from fusion_core.errors import RunDeadlineError
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]
PAIRS = 960
GONE_SECONDS = 10.0
WORKER_PATIENCE = 5.0
LEASE_SECONDS = 10.0
DEADLINE = 30.0  # the actor takes five to twenty of these seconds to start


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with prefect_server(tmp_path_factory.mktemp("prefect"), {}) as running:
        yield running


@pytest.fixture
def long_run(tmp_path: Path) -> FuseArchiveSettings:
    """Settings of a run that is at work for longer than it takes to stop it."""
    names = [f"p{k:03}" for k in range(PAIRS)]
    write_pairs(tmp_path / "in", names[:1], size=(480, 640))
    for name, side in itertools.product(names[1:], ("ir", "vi")):
        os.link(tmp_path / f"in/{side}/{names[0]}.png", tmp_path / f"in/{side}/{name}.png")
    weights = tiny_weights(tmp_path)
    return settings_for(
        tmp_path / "in",
        tmp_path / "out",
        weights,
        chunk_pairs=2,
        contact_sheet=0,
        lease_seconds=LEASE_SECONDS,
    )


def processes_of(flow_run: str) -> dict[int, str]:
    """Every process that a flow run started, however far it got from it."""
    return processes_with(f"PREFECT__FLOW_RUN_ID={flow_run}")


def processes_with(variable: str) -> dict[int, str]:
    """Return the command of each living process that was given a variable of the environment."""
    found = {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            given = folder.name.isdigit() and (folder / "environ").read_bytes()
            if given and variable.encode() in given.split(b"\0"):
                found[int(folder.name)] = command(int(folder.name))
    return {pid: what for pid, what in found.items() if alive(pid)}


def start_run(server: PrefectServer, settings: FuseArchiveSettings) -> str:
    """Start the deployment and return its flow run once rows of its own can be read."""
    [deployment] = [
        one for one in server.ask("/deployments/filter", {}) if one["name"] == "nightly"
    ]
    run = server.ask(f"/deployments/{deployment['id']}/create_flow_run", {})

    def some() -> bool:
        rows = local_rows(settings)
        return len(rows) > 0 and bool(rows["run_id"].str.endswith(run["id"][:8]).any())

    wait_for(some, 120, "no part was published")
    working = processes_of(run["id"])
    for kind in ("ray::FusionActor", "raylet", "gcs_server"):
        assert any(kind in what for what in working.values()), f"{kind} is not in {working}"
    return str(run["id"])


def wait_for_state(server: PrefectServer, flow_run: str, state: str) -> None:
    def reached() -> bool:
        return bool(server.ask(f"/flow_runs/{flow_run}")["state_type"] == state)

    wait_for(reached, 60, f"the run was not {state}")


def expect_gone(flow_run: str, since: float) -> None:
    while left := processes_of(flow_run):
        assert time.monotonic() - since < GONE_SECONDS, f"still there: {left}"
        time.sleep(0.2)


def expect_lease_given_back(settings: FuseArchiveSettings) -> None:
    output = Storage(settings.output)
    record = read_record(output, newest_generation(output))
    assert record is not None
    assert record.released, record


def audit(settings: FuseArchiveSettings, expected: int | None = None) -> int:
    """Check that no pair has two rows, and that every row's image is there; return how many."""
    rows = local_rows(settings)
    assert set(rows["status"]) == {"ok"}
    assert max(collections.Counter(rows["pair_id"]).values()) == 1
    for row in rows.itertuples():
        assert hashlib.sha256(Path(row.fused_url).read_bytes()).hexdigest() == row.fused_sha256
    assert expected is None or len(rows) == expected
    return len(rows)


def finish(settings: FuseArchiveSettings, pairs: int = 8) -> None:
    """Go on with some more pairs, in this process; neither one is missed nor done twice."""
    published = audit(settings)
    assert 0 < published < PAIRS
    more = fuse_archive(settings.model_copy(update={"limit": pairs, "overlap": "skip"}))
    assert isinstance(more, RunSummary)
    # What was committed in the last moment, and not heard of, was published by this one.
    assert published <= more.done_before < PAIRS
    assert more.fused == min(pairs, PAIRS - more.done_before)
    audit(settings, more.done_before + more.fused)


@pytest.mark.long
@pytest.mark.usefixtures("prefect_api", "ray_nodes")
def test_a_run_that_is_cancelled_or_loses_its_worker_leaves_nothing_and_the_next_goes_on(
    server: PrefectServer, long_run: FuseArchiveSettings
) -> None:
    server.deploy(long_run.model_dump(mode="json", exclude_none=True))
    worker = server.start_worker()
    try:
        flow_run = start_run(server, long_run)
        # It sets the state that the button of Prefect's interface sets.
        server.cli("flow-run", "cancel", flow_run)
        wait_for_state(server, flow_run, "CANCELLED")
        expect_gone(flow_run, time.monotonic())
        expect_lease_given_back(long_run)
        flow_run = start_run(server, long_run)
        # Prefect's worker either kills its runs now or waits for them. Who manages services kills
        # a worker that waits, and that alone; its run must end by itself.
        stop(worker, patience=WORKER_PATIENCE)
        expect_gone(flow_run, time.monotonic())
    finally:
        stop(worker)
    finish(long_run)


@pytest.mark.long  # because the server is that of the test above
def test_the_server_that_is_started_as_the_readme_says_listens_on_loopback_only(
    server: PrefectServer,
) -> None:
    assert "prefect server start --host 127.0.0.1 --background" in (ROOT / "README.md").read_text()
    port = int(server.environment["PREFECT_API_URL"].split(":")[2].partition("/")[0])
    found = listeners(processes_with(f"PREFECT_HOME={server.environment['PREFECT_HOME']}"))
    assert port in {who.port for who in found}
    assert {who.address for who in found} <= LOOPBACK


@pytest.mark.usefixtures("prefect_api", "ray_nodes")
@pytest.mark.long
def test_a_run_stops_at_its_deadline_with_what_it_has_committed(
    long_run: FuseArchiveSettings,
) -> None:
    def free() -> bool:
        return ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"]

    wait_for(free, 30, "the cluster is not free")
    began = time.monotonic()
    passed = rf"The run_deadline of {DEADLINE:g} s passed with \d+ of {PAIRS} pairs not begun"
    undone = rf"^{PAIRS} pairs found: .* {passed}"
    with pytest.raises(RunDeadlineError, match=undone):
        fuse_archive(long_run.model_copy(update={"run_deadline": DEADLINE, "max_workers": 1}))
    assert DEADLINE <= time.monotonic() - began < DEADLINE + GONE_SECONDS
    wait_for(free, GONE_SECONDS, "the actors were not ended")
    expect_lease_given_back(long_run)
    finish(long_run)
