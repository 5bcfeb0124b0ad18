"""What is encoded of a clip, against what PyAV alone decodes from the file."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import moving

from fusion_core.errors import EncodeError
from fusion_core.images.picture import Picture
from fusion_core.settings.video import VideoCodec
from fusion_core.video.encoding import Encoding, SegmentEncoder
from fusion_core.video.frame import ClipFacts, Colours
from fusion_core.video.video_file import to_picture

UNEVEN = [7 * k * k + 100 * k for k in range(12)]
BT709, BT2020 = Colours(1, 1, 1, 1), Colours(9, 1, 9, 16)
Stored = list[tuple[int, np.ndarray]]


def encoding(codec: VideoCodec = "h264", quality: int = 18, **facts: Any) -> Encoding:
    known = {"width": 64, "height": 48, "rotation": 0, "rate": Fraction(25)}
    known["time_base"] = Fraction(1, 12_800)
    return Encoding.like(ClipFacts(**{**known, **facts}), codec, quality)


def encoded(path: Path, how: Encoding, frames: list[np.ndarray]) -> Stored:
    """Encode frames, and return what the encoder says is stored."""
    encoder, stored = SegmentEncoder(path, how), []
    for pixels, ticks in zip(frames, UNEVEN, strict=False):
        stored += encoder.add(Picture(pixels), ticks)
    stored += encoder.finish()
    return [(ticks, picture.pixels) for ticks, picture in stored]


def decoded(path: Path) -> Stored:
    with av.open(str(path)) as opened:
        stream = opened.streams.video[0]
        assert stream.time_base is not None
        return [
            (
                round(frame.pts * stream.time_base * 12_800),
                to_picture(frame).pixels,
            )
            for frame in opened.decode(stream)
            if frame.pts is not None
        ]


def deepened(frames: list[np.ndarray]) -> list[np.ndarray]:
    return [frame.astype(np.uint16) * 257 for frame in frames]


def grey(frames: list[np.ndarray]) -> list[np.ndarray]:
    return [frame[..., 1].copy() for frame in frames]


def assert_same(found: Stored, expected: Stored) -> None:
    assert [ticks for ticks, _ in found] == [ticks for ticks, _ in expected]
    for (_, one), (_, other) in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colourless", [True, False])
def test_ffv1_stores_every_sample_and_time(bits: int, colourless: bool, tmp_path: Path) -> None:
    frames = grey(moving(12)) if colourless else moving(12)
    if bits == 16:
        frames = deepened(frames)
        frames[0] += np.random.default_rng(1).integers(0, 200, frames[0].shape, np.uint16)
    how = encoding("ffv1", bits=bits, grey=colourless)
    path = tmp_path / "a.nut"
    given = encoded(path, how, frames)
    assert_same(given, list(zip(UNEVEN, frames, strict=True)))
    assert_same(decoded(path), given)


@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({}, "yuv420p"),
        ({"bits": 10}, "yuv420p10le"),
        ({"bits": 16, "grey": True}, "yuv420p10le"),
        ({"grey": True}, "yuv420p"),
        ({"width": 63, "height": 47}, "yuv444p"),
        ({"width": 63, "bits": 12}, "yuv444p10le"),
        ({"colours": BT709}, "yuv420p"),
    ],
)
def test_what_is_given_back_is_what_whoever_opens_the_file_sees(
    codec: VideoCodec, facts: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    how = encoding(codec, **facts)
    assert how.pixel_format == kind
    frames = moving(12, (how.height, how.width))
    frames = grey(frames) if how.grey else frames
    frames = deepened(frames) if how.deep else frames
    given = encoded(tmp_path / "a.nut", how, frames)
    assert [ticks for ticks, _ in given] == UNEVEN
    found = decoded(tmp_path / "a.nut")
    assert_same(given, found)
    scale = 257 if how.deep else 1
    for (_, pixels), frame in zip(given, frames, strict=True):
        original = frame if frame.ndim == 3 else np.dstack([frame] * 3)
        assert np.abs(pixels.astype(float) - original).mean() < 6 * scale


@pytest.mark.parametrize("codec", ["h264", "h265", "ffv1"])
def test_the_same_frames_become_the_same_bytes(codec: VideoCodec, tmp_path: Path) -> None:
    bodies = []
    for name in ("a.nut", "b.nut"):
        encoded(tmp_path / name, encoding(codec), moving(12))
        bodies.append((tmp_path / name).read_bytes())
    assert bodies[0] == bodies[1]


def test_the_same_frames_become_the_same_bytes_however_often(tmp_path: Path) -> None:
    """Of such frames, code of x264 for some processors made others once in twenty times."""
    how, bodies = encoding(width=304, height=160), set()
    frames = moving(6, (160, 304))
    for number in range(40):
        path = tmp_path / f"{number}.nut"
        encoded(path, how, frames)
        bodies.add(path.read_bytes())
    assert len(bodies) == 1


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_frames_are_stored_in_the_order_in_which_they_are_shown(
    codec: VideoCodec, tmp_path: Path
) -> None:
    encoded(tmp_path / "a.nut", encoding(codec), moving(12))
    with av.open(str(tmp_path / "a.nut")) as opened:
        packets = [packet for packet in opened.demux(video=0) if packet.size]
    assert packets[0].is_keyframe
    assert all(packet.pts == packet.dts for packet in packets)


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_a_smaller_rate_factor_is_better_and_larger(codec: VideoCodec, tmp_path: Path) -> None:
    frames, found = moving(12), []
    for quality in (10, 40):
        given = encoded(tmp_path / "a.nut", encoding(codec, quality), frames)
        error = np.mean(
            [np.abs(p - f.astype(float)) for (_, p), f in zip(given, frames, strict=True)]
        )
        found.append((error, (tmp_path / "a.nut").stat().st_size))
    (good, large), (bad, small) = found
    assert good < bad
    assert large > small


def rgb_of(y: float, cb: float, cr: float, kr: float, kb: float) -> np.ndarray:
    """Return R'G'B' of 0 to 255 for Y'CbCr of 16 to 235, by the two weights of its matrix."""
    luma, blue, red = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    r, b = luma + 2 * (1 - kr) * red, luma + 2 * (1 - kb) * blue
    return 255 * np.array([r, (luma - kr * r - kb * b) / (1 - kr - kb), b])


@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize(
    ("colours", "kr", "kb"),
    [
        (BT709, 0.2126, 0.0722),
        (Colours(6, 1, 6, 6), 0.299, 0.114),
        (Colours(), 0.299, 0.114),
        (BT2020, 0.2627, 0.0593),
    ],
)
def test_colours_are_kept_and_told(
    codec: VideoCodec, colours: Colours, kr: float, kb: float, tmp_path: Path
) -> None:
    deep = colours == BT2020
    wanted = np.array([200, 90, 40])
    frame = np.broadcast_to(wanted, (48, 64, 3)).astype(np.uint8)
    frames = [frame] * 3
    if deep:
        frames = deepened(frames)
    how = encoding(codec, 4, bits=10 if deep else 8, colours=colours)
    given = encoded(tmp_path / "a.nut", how, frames)
    with av.open(str(tmp_path / "a.nut")) as opened:
        first = next(opened.decode(video=0))
        told = (first.colorspace, first.color_range, first.color_primaries, first.color_trc)
        planes = [plane[24, 32] for plane in (first.to_ndarray()[:48], *halves(first))]
    matrix, span, primaries, transfer = (int(one) for one in told)
    assert (matrix, primaries, transfer) == (colours.matrix, colours.primaries, colours.transfer)
    assert span in ({1} if colours.range else {0, 1})  # where nothing is told, that is the range
    values = [float(value) / (4 if deep else 1) for value in planes]
    assert rgb_of(*values, kr, kb) == pytest.approx(wanted, abs=3)
    assert given[0][1][24, 32] / (257 if deep else 1) == pytest.approx(wanted, abs=3)


def halves(frame: av.VideoFrame) -> list[np.ndarray]:
    """Return both planes of colour in full size."""
    planes = frame.to_ndarray()[48:].reshape(2, 24, 32)
    return [plane.repeat(2, 0).repeat(2, 1) for plane in planes]


def test_samples_that_are_no_squares_stay_so(tmp_path: Path) -> None:
    encoded(tmp_path / "a.nut", encoding(aspect=Fraction(4, 3)), moving(2))
    with av.open(str(tmp_path / "a.nut")) as opened:
        assert opened.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_an_odd_size_is_told() -> None:
    assert encoding().remark is None
    assert encoding("ffv1", width=63).remark is None
    assert "its size of 63x48 is odd" in str(encoding(width=63).remark)


def test_a_size_that_an_encoder_does_not_take_is_told(tmp_path: Path) -> None:
    how = encoding("h265", width=8, height=8)
    with pytest.raises(EncodeError, match=r"h265 can't encode frames of 8x8 .* choose video_codec"):
        encoded(tmp_path / "a.nut", how, moving(2, (8, 8)))
