"""Has the project look for violations in an output itself, beside the auditor, in its own process.

python own_check.py s3://BUCKET/OUTPUT
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

_SECONDS = 120.0


def own_findings(url: str, *, orphans: bool) -> list[str]:
    """Return what the project's own check finds in an output, in words.

    Args:
        url: Of the output.
        orphans: Whether there may be images that no row names.
    """
    done = subprocess.run(
        [sys.executable, __file__, url], capture_output=True, text=True, timeout=_SECONDS
    )
    if done.returncode:
        raise RuntimeError(f"the check of {url} failed: {done.stderr[-3000:]}")
    return [
        f"the project's own check: {one['count']} times {one['kind']}: {'; '.join(one['first'])}"
        for one in json.loads(done.stdout)
        if not (orphans and one["kind"] == "image of no row")
    ]


def main() -> None:
    # Not for whoever imports this module: the suite's process is none of the project's.
    from fusion_core.archive.keeping.check import check
    from fusion_core.storage.scratch import scratch_folder
    from fusion_core.storage.store import Storage

    with scratch_folder() as folder:
        found = check(Storage(sys.argv[1]), folder, deep=True, tell=lambda _: None)
    print(json.dumps([dataclasses.asdict(one) for one in found]))


if __name__ == "__main__":
    main()
