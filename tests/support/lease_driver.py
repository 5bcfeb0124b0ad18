"""A process that holds an output's lease, and does with it what its second argument says.

python lease_driver.py OUTPUT {wait,hold-lock,fork} SECONDS {process,thread}
"""

import ctypes
import os
import sys
import time

from fusion_core.archive import heart
from fusion_core.archive.lease import acquire
from fusion_core.errors import LeaseLostError
from fusion_core.storage.store import Storage

HELD_LEASES = 5
"""Lease lengths for which the interpreter's lock is held."""


def tell(word: object) -> None:
    print(word, flush=True)


def refuse(*_: object) -> None:
    raise OSError("no process in this test")


def main(output: str, what: str, seconds: float, beats_by: str) -> None:
    if beats_by == "thread":
        heart.HeartbeatProcess = refuse  # type: ignore[assignment, misc]
    lease = acquire(lambda: Storage(output), "driver", seconds=seconds, wait=True)
    if what == "fork" and os.fork() == 0:
        time.sleep(60)  # with a copy of every open pipe
        os._exit(0)
    process = lease._heart._process
    try:
        tell(process.pid if process else 0)
        if what == "hold-lock":
            # Of PyDLL, unlike of CDLL, a call keeps the interpreter's lock.
            ctypes.PyDLL(None).usleep(int(HELD_LEASES * seconds * 1e6))
        else:
            while True:
                time.sleep(0.05)
                lease.check()
    except LeaseLostError as error:
        tell(f"lost: {error}")
    except KeyboardInterrupt:
        tell("interrupted")
    lease.release()
    tell("ended")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4])
