"""Times clips against their frames as photographs, which are read and written as JPEG."""

from __future__ import annotations

import shutil
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import av
from PIL import Image
from record import ratios, spread
from tiny import TODAY, listed_pair

from fusion_core.archive.plan import Chunk, PairRef
from fusion_core.jobs.fusion_worker import FusionWorker
from fusion_core.jobs.identity import RunIdentity
from fusion_core.models.fuser import Fuser, load_fuser
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

FRAMES = {"refinefuse": 60, "refinefuse-mini": 151}
CLIP = "0111_1716"
ROUNDS = 5


def speed(clips: Path) -> dict[str, Any]:
    """Return seconds of a clip and of as many photographs, taken in turn by one worker."""
    found: dict[str, Any] = {"clip": CLIP, "rounds": ROUNDS}
    for model, count in FRAMES.items():
        with tempfile.TemporaryDirectory() as name:
            found[model] = _of_model(clips, Path(name), model, count)
        print(model, found[model], flush=True)
    return found


def _of_model(clips: Path, folder: Path, model: str, count: int) -> dict[str, Any]:
    for side in ("ir", "vi"):
        (folder / "clip" / side).mkdir(parents=True)
        (folder / "photographs" / side).mkdir(parents=True)
        _cut(clips / side / f"{CLIP}.mp4", folder, side, count)
    fuser = load_fuser(model)
    seconds: dict[str, list[float]] = {"clip": [], "photographs": []}
    for number in range(ROUNDS + 1):
        for way, times in seconds.items():
            spent = _fused(folder, way, fuser)
            if number:  # the first is for the memory to get warm
                times.append(spent)
    return {
        "frames": count,
        "seconds": {way: spread(times) for way, times in seconds.items()},
        "clip_over_photographs": spread(ratios(seconds["clip"], seconds["photographs"])),
    }


def _cut(path: Path, folder: Path, side: str, count: int) -> None:
    """Write the first frames of a clip as a clip, whose packets are copied, and as JPEG."""
    with (
        av.open(str(path)) as given,
        av.open(str(folder / "clip" / side / "one.mp4"), "w") as out,
    ):
        copied = out.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(given.demux(video=0)):
            if packet.dts is not None and number < count:
                packet.stream = copied
                out.mux(packet)
    with av.open(str(path)) as given:
        for number, frame in enumerate(given.decode(video=0)):
            if number < count:
                target = folder / "photographs" / side / f"{number:04}.jpg"
                Image.fromarray(frame.to_ndarray(format="rgb24")).save(target, quality=95)


def _fused(folder: Path, way: str, fuser: Fuser) -> float:
    output = folder / f"out-{uuid.uuid4().hex}"
    settings = FuseArchiveSettings(source=f"{folder}/{way}", output=str(output), format="jpeg")
    if way == "clip":
        settings = FuseArchiveSettings(source=f"{folder}/{way}", output=str(output))
    source = Storage(settings.source)
    listing = {row["path"]: row for row in source.list().to_pylist()}
    pairs: list[PairRef] = []
    for path in listing:
        side, _, name = path.partition("/")
        if side == "ir":
            pairs.append(listed_pair(name, listing[path], listing[f"vi/{name}"]))
    run = RunIdentity("run", TODAY, fuser.model_hash, settings.settings_hash())
    worker = FusionWorker(source, Storage(settings.output), fuser, settings, run)
    begin = time.perf_counter()
    result = worker.run(Chunk("part", tuple(sorted(pairs, key=lambda pair: pair.pair_id))))
    spent = time.perf_counter() - begin
    assert result.ok == len(pairs), result
    shutil.rmtree(output)
    return spent
