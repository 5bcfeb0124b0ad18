"""Runs the flow over a store on which things go wrong, fault by fault and rate by rate.

python tests/benchmarks/fault_matrix.py      (about ten minutes; leaves results/faults.json)
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from typing import Any

import pyarrow.compute as pc
import ray
from auditor import Auditor
from faulty_proxy import FAULTS, faulty_proxy
from prefect.blocks.system import Secret
from prefect_database import api_with_database
from record import write
from s3_servers import S3Server, moto_server
from tiny import settings_for, tiny_weights, write_pairs

from flows.fuse_archive import fuse_archive
from flows.summaries.run import RunSummary
from fusion_core.archive.manifest import read_manifest
from fusion_core.errors import FuseArchiveError

PAIRS = 40
RATES = (0.05, 0.2)
TIMEOUT = 60.0  # of the setting storage_timeout; a stall is noticed after an eighth of it


def measure(server: S3Server, weights: str, fault: str, rate: float) -> dict[str, Any]:
    """Run once over a fresh output, through a proxy; return what became of it."""
    output = f"out-{fault}-{rate:g}".replace(".", "-").replace("_", "-")
    with faulty_proxy(server, fault, rate) as proxy:
        block = f"proxy-{proxy.url.rpartition(':')[2]}"
        options = {**server.storage_options(), "endpoint_url": proxy.url}
        Secret(value=options).save(block, overwrite=True)
        settings = settings_for(
            "s3://matrix/in",
            f"s3://matrix/{output}",
            weights,
            chunk_pairs=4,
            contact_sheet=0,
            credentials_block=block,
            storage_timeout=TIMEOUT,
        )
        began = time.monotonic()
        try:
            summary = fuse_archive(settings)
            error = None
        except FuseArchiveError as caught:
            summary, error = None, f"{type(caught).__name__}: {caught}"
        seconds = time.monotonic() - began
        made = proxy.made()
    audit = Auditor(server._client("s3"), "matrix").audit("in", output)
    rows = read_manifest(
        f"s3://matrix/{output}/manifest", False, storage_options=server.storage_options()
    )
    return {
        "fault": fault,
        "rate": rate,
        "completed": isinstance(summary, RunSummary) and not audit.violations,
        "ok_rows": audit.ok_rows,
        "failed_rows": audit.failed_rows,
        "undone_rows": audit.undone_rows,
        "faults_made": sum(made.values()),
        "retries_in_rows": pc.sum(rows["retries"]).as_py() or 0,
        "seconds": round(seconds, 1),
        "violations": audit.violations,
        "error": error,
    }


def main() -> None:
    """Measure all, print a table, and write the record."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    results = []
    with (
        tempfile.TemporaryDirectory() as folder,
        moto_server() as server,
        api_with_database(),
    ):
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ.update(server.env())
        server.make_bucket("matrix")
        write_pairs("s3://matrix/in", [f"p{k:03}" for k in range(PAIRS)])
        weights = tiny_weights(folder)
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        cases = [("none", 0.0), *((fault, rate) for fault in [*FAULTS, "mixed"] for rate in RATES)]
        measure(server, weights, "warm-up", 0.0)
        for fault, rate in cases:
            found = measure(server, weights, fault, rate)
            results.append(found)
            print(*(f"{name}={value}" for name, value in found.items()), flush=True)
        ray.shutdown()
    facts = {
        "pairs": PAIRS,
        "workers": 2,
        "storage_timeout": TIMEOUT,
        "store": "moto",
        "runs": results,
    }
    print(write("faults", "python tests/benchmarks/fault_matrix.py", facts))
    sys.exit(not all(one["completed"] for one in results))


if __name__ == "__main__":
    main()
