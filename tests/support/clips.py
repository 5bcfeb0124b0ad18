"""Short invented clips, written by PyAV, and an archive of them with a worker."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from tiny import TODAY, listed_pair, png, tiny_fuser

from fusion_core.archive.layout import part_path
from fusion_core.archive.pairing import pair_by_templates
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk, PairRef
from fusion_core.images.picture import Picture
from fusion_core.jobs.fusion_worker import FusionWorker
from fusion_core.jobs.identity import RunIdentity
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage
from fusion_core.video.encoding import X264_CODE
from fusion_core.video.frame import Frame
from fusion_core.video.video_file import VideoFile

SIZE = (48, 64)
_EVEN = ("mpeg4", "mpeg2video")  # encoders that take no times but those of a rate
Pixels = NDArray[np.uint8]


def moving(count: int, size: tuple[int, int] = SIZE, *, infrared: bool = False) -> list[Pixels]:
    """Return frames of a still background with a square that moves, (H, W, 3); by side."""
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    texture = 90 + 50 * np.sin(columns / (3 if infrared else 5)) * np.cos(rows / 4)
    frames = []
    for k in range(count):
        picture = np.repeat(texture[..., None], 3, axis=2)
        if not infrared:
            picture[..., 0] += 30
        left, edge = (3 * k) % max(1, width - 12), slice(height // 3, height // 3 + 10)
        picture[edge, left : left + 12] = 250 if infrared else (30, 60, 200)
        frames.append(picture.astype(np.uint8))
    return frames


def write_video(
    path: Path,
    frames: Sequence[NDArray[Any]],
    *,
    codec: str = "mpeg4",
    rate: Fraction | int = 25,
    times: Sequence[Fraction] | None = None,
    pixel_format: str = "yuv420p",
    key_every: int = 12,
    rotation: int = 0,
    sound: str | None = None,
    options: dict[str, str] | None = None,
    colours: dict[str, int] | None = None,
    container: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write frames as a video.

    Args:
        path: The file; its name says of which kind.
        frames: (H, W, 3) or (H, W), uint8 or uint16.
        codec: As FFmpeg names its encoder.
        rate: Frames a second.
        times: When each is shown, in seconds. Default: by the rate, from 0 on.
        pixel_format: As FFmpeg names it.
        key_every: Frames from key frame to key frame.
        rotation: Degrees by which a player is to turn it counterclockwise.
        sound: Name of an encoder for a tone, as long as the frames are.
        options: Of the encoder.
        colours: Of the encoder's context, by name.
        container: Options of the file.
        metadata: What the file tells of itself.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rate = Fraction(rate)
    times = times or [Fraction(k) / rate for k in range(len(frames))]
    base = Fraction(1, 90_000)
    with av.open(str(path), "w", options=container or {}) as out:
        out.metadata.update(metadata or {})
        always_the_same = {"x264-params": X264_CODE} if "264" in codec and X264_CODE else {}
        stream = out.add_stream(codec, rate=rate, options={**always_the_same, **(options or {})})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = 1 / rate if codec in _EVEN else base
        stream.codec_context.gop_size = key_every
        stream.codec_context.thread_count = 1
        for name, value in (colours or {}).items():
            setattr(stream.codec_context, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        tone = out.add_stream(sound, rate=48_000) if sound else None
        for pixels, time in zip(frames, times, strict=True):
            kind = "rgb24" if pixels.ndim == 3 else "gray"
            if pixels.dtype == np.uint16:
                kind = "rgb48le" if pixels.ndim == 3 else "gray16le"
            frame = av.VideoFrame.from_ndarray(pixels, format=kind)
            frame = frame.reformat(format=pixel_format)
            frame.pts = round(time / stream.codec_context.time_base)
            frame.time_base = stream.codec_context.time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if tone is not None:
            _write_tone(out, tone, float(times[-1] + 1 / rate))
    return path


def _write_tone(out: Any, stream: Any, seconds: float) -> None:
    samples = np.arange(int(48_000 * seconds))
    wave = (0.3 * np.sin(2 * np.pi * 440 * samples / 48_000)).astype(np.float32)
    size = stream.codec_context.frame_size or 1024
    kind = stream.codec_context.format.name
    for start in range(0, len(wave), size):
        part = wave[start : start + size]
        if kind.startswith("s16"):
            part = (part * 32767).astype(np.int16)
        elif kind.startswith("s32"):
            part = (part * 2_147_483_000).astype(np.int32)
        layout = stream.codec_context.layout
        count = len(layout.channels)
        planes = np.stack([part] * count)
        if kind == "s16":
            planes = planes.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(planes), kind, layout.name)
        frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def write_sequence(folder: Path, frames: Sequence[NDArray[Any]], name: str = "{:04}.png") -> None:
    """Write frames as images, numbered from 0."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(frames):
        (folder / name.format(number)).write_bytes(png(pixels))


def frames_of(path: str | Path) -> list[tuple[Fraction, Pixels]]:
    """Return the frames of a video with their times, read by PyAV alone."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [
            (frame.pts * stream.time_base, frame.to_ndarray(format="rgb24"))
            for frame in container.decode(stream)
        ]


def video_file(storage: Storage, path: str, max_megapixels: float = 10.0) -> VideoFile:
    """Open a video as it is listed now."""
    info = storage.info(path)
    version = storage.version(path, info)
    return VideoFile(
        storage, path, size=info["size"], version=version, max_megapixels=max_megapixels
    )


def cut_off(path: Path, share: float) -> None:
    """Leave the first part of a file."""
    body = path.read_bytes()
    path.write_bytes(body[: int(len(body) * share)])


def garble(path: Path) -> None:
    """Replace an eighth of a file, from its middle on, by noise."""
    body = bytearray(path.read_bytes())
    middle, count = len(body) // 2, len(body) // 8
    body[middle : middle + count] = np.random.default_rng(1).bytes(count)
    path.write_bytes(bytes(body))


def bare_frame(time: Fraction, ticks: int = 0) -> Frame:
    """Return a frame whose picture nobody asks for."""
    return Frame(time, ticks, True, lambda: Picture(np.zeros((1, 1), np.uint8)))


class ClipArchive:
    """An archive of clips in a folder, and a worker for it.

    Args:
        folder: Where it lies.
        changes: Settings.
    """

    def __init__(self, folder: Path, fuser: Any = None, **changes: Any):
        self.folder = folder
        fields = {"source": f"{folder}/source", "output": f"{folder}/output", "precision": "fp32"}
        self.settings = FuseArchiveSettings(**{**fields, "io_threads": 2, **changes})
        (folder / "source").mkdir(parents=True, exist_ok=True)
        self.source, self.output = Storage(self.settings.source), Storage(self.settings.output)
        self.fuser = fuser or tiny_fuser()
        self._parts = (f"part{k}" for k in itertools.count())

    def path(self, side: str, name: str = "clip.mp4") -> Path:
        return self.folder / "source" / side / name

    def put(
        self, name: str = "clip.mp4", count: int = 20, size: tuple[int, int] = SIZE, **how: Any
    ) -> PairRef:
        """Write both sides of a clip; return the pair."""
        for side in ("ir", "vi"):
            frames = moving(count, size, infrared=side == "ir")
            write_video(self.path(side, name), frames, **how)
        return self.ref(name)

    def ref(self, ir: str = "clip.mp4", vi: str | None = None) -> PairRef:
        """Return a pair of two files."""
        infos = (self.source.info(f"ir/{ir}"), self.source.info(f"vi/{vi or ir}"))
        named = [
            {"path": f"{side}/{name}", "bytes": info["size"], "version": self._version(side, name)}
            for side, name, info in zip(("ir", "vi"), (ir, vi or ir), infos, strict=True)
        ]
        return listed_pair(ir.partition(".")[0], named[0], named[1])

    def _version(self, side: str, name: str) -> str:
        path = f"{side}/{name}"
        return self.source.version(path, self.source.info(path))

    def sequences(self, ir: str, vi: str) -> tuple[PairRef, ...]:
        """Return the pairs that templates find."""
        pairs = pair_by_templates(self.source.list(), ir, vi).pairs
        return tuple(PairRef(**row) for row in pairs.to_pylist())

    def worker(self, **more: Any) -> FusionWorker:
        settings_hash = self.settings.image_settings().settings_hash()
        identity = RunIdentity("run", TODAY, self.fuser.model_hash, settings_hash)
        return FusionWorker(self.source, self.output, self.fuser, self.settings, identity, **more)

    def fuse(self, *refs: PairRef, worker: FusionWorker | None = None) -> list[dict[str, Any]]:
        """Fuse pairs in one chunk; return their rows."""
        part = next(self._parts)
        (worker or self.worker()).run(Chunk(part, refs))
        return list(read_part(self.output, part_path(TODAY, part)).to_pylist())

    def fuse_one(self, ref: PairRef) -> dict[str, Any]:
        (row,) = self.fuse(ref)
        return row

    def objects(self) -> list[str]:
        """Return the names below the folder of fused clips."""
        found = (path for path in (self.folder / "output/fused").rglob("*") if path.is_file())
        return sorted(path.name for path in found)

    def beside(self, row: dict[str, Any]) -> Iterator[str]:
        yield from (row["fused_url"], row["frames_url"], row["quicklook_url"])
