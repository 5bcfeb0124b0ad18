"""Whether Ray's inside is still what is used of it; who really listens is seen in tests/infra."""

from pathlib import Path

import pytest
from ray._private import ray_constants, services, worker

from actors.ray_internals import lean_node, memory_threshold

ROOT = Path(__file__).resolve().parents[2]


def test_a_node_takes_the_loopback_address_only_while_it_is_told_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "_global_node", None)
    monkeypatch.setattr(services, "node_ip_address_from_perspective", lambda address: "outside")
    assert services.get_node_ip_address() == "outside"
    with lean_node():
        assert services.get_node_ip_address() == "127.0.0.1"
    assert services.get_node_ip_address() == "outside"


def start_that_fails() -> None:
    with lean_node():
        assert ray_constants.ENABLE_RAY_CLUSTER is False
        raise OSError("no start")


def test_it_is_put_back_when_a_start_fails() -> None:
    assert ray_constants.ENABLE_RAY_CLUSTER is True
    with pytest.raises(OSError, match="no start"):
        start_that_fails()
    assert ray_constants.ENABLE_RAY_CLUSTER is True


@pytest.mark.parametrize(
    ("cluster", "node", "expected"),
    [
        ({}, {}, 0.95),
        ({}, {"RAY_memory_usage_threshold": "0.8"}, 0.8),
        ({"memory_usage_threshold": 0.7}, {"RAY_memory_usage_threshold": "0.8"}, 0.7),
        ({}, {"RAY_memory_monitor_refresh_ms": "0", "RAY_memory_usage_threshold": "0.8"}, 1.0),
        ({}, {"RAY_min_memory_free_bytes": "100", "RAY_memory_usage_threshold": "0.8"}, 0.9),
        ({"min_memory_free_bytes": 500}, {"RAY_memory_usage_threshold": "0.8"}, 0.8),
    ],
)
def test_the_threshold_is_the_clusters_or_the_nodes(
    monkeypatch: pytest.MonkeyPatch,
    cluster: dict[str, float],
    node: dict[str, str],
    expected: float,
) -> None:
    monkeypatch.setattr("actors.ray_internals.state.get_system_config", lambda: cluster)
    monkeypatch.setattr("actors.ray_internals.get_system_memory", lambda: 1000)
    for name in ("memory_usage_threshold", "memory_monitor_refresh_ms", "min_memory_free_bytes"):
        monkeypatch.delenv(f"RAY_{name}", raising=False)
    for name, value in node.items():
        monkeypatch.setenv(name, value)
    assert memory_threshold() == pytest.approx(expected)


def test_no_other_module_knows_rays_inside() -> None:
    rooms = ("fusion_core", "actors", "flows")
    users = [p for room in rooms for p in (ROOT / room).rglob("*.py") if "ray._" in p.read_text()]
    assert [path.name for path in users] == ["ray_internals.py"]
