"""Fixtures that more than one folder of tests needs."""

import gc
import os
import signal
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import hypothesis
import pytest
import ray
from kept_servers import KeptServer, asks
from prefect_database import SHARED
from ray.cluster_utils import Cluster
from s3_servers import S3Server, moto_server, radosgw_server

from fusion_core.metrics.kernels import tile_kernels

# How long an example takes says more of what else the machine does than of the code.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

TESTS = Path(__file__).resolve().parent
# for the programs that tests start, and for Ray's workers
os.environ["PYTHONPATH"] = os.pathsep.join(
    [*filter(None, [os.environ.get("PYTHONPATH")]), str(TESTS / "support"), str(TESTS.parent)]
)

# Nothing is kept from one run of the tests to the next, or in the user's own folder.
CACHE = tempfile.TemporaryDirectory(prefix="fuse-archive-tests-")
os.environ["XDG_CACHE_HOME"] = CACHE.name
# The processes that run tests side by side are started by this one, and find its folder.
os.environ.setdefault(SHARED, CACHE.name)

# Ray runs its workers at niceness 15, where whatever else is busy leaves them next to nothing.
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 (so Ray spells it)

# A shell has what it starts in the background ignore Ctrl-C, and that is inherited.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    """Compile the loops that score if that was never done here: no test's deadline waits for it."""
    kept = TESTS.parent / "fusion_core/metrics/kernels/__pycache__"
    if not hasattr(config, "workerinput") and not any(kept.glob("*.nbi")):
        tile_kernels.compile_all()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first the files that have a long time limit of their own, and then those that start Ray.

    They take longest: at the end, one of two workers would wait for the other. Those that share a
    cluster are neighbours. What talks to the S3 server of the fixture is marked, so that it can be
    run on another one, and that alone.
    """
    for item in items:
        if asks(item, "s3"):
            item.add_marker("store")
    first = {item.path for item in items if item.get_closest_marker("ray")}
    shared = {item.path for item in items if asks(item, RAY.name)}
    limits: dict[Path, float] = {}
    for item in items:
        mark = item.get_closest_marker("timeout")
        limits[item.path] = max(limits.get(item.path, 0), mark.args[0] if mark else 0)
    items.sort(
        key=lambda item: (-limits[item.path], item.path not in shared, item.path not in first)
    )


def pytest_collection_finish() -> None:
    """Spare the garbage collector what was imported: Ray, PyTorch and all tests stay anyway.

    The package collects where memory ran out, which took most of the time of tests of that.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture(scope="session")
def s3(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[S3Server]:
    choice = os.environ.get("FUSE_TEST_S3", "moto")
    if choice == "moto":
        yield request.getfixturevalue("moto")
    elif choice == "radosgw":
        with radosgw_server(tmp_path_factory.mktemp("radosgw")) as server:
            yield server
    else:
        raise pytest.UsageError(f"FUSE_TEST_S3 is {choice!r}: moto or radosgw")


@pytest.fixture
def s3_bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a fresh bucket, with the environment set so that plain s3:// URLs reach it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3.env().items():
        monkeypatch.setenv(name, value)
    bucket = f"fuse-{uuid.uuid4().hex[:16]}"
    s3.make_bucket(bucket)
    # an instance made under other variables keeps their credentials and server
    filesystem = fsspec.get_filesystem_class("s3")
    filesystem.clear_instance_cache()
    yield bucket
    filesystem.clear_instance_cache()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip("no sample pairs: ../shared/data is missing beside the repository")
    return SHARED_DATA


@pytest.fixture
def ray_nodes() -> Cluster:
    """A running Ray cluster of three nodes with one CPU each; this process is its driver."""
    return RAY.get()


@contextmanager
def ray_cluster() -> Iterator[Cluster]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Nobody is shown the workers' logs, which each node would look through ten times a second.
    node = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_log_monitor": False}
    # A node that is gone is noticed after five periods: in 3 s and not in 13. One that is merely
    # slow has ten seconds to answer, as ever.
    head = {"include_dashboard": False, "_system_config": {"health_check_period_ms": 500}}
    cluster = Cluster(initialize_head=True, head_node_args={**node, **head})
    for _ in range(2):
        cluster.add_node(**node)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


RAY = KeptServer("ray_nodes", ray_cluster)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the cluster once no test of the next file asks for it."""
    RAY.end_before(nextitem, item.session.items)
