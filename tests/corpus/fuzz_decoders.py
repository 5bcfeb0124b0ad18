"""Decodes mutants for as long as it is told, and keeps those that do what no file may.

    python tests/corpus/fuzz_decoders.py --minutes 10 --seed 1

Mutants are decoded in a process that is started again when one of them ends it. What is found is
written below --keep, to be made a case of findings.py.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mutations import examine, mutant
from peak_memory import forget_peak, peak_bytes
from record import write

from fusion_core.storage.store import Storage

SLOW_SECONDS = 3.0
HANG_SECONDS = 30.0
NOT_YET = -1
GROWTH_MIB = 300
_PROGRESS_SECONDS = 30.0


def numbered(seed: int, number: int) -> bytes:
    """Return one mutant; equal numbers give equal ones."""
    return mutant(random.Random(f"{seed}-{number}"))


def work(seed: int, number: Any, results: Any, first: int, store: str) -> None:
    """Examine mutants for ever, from one on, telling which one is being looked at."""
    warnings.simplefilter("ignore")
    k, place = first, Storage(store)
    while True:
        number.value = k
        body = numbered(seed, k)
        forget_peak()  # else a large mutant would hide those after it
        before = peak_bytes()
        begin = time.perf_counter()
        try:
            examine(body, place)
        except Exception as error:
            results.send((k, "raised", f"{type(error).__name__}: {error}"))
        spent = time.perf_counter() - begin
        growth = (peak_bytes() - before) >> 20
        if spent > SLOW_SECONDS:
            results.send((k, "slow", f"{spent:.1f} s"))
        if growth > GROWTH_MIB:
            results.send((k, "memory", f"{growth} MiB more at its peak"))
        k += 1


def fuzz(
    seed: int,
    minutes: float,
    keep: Path,
    store: str,
    target: Callable[..., None] = work,
    patience: float = HANG_SECONDS,
    most: float = math.inf,
) -> dict[str, Any]:
    """Fuzz for some minutes and return what was found.

    Args:
        seed: Names the mutants.
        minutes: How long.
        keep: Where mutants are kept that did what no file may.
        store: URL of where they are put to be looked into as scenes.
        target: What examines them, in a process of its own.
        patience: Seconds after which a mutant counts as one that never ends.
        most: Stop at this number of mutants, if it is reached before.
    """
    context = multiprocessing.get_context("spawn")
    number = context.Value("l", 0)
    end = time.monotonic() + 60 * minutes
    found: Counter[str] = Counter()
    told = time.monotonic()
    first = 0
    while time.monotonic() < end and first < most:
        receiver, sender = context.Pipe(duplex=False)
        worker = context.Process(
            target=target, args=(seed, number, sender, first, store), daemon=True
        )
        number.value = NOT_YET  # a process that is still loading keeps nobody waiting
        worker.start()
        sender.close()
        at, since = NOT_YET, time.monotonic()
        ended = ""
        while time.monotonic() < end and number.value < most and not ended:
            if receiver.poll(0.2):
                try:
                    _keep(keep, seed, *receiver.recv(), found)
                except EOFError:
                    worker.join()
                    ended = f"ended its process ({worker.exitcode})"
            now = time.monotonic()
            if number.value != at:
                at, since = number.value, now
            elif at != NOT_YET and now - since > patience:
                ended = f"kept its process for more than {patience:g} s"
            if now - told > _PROGRESS_SECONDS:
                told = now
                print(f"{number.value} mutants, {dict(found)}", file=sys.stderr, flush=True)
        if ended:
            _keep(keep, seed, max(first, number.value), "ended", ended, found)
        first = max(first, number.value + 1)
        worker.kill()
        worker.join()
    return {
        "seed": seed,
        "store": store,
        "minutes": minutes,
        "mutants": first,
        "findings": dict(found),
    }


def _keep(keep: Path, seed: int, k: int, kind: str, reason: str, found: Counter[str]) -> None:
    found[kind] += 1
    print(f"mutant {k} {kind}: {reason[:300]}", file=sys.stderr, flush=True)
    keep.mkdir(parents=True, exist_ok=True)
    (keep / f"{seed}-{k}-{kind}.bin").write_bytes(numbered(seed, k))


def main() -> None:
    """Read the options and fuzz."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "fuse-findings")
    parser.add_argument("--store", default="memory://fuzz", help="URL of a scratch folder")
    parser.add_argument("--record", action="store_true", help="write the record fuzzing.json")
    given = parser.parse_args()
    found = fuzz(given.seed, given.minutes, given.keep, given.store)
    print(json.dumps(found))
    if given.record:
        command = f"make fuzz SEED={given.seed} MINUTES={given.minutes:g}"
        print(write("fuzzing", command, found))


if __name__ == "__main__":
    main()
