"""Has workers, nodes, drivers, GPUs, memory and the store fail, and audits what is left.

    python tests/chaos/chaos.py --seed 7 --kills 1000

Each round fuses the same archive into an output of its own, until a run ends well and leaves
nothing undone. Exits with 1 where an audit finds a violation; then the data stays, and its folder
is printed. The record is written after every round, and also where this is ended by SIGTERM.
"""

from __future__ import annotations

import argparse
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

import boto3
from auditor import STALE_SECONDS, Audit, Auditor
from chaos_findings import Findings, memory_kills
from driver import Driver, clean_arguments, run_arguments
from fault_orders import FaultOrders
from faulty_proxy import FaultyProxy, faulty_proxy
from kinds import Deck
from manifest_reader import ManifestReader
from own_check import own_findings
from persistent_s3 import PersistentS3, persistent_s3
from prefect_processes import prefect_server
from ray_nodes import RayNodes, ray_nodes
from rounds import Round
from strikes import Strikes
from tiny import tiny_weights, write_pairs

BUCKET = "chaos"
SOURCE = "in"
NODES = 3
SIZE = (48, 64)
FAULT_RATE = 0.2
PAIR_DEADLINE = 5.0
_BROKEN_ROUNDS = 3


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
        self.found = Findings(vars(arguments))
        self.config = folder / "aws-config"
        self.broken_rounds = 0

    def run(self) -> None:
        """Start the servers, run rounds until there are enough faults, audit each."""
        with ExitStack() as stack:
            store = stack.enter_context(persistent_s3(self.folder / "s3"))
            self._set_environment(store)
            store.server.make_bucket(BUCKET)
            names = [f"p{number:04}" for number in range(self.arguments.pairs)]
            write_pairs(f"s3://{BUCKET}/{SOURCE}", names, SIZE)
            tiny_weights(f"s3://{BUCKET}/models")
            orders = FaultOrders(self.folder / "faults")
            nodes = stack.enter_context(ray_nodes(NODES, orders.environment))
            prefect = stack.enter_context(prefect_server(self.folder / "prefect", {}))
            proxy = stack.enter_context(
                faulty_proxy(store.server, "mixed", FAULT_RATE, self.arguments.seed)
            )
            self.found.tell(f"{len(names)} pairs, Ray at {nodes.address}, S3 at {store.server.url}")
            client = boto3.client("s3", endpoint_url=store.server.url)
            auditor = Auditor(client, BUCKET, self.arguments.stale)
            strikes = Strikes(nodes, store, orders, self.rng)
            deck = Deck(self.rng, self.arguments.kills)
            while len(self.found.faults) < self.arguments.kills:
                self._try_round(strikes, prefect.environment, deck, auditor, proxy)
                if not self.arguments.result:
                    self.found.write()
            self._look_for_leftovers(auditor)
        self.found.complete = True

    def _try_round(
        self,
        strikes: Strikes,
        environment: dict[str, str],
        deck: Deck,
        auditor: Auditor,
        proxy: FaultyProxy,
    ) -> None:
        """Do a round; where this suite itself fails in it, note that and go on with another."""
        try:
            self._round(strikes, environment, deck, auditor, proxy)
        except Exception as error:
            self.broken_rounds += 1
            self.found.broken.append(f"round {self.found.rounds}: {type(error).__name__}: {error}")
            self.found.tell(self.found.broken[-1])
            if self.broken_rounds > _BROKEN_ROUNDS:
                raise
            strikes.repair(NODES)

    def _round(
        self,
        strikes: Strikes,
        environment: dict[str, str],
        deck: Deck,
        auditor: Auditor,
        proxy: FaultyProxy,
    ) -> None:
        self.found.rounds += 1
        number, kills = self.found.rounds, memory_kills()
        every = self.arguments.faulty_every
        through_proxy = bool(every) and number % every == 0
        self._use(proxy.url if through_proxy else strikes.store.server.url)
        output, told = f"run{number}", " through a store at fault" if through_proxy else ""
        words = {
            "run": self._arguments(output, strikes.nodes, through_proxy=through_proxy),
            "clean": clean_arguments(f"s3://{BUCKET}/{output}"),
        }

        def start(command: str, time: int) -> Driver:
            return Driver(
                words[command],
                environment | strikes.orders.environment("driver"),
                self.folder / f"{command}-{number}-{time}.log",
            )

        round_ = Round(
            number,
            start,
            lambda: len(strikes.store.keys(BUCKET, f"{output}/fused/")),
            lambda: auditor.undone(SOURCE, output),
            pairs=self.arguments.pairs,
            strikes=strikes,
            tell=lambda text: self.found.tell(f"round {number}{told}: {text}"),
        )
        missing = self.arguments.kills - len(self.found.faults)
        hand = deck.deal(self.rng.randint(*self.arguments.per_round)) or ["actor"] * missing
        reader = ManifestReader(strikes.store.server.url, BUCKET, output)
        try:
            with reader:
                round_.run(hand)
            # Whoever was ended for memory has its pairs fused in tiles; all nodes have one kernel.
            self._judge(round_, auditor, strikes.store, orphans=memory_kills() > kills)
        finally:
            deck.put_back(hand)
            self.found.take_in_reader(reader)
            self.found.take_in(round_.result, through_proxy=through_proxy)
        self.found.store_faults = proxy.made()
        self._clear(strikes.store, number - 1, auditor)

    def _judge(
        self, round_: Round, auditor: Auditor, store: PersistentS3, *, orphans: bool
    ) -> None:
        """Audit what a round left, have it cleaned, and audit it once more."""
        number, output = self.found.rounds, f"run{self.found.rounds}"
        self._use(store.server.url)
        audit = self._audit(auditor, store, output, orphans=orphans)
        self.found.take_in_audit(number, audit)
        round_.clean([])
        audit = self._audit(auditor, store, output, orphans=False)
        self.found.take_in_cleaned(number, audit, store.removed(BUCKET, f"{output}/"))

    def _audit(self, auditor: Auditor, store: PersistentS3, output: str, *, orphans: bool) -> Audit:
        removed = store.removed(BUCKET, f"{output}/")
        audit = auditor.audit(SOURCE, output, orphans=orphans, removed=removed)
        audit.violations += own_findings(f"s3://{BUCKET}/{output}", orphans=orphans)
        return audit

    def _arguments(self, output: str, nodes: RayNodes, *, through_proxy: bool) -> list[str]:
        return run_arguments(
            {
                "source": f"s3://{BUCKET}/{SOURCE}",
                "output": f"s3://{BUCKET}/{output}",
                "model": f"s3://{BUCKET}/models/tiny.safetensors",
                "ray-address": nodes.address,
                "chunk-pairs": str(self.arguments.chunk_pairs),
                "max-workers": str(NODES),
                "pair-deadline": str(PAIR_DEADLINE),
                # Longer than an outage. An eighth of it is waited for an answer that never comes.
                "storage-timeout": "16",
                # A run that follows a killed one waits for so long.
                "lease-seconds": "6" if through_proxy else "3",
            }
        )

    def _use(self, url: str) -> None:
        """Have all processes that are started from now on find the store there."""
        staged = self.config.with_suffix(".new")
        staged.write_text(f"[default]\nregion = us-east-1\nendpoint_url = {url}\n")
        staged.rename(self.config)

    def _clear(self, store: PersistentS3, number: int, auditor: Auditor) -> None:
        """Look again at the output of an earlier round, and delete it if all is well there."""
        if number and not self.found.of_round(number):
            self.found.violations += auditor.leftovers(f"run{number}")
            if not self.found.of_round(number):
                store.forget(BUCKET, f"run{number}/")

    def _look_for_leftovers(self, auditor: Auditor) -> None:
        """Look again at all outputs, once what may still be young in the last one is old."""
        time.sleep(max(0.0, self.arguments.stale))
        found = auditor.local_leftovers(self.folder / "tmp")
        for number in range(1, self.found.rounds + 1):
            found += auditor.leftovers(f"run{number}")
        told = self.found.violations
        self.found.violations += [one for one in found if not any(one in v for v in told)]

    def _set_environment(self, store: PersistentS3) -> None:
        """Set this process's environment, which all that it starts has from it."""
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        temporary, ray = self.folder / "tmp", self.folder / "r"
        temporary.mkdir()
        ray.mkdir()
        os.environ |= store.server.env()
        del os.environ["AWS_ENDPOINT_URL"]  # in the file, which a new process reads
        os.environ["AWS_CONFIG_FILE"] = str(self.config)
        self._use(store.server.url)
        os.environ |= {"TMPDIR": str(temporary), "RAY_USAGE_STATS_ENABLED": "0"}
        os.environ["RAY_TMPDIR"] = str(ray)  # short: a socket's path may have 107 bytes


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=7, help="of kinds, victims and moments")
    parser.add_argument("--kills", type=int, default=1000, help="and faults, in all rounds")
    parser.add_argument("--pairs", type=int, default=300, help="of the archive")
    parser.add_argument("--chunk-pairs", type=int, default=4, help="per chunk, and so per part")
    parser.add_argument("--per-round", type=int, nargs=2, default=(55, 75), help="from and to")
    parser.add_argument(
        "--faulty-every", type=int, default=4, help="rounds with a store at fault; 0: none"
    )
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
    found, kept = chaos.found, True
    try:
        chaos.run()
        kept = bool(found.violations)
    finally:
        if kept:
            print(f"the data is kept in {folder}", flush=True)
        if arguments.result:
            arguments.result.write_text(json.dumps(found.results(), indent=2))
        else:
            print(f"wrote {found.write()}", flush=True)
    for violation in found.violations:
        print(f"VIOLATION {violation}")
    if not kept:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(bool(found.violations))


if __name__ == "__main__":
    main()
