import json
import logging
import subprocess
import sys
import threading

import pytest

from fusion_core.jobs.warned import MOST_PER_CHUNK, WarningCollector, about

PROGRAM = """
import json, logging, warnings
from dataclasses import asdict
from fusion_core.jobs.warned import WarningCollector, about
collector = WarningCollector()
collector.install()
log = logging.getLogger("fusion_core.jobs")
log.warning("starting")
collector.chunk = "c1"
with about("p1"):
    log.warning("found %s", "a collar")
    log.info("nobody needs this")
    warnings.warn("python's", stacklevel=1)
log.warning("pair %s", "p2", extra={"pair_id": "p2"})
try:
    1 / 0
except ZeroDivisionError:
    log.exception("a bug")
print(json.dumps([asdict(one) for one in collector.take()[0]]))
print(collector.take())
"""


def test_a_process_keeps_what_it_warns_of_and_still_prints_it() -> None:

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    kept, after = done.stdout.splitlines()
    told = [(one["message"], one["chunk"], one["pair_id"]) for one in json.loads(kept)]
    starting, found, pythons, second, bug = told
    assert starting == ("starting", None, None)
    assert found == ("found a collar", "c1", "p1")
    assert pythons[1:] == ("c1", "p1")
    assert "UserWarning: python's" in pythons[0]
    assert second == ("pair p2", "c1", "p2")
    assert bug == ("a bug", "c1", None)
    assert "ZeroDivisionError" in json.loads(kept)[-1]["traceback"]
    assert after == "((), 0)"
    for text in ("starting", "found a collar", "UserWarning: python's", "a bug"):
        assert done.stderr.count(text) == 1


def test_only_the_first_are_kept_and_the_others_counted() -> None:

    collector = WarningCollector()
    for k in range(MOST_PER_CHUNK + 3):
        collector.handle(logging.LogRecord("x", 30, "f", 1, f"{k}", (), None))
    kept, more = collector.take()
    assert ([one.message for one in kept], more) == ([str(k) for k in range(MOST_PER_CHUNK)], 3)


@pytest.mark.parametrize("inner", ["p2", None])
def test_what_a_thread_warns_of_is_about_its_own_pair(inner: str | None) -> None:

    collector = WarningCollector()

    def warn() -> None:
        collector.handle(logging.LogRecord("x", 30, "f", 1, "text", (), None))

    with about("p1"):
        with about(inner):
            warn()
        warn()
        other = threading.Thread(target=warn)
        other.start()
        other.join()
    warn()
    assert [one.pair_id for one in collector.take()[0]] == [inner, "p1", None, None]
