"""What is used of Ray's inside, for which it offers no setting; nothing else imports ray._private.

Its tests fail where Ray moves what is used here, or makes something else of it.
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
