"""Fuses the clips by the deployment, from and to an S3 server, killed in the longest's middle."""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path
from typing import Any

from clip_nights import add_tone, clips_night, compare_videos
from outputs import Bucket
from prefect_processes import PrefectServer
from s3_servers import S3Server

MODEL = "refinefuse-mini"
SEGMENT = 100  # frames


def nights(server: PrefectServer, s3: S3Server, clips: Path, folder: Path) -> dict[str, Any]:
    """Return what PyAV alone says of the fused clips of two nights, one of which was killed.

    The clips have no sound, so that a tone is put beside their visible sides.

    Args:
        server: Prefect's server.
        s3: A server with a bucket ``clips``.
        clips: The clips.
        folder: A scratch folder.
    """
    bucket = Bucket(s3, "clips")
    (folder / "vi").mkdir()
    names = sorted(path.stem for path in (clips / "vi").glob("*.mp4"))
    for name in names:
        visible = add_tone(clips / "vi" / f"{name}.mp4", folder / "vi" / f"{name}.mp4")
        bucket.put(f"in/vi/{name}.mp4", visible.read_bytes())
        bucket.put(f"in/ir/{name}.mp4", (clips / "ir" / f"{name}.mp4").read_bytes())
    longest = max(names, key=lambda name: (clips / "vi" / f"{name}.mp4").stat().st_size)
    found: dict[str, Any] = {"model": MODEL, "segment_frames": SEGMENT, "longest": longest}
    for output, kill_at in (("killed", 2), ("whole", None)):
        settings = {
            "source": "s3://clips/in",
            "output": f"s3://clips/{output}",
            "ir": "ir/{clip}.mp4",
            "vi": "vi/{clip}.mp4",
            "model": MODEL,
            "segment_frames": SEGMENT,
        }
        begin = time.monotonic()
        rows = clips_night(
            server, bucket, settings, output=output, kill_at=kill_at, longest=longest
        )
        clips_found = {}
        for row in rows:
            local = folder / f"{output}-{row['pair_id']}.mp4"
            local.write_bytes(bucket.read(row["fused_url"].removeprefix("s3://clips/")))
            clips_found[row["pair_id"]] = {
                "status": row["status"],
                "sha256": hashlib.sha256(local.read_bytes()).hexdigest(),
                "as_the_visible": compare_videos(folder / "vi" / f"{row['pair_id']}.mp4", local),
            }
            local.unlink()
        found[output] = {"seconds": round(time.monotonic() - begin), "clips": clips_found}
        print(output, found[output], flush=True)
    shutil.rmtree(folder / "vi")
    found["same_bytes"] = {
        name: found["killed"]["clips"][name]["sha256"] == found["whole"]["clips"][name]["sha256"]
        for name in names
    }
    return found
