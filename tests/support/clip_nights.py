"""Nights of clips through the deployment, with an actor killed in the middle of the longest."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from outputs import Bucket
from prefect_processes import PrefectServer, stop
from processes import command, descendants, wait_for


def add_tone(source: Path, target: Path) -> Path:
    """Copy a video's pictures as they are, with a tone as long as it is beside them."""
    with av.open(str(source)) as given, av.open(str(target), "w") as out:
        pictures = given.streams.video[0]
        copied = out.add_stream_from_template(pictures)
        sound = out.add_stream("aac", rate=48_000)
        for packet in given.demux(pictures):
            if packet.dts is not None:
                packet.stream = copied
                out.mux(packet)
        seconds = float(pictures.duration * pictures.time_base)
        wave = np.sin(2 * np.pi * 440 * np.arange(int(48_000 * seconds)) / 48_000)
        for start in range(0, len(wave), 1024):
            part = np.tile(wave[start : start + 1024].astype(np.float32), (2, 1))
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    return target


def clips_night(
    server: PrefectServer,
    bucket: Bucket,
    settings: dict[str, Any],
    *,
    output: str,
    kill_at: int | None = None,
    longest: str = "",
    patience: float = 600,
) -> list[dict[str, Any]]:
    """Run the nightly deployment over clips; return its rows.

    Args:
        server: Prefect's server.
        bucket: Where source and output are.
        settings: The run's settings.
        output: The output below the bucket.
        kill_at: The actor is killed once so many segments of the longest clip are kept.
        longest: Id of that clip.
        patience: Seconds to wait for the night to end.
    """
    server.deploy(settings)
    worker = server.start_worker()
    try:
        night = server.run_in_background("fuse-archive/nightly")
        if kill_at is not None:
            wait_for(
                lambda: len(segments_of(bucket, output, longest)) >= kill_at,
                patience,
                f"{kill_at} segments of {longest} were not kept",
            )
            actors = [p for p in descendants(worker.pid) if "ray::FusionActor" in command(p)]
            for pid in actors:
                os.kill(pid, signal.SIGKILL)
            assert actors
            left = segments_of(bucket, output, longest)
            assert len(left) >= kill_at, f"{longest} was done before it was killed"
        assert night.wait(patience) == 0
    finally:
        stop(worker)
    return bucket.rows(output)


def segments_of(bucket: Bucket, output: str, clip: str) -> list[str]:
    """Return the records of a clip's segments that are kept at the moment."""
    keys = bucket.keys(f"{output}/fused/")
    return [k for k in keys if f"/{clip}." in k and ".segment-" in k and k.endswith(".safetensors")]


def compare_videos(visible: Path, fused: Path) -> dict[str, Any]:
    """Say by PyAV alone in what a fused video is as its visible side, exactly."""
    sides = []
    for path in (visible, fused):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            frames = list(container.decode(stream))
            facts = {
                "frames": len(frames),
                "times": [frame.pts * stream.time_base for frame in frames],
                "size": (stream.width, stream.height),
                "rate": stream.average_rate,
                "rotation": frames[0].rotation,
            }
        sides.append({**facts, "sound": _sound(path)})
    same: dict[str, Any] = {name: sides[0][name] == sides[1][name] for name in sides[0]}
    return {**same, "count": sides[1]["frames"]}


def _sound(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return []
        packets: Sequence[Any] = list(container.demux(container.streams.audio[0]))
        return [bytes(packet) for packet in packets if packet.size]
