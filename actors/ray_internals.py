"""The one module that imports ``ray._private``: for what Ray offers no setting.

Its tests fail where a new Ray has moved what is used here, or does something else with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ray._private import ray_constants


@contextmanager
def node_on_loopback() -> Iterator[None]:
    """Let a cluster that is started meanwhile listen on the loopback interface only.

    Ray does so by itself on macOS and Windows. It binds to that interface where the node's address
    is 127.0.0.1, and to all interfaces otherwise. An address that is given as 127.0.0.1 it replaces
    by another one, unless it holds that this machine can be in no cluster.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
