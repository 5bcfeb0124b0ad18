"""Whether Ray's inside is still what is used of it; who really listens is seen in tests/infra."""

from pathlib import Path

import pytest
from ray._private import ray_constants, services, worker

from actors.ray_internals import node_on_loopback

ROOT = Path(__file__).resolve().parents[2]


def test_a_node_takes_the_loopback_address_only_while_it_is_told_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "_global_node", None)
    monkeypatch.setattr(services, "node_ip_address_from_perspective", lambda address: "outside")
    assert services.get_node_ip_address() == "outside"
    with node_on_loopback():
        assert services.get_node_ip_address() == "127.0.0.1"
    assert services.get_node_ip_address() == "outside"


def start_that_fails() -> None:
    with node_on_loopback():
        assert ray_constants.ENABLE_RAY_CLUSTER is False
        raise OSError("no start")


def test_it_is_put_back_when_a_start_fails() -> None:
    assert ray_constants.ENABLE_RAY_CLUSTER is True
    with pytest.raises(OSError, match="no start"):
        start_that_fails()
    assert ray_constants.ENABLE_RAY_CLUSTER is True


def test_no_other_module_knows_rays_inside() -> None:
    rooms = ("fusion_core", "actors", "flows")
    users = [p for room in rooms for p in (ROOT / room).rglob("*.py") if "ray._" in p.read_text()]
    assert [path.name for path in users] == ["ray_internals.py"]
