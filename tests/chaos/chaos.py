"""Kills actors, nodes, drivers and the store at random moments, and audits what is left.

    python tests/chaos/chaos.py --seed 7 --kills 100

Each round fuses the same archive into an output of its own, until a run ends well. Exits with 1
where an audit finds a violation; then the data stays, and its folder is printed.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import record
from auditor import STALE_SECONDS, Audit, Auditor
from driver import Driver, run_arguments
from persistent_s3 import PersistentS3, persistent_s3
from prefect_processes import prefect_server
from ray_nodes import RayNodes, ray_nodes
from rounds import KINDS, LONGEST_OUTAGE, Deck, Round, RoundResult
from tiny import tiny_weights, write_pairs

from fusion_core.settings.fuse import FuseArchiveSettings

BUCKET = "chaos"
SOURCE = "in"
NODES = 2
SIZE = (120, 160)


class Chaos:
    """The suite: servers that are up, rounds that are done, and what was found so far.

    Args:
        arguments: Of the command line.
        folder: Holds the servers' data, temporary files and logs.
    """

    def __init__(self, arguments: argparse.Namespace, folder: Path):
        self.arguments = arguments
        self.folder = folder
        self.rng = random.Random(arguments.seed)
        self.began = time.monotonic()
        self.rounds: list[RoundResult] = []
        self.audits: list[Audit] = []
        self.violations: list[str] = []

    @property
    def kills(self) -> list[dict[str, Any]]:
        """All kills so far."""
        return [one for each in self.rounds for one in each.kills]

    def tell(self, text: str) -> None:
        """Show a line of progress."""
        print(f"{time.monotonic() - self.began:7.1f} s  {text}", flush=True)

    def run(self) -> None:
        """Start the servers, run rounds until there are enough kills, audit each."""
        with ExitStack() as stack:
            store = stack.enter_context(persistent_s3(self.folder / "s3"))
            self._set_environment(store)
            store.server.make_bucket(BUCKET)
            names = [f"p{number:04}" for number in range(self.arguments.pairs)]
            write_pairs(f"s3://{BUCKET}/{SOURCE}", names, SIZE)
            tiny_weights(f"s3://{BUCKET}/models")
            nodes = stack.enter_context(ray_nodes(NODES))
            prefect = stack.enter_context(prefect_server(self.folder / "prefect", {}))
            self.tell(f"{len(names)} pairs, Ray at {nodes.address}, S3 at {store.server.url}")
            client = boto3.client("s3")
            auditor = Auditor(client, BUCKET, self.arguments.stale)
            deck = Deck(self.rng)
            while len(self.kills) < self.arguments.kills:
                self._round(store, nodes, prefect.environment, deck, auditor)
            self._look_for_leftovers(auditor)

    def _round(
        self,
        store: PersistentS3,
        nodes: RayNodes,
        environment: dict[str, str],
        deck: Deck,
        auditor: Auditor,
    ) -> None:
        number = len(self.rounds) + 1
        output = f"run{number}"
        arguments = run_arguments(
            source=f"s3://{BUCKET}/{SOURCE}",
            output=f"s3://{BUCKET}/{output}",
            model=f"s3://{BUCKET}/models/tiny.safetensors",
            ray_address=nodes.address,
            chunk_pairs=self.arguments.chunk_pairs,
            fields=list(FuseArchiveSettings.model_fields),
        )

        def start(run: int) -> Driver:
            return Driver(arguments, environment, self.folder / f"driver-{number}-{run}.log")

        before = len(self.kills)
        wanted = min(self.arguments.kills - before, self.rng.randint(*self.arguments.per_round))
        round_ = Round(
            number,
            start,
            lambda: len(store.keys(BUCKET, f"{output}/manifest/")),
            nodes,
            store,
            deck,
            self.rng,
            lambda text: self.tell(f"round {number}: {text}"),
        )
        result = round_.run(wanted)
        self.rounds.append(result)
        audit = auditor.audit(SOURCE, output)
        self.audits.append(audit)
        self.violations += result.violations
        self.violations += [f"round {number}: {found}" for found in audit.violations]
        self.tell(
            f"round {number}: complete after {result.driver_runs} runs, {audit.ok_rows} ok and "
            f"{audit.failed_rows} failed rows, {len(audit.violations)} violations; "
            f"{len(self.kills)} of {self.arguments.kills} kills"
        )

    def _look_for_leftovers(self, auditor: Auditor) -> None:
        """Look again at all outputs, once what may still be young in the last one is old."""
        time.sleep(max(0.0, self.arguments.stale))
        found = auditor.local_leftovers(self.folder / "tmp")
        for number in range(1, len(self.rounds) + 1):
            found += auditor.leftovers(f"run{number}")
        self.violations += [one for one in found if not any(one in v for v in self.violations)]

    def _set_environment(self, store: PersistentS3) -> None:
        """Set this process's environment, which all that it starts has from it."""
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        temporary, ray = self.folder / "tmp", self.folder / "r"
        temporary.mkdir()
        ray.mkdir()
        os.environ |= store.server.env()
        os.environ |= {"TMPDIR": str(temporary), "RAY_USAGE_STATS_ENABLED": "0"}
        os.environ["RAY_TMPDIR"] = str(ray)  # short: a socket's path may have 107 bytes

    def results(self) -> dict[str, Any]:
        """Return what the record holds."""
        by_kind = collections.Counter(one["kind"] for one in self.kills)
        return {
            "seed": self.arguments.seed,
            "settings": {
                "nodes": NODES + 1,  # with the head, which stays
                "chunk_pairs": self.arguments.chunk_pairs,
                "image_height_width": SIZE,
                "longest_s3_outage_seconds": LONGEST_OUTAGE,
                "kills_per_round": self.arguments.per_round,
                "stale_seconds": self.arguments.stale,
            },
            "pairs": self.arguments.pairs,
            "kills": {kind: by_kind[kind] for kind in KINDS},
            "rounds": len(self.rounds),
            "driver_runs": sum(each.driver_runs for each in self.rounds),
            "ok_rows": sum(audit.ok_rows for audit in self.audits),
            "failed_rows": sum(audit.failed_rows for audit in self.audits),
            "orphan_images": sum(audit.orphan_images for audit in self.audits),
            "violations": self.violations,
            "driver_failures": [one for each in self.rounds for one in each.driver_failures],
            "seconds": round(time.monotonic() - self.began, 1),
            "each_kill": self.kills,
        }


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=7, help="of kinds, victims and moments")
    parser.add_argument("--kills", type=int, default=100, help="in all rounds together")
    parser.add_argument("--pairs", type=int, default=300, help="of the archive")
    parser.add_argument("--chunk-pairs", type=int, default=4, help="per chunk, and so per part")
    parser.add_argument("--per-round", type=int, nargs=2, default=(4, 8), help="kills, from and to")
    parser.add_argument(
        "--stale", type=float, default=STALE_SECONDS, help="age of a leftover in seconds"
    )
    parser.add_argument("--result", type=Path, help="write the results here, and no record")
    return parser.parse_args(words)


def main() -> None:
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    chaos = Chaos(arguments, folder)
    kept = True
    try:
        chaos.run()
        kept = bool(chaos.violations)
    finally:
        if kept:
            print(f"the data is kept in {folder}", flush=True)
    results = chaos.results()
    if arguments.result:
        arguments.result.write_text(json.dumps(results, indent=2))
    else:
        command = f"make chaos SEED={arguments.seed} KILLS={arguments.kills}"
        print(f"wrote {record.write('chaos', command, results)}")
    for one in results["driver_failures"]:
        chaos.tell(f"round {one['round']}: the driver failed after {one['kills_before']}")
    for violation in chaos.violations:
        print(f"VIOLATION {violation}")
    if not kept:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(bool(chaos.violations))


if __name__ == "__main__":
    main()
