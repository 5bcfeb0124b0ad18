"""How steady fused clips are, how fast they are fused, and what is left of them after a kill.

    sh infra/loopback.sh python tests/benchmarks/bench_video.py [consistency|speed|nights …]

writes results/video.json, or renews the named parts of it. It takes three quarters of an hour on
two cores, and needs the clips of the sample data.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect_processes import prefect_server
from record import RESULTS, write
from s3_servers import moto_server
from video_consistency import consistency
from video_nights import nights
from video_speed import speed

CLIPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "video"
COMMAND = "sh infra/loopback.sh python tests/benchmarks/bench_video.py"


def nights_part(clips: Path) -> dict[str, Any]:
    """Run the deployment from and to an S3 server."""
    with tempfile.TemporaryDirectory() as name, moto_server() as s3:
        folder = Path(name)
        os.environ.update(s3.env())
        s3.make_bucket("clips")
        (folder / "prefect").mkdir()
        with prefect_server(folder / "prefect", s3.env()) as server:
            return nights(server, s3, clips, folder)


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "consistency": consistency,
    "speed": speed,
    "nights": nights_part,
}


def main() -> None:
    """Measure and write the record."""
    if not CLIPS.is_dir():
        raise SystemExit(f"{CLIPS} is absent; expected the clips of the sample data")
    path = RESULTS / "video.json"
    found = json.loads(path.read_text())["results"] if path.exists() else {}
    for name in sys.argv[1:] or PARTS:
        found[name] = rounded(PARTS[name](CLIPS))
        print(write("video", COMMAND, found).read_text(), flush=True)


def rounded(value: Any) -> Any:
    """Round the numbers of a record to four digits."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
