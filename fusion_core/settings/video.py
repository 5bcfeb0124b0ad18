"""The settings that clips add to those of photographs."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

VideoCodec = Literal["h264", "h265", "ffv1"]


class VideoSettings(BaseModel):
    """The settings that decide the frames and bytes of a fused clip, given pair and model."""

    video_codec: VideoCodec = Field(
        "h264",
        description="What fused clips are encoded by: h264 or h265 (in MP4, a key frame at least "
        "every 250), or ffv1, which is lossless (in Matroska, whose times are milliseconds).",
    )
    video_quality: int = Field(
        18,
        ge=0,
        le=51,
        description="Constant rate factor of h264 and h265: 0 is the best, 18 hardly to be told "
        "from the original, 28 small.",
    )
    steady: bool = Field(
        True,
        description="Keep clips from flickering: what the network pools over an image is carried "
        "from frame to frame, and so is the fused value of what stands still, both until a cut.",
    )
    frame_rate: float = Field(
        25.0,
        gt=0,
        le=1000,
        description="Frames a second of sequences of images, whose frames have numbers and no "
        "times.",
    )
    frame_clock: Literal["presentation", "start"] = Field(
        "presentation",
        description="What frames of both sides are matched by: the presentation times in the "
        "files, or the time since each side's first frame, for cameras whose clocks differ.",
    )
    frame_offset: float = Field(
        0.0, description="Seconds to add to the infrared times before frames are matched."
    )
    frame_tolerance: float | None = Field(
        None,
        gt=0,
        description="A visible frame takes the infrared one that is nearest in time, at most so "
        "many seconds away. Default: half of the longer interval between frames of the two.",
    )
    unmatched_frames: Literal["keep", "drop", "fail"] = Field(
        "keep",
        description="A visible frame without an infrared one: keep it in the fused clip as it is, "
        "leave it out, or fail the clip.",
    )
    segment_frames: int = Field(
        200,
        ge=2,
        le=100_000,
        description="A clip is fused and kept in segments, which end at the first visible key "
        "frame after so many frames, at twice as many at the latest: that much a lost worker "
        "costs.",
    )

    @model_validator(mode="after")
    def _codec_has_quality(self) -> Self:
        default = VideoSettings.model_fields["video_quality"].default
        if self.video_codec == "ffv1" and self.video_quality != default:
            raise ValueError(
                f"video_quality is {self.video_quality} and video_codec is ffv1, which loses "
                "nothing; expected video_codec h264 or h265. Leave video_quality out"
            )
        return self
