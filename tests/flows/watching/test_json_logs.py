import json
import subprocess
import sys
from typing import Any

PROGRAM = """
import logging, sys, warnings
from flows.watching.json_logs import logs_as, name_run
logging.getLogger().addHandler(logging.StreamHandler())
own = logging.getLogger("own")
own.addHandler(logging.StreamHandler(sys.stderr))
own.propagate = False
log = logging.getLogger("fusion_core.jobs")
log.warning("before")
with logs_as("json"):
    log.warning("no run yet")
    with logs_as("json"):
        name_run("r1")
        log.warning("line\\nbreak", extra={"chunk": "c1", "pair_id": "p1", "host": None, "x": 1})
    own.error("own")
    warnings.warn("python's", stacklevel=1)
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("failed")
log.warning("after")
own.warning("own after")
"""


def written(program: str) -> list[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()


def test_a_line_is_an_object_with_run_chunk_and_pair() -> None:
    lines = written(PROGRAM)
    assert (lines[0], lines[-2:]) == ("before", ["after", "own after"])
    told: list[dict[str, Any]] = [json.loads(line) for line in lines[1:-2]]
    early, line, own, warning, failed = told
    assert (early["message"], "run_id" in early) == ("no run yet", False)
    assert line == {
        "time": line["time"],
        "level": "WARNING",
        "logger": "fusion_core.jobs",
        "message": "line\nbreak",
        "run_id": "r1",
        "chunk": "c1",
        "pair_id": "p1",
    }
    assert line["time"].endswith("+00:00")
    assert (own["logger"], own["level"]) == ("own", "ERROR")
    assert warning["logger"] == "py.warnings"
    assert "UserWarning: python's" in warning["message"]
    assert "ZeroDivisionError" in failed["traceback"]
