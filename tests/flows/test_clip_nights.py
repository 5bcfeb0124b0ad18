"""Clips through the deployment, from and to an S3 server, one of them killed in its middle."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from clip_nights import clips_night, compare_videos
from clips import moving, write_video
from outputs import Bucket
from prefect_processes import PrefectServer, prefect_server
from s3_servers import S3Server
from tiny import TODAY, listed_pair, settings_for, tiny_weights

from fusion_core.archive.layout import part_path
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk
from fusion_core.jobs.fusion_worker import FusionWorker
from fusion_core.jobs.identity import RunIdentity
from fusion_core.models.fuser import load_fuser
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

pytestmark = [
    pytest.mark.ray,
    pytest.mark.s3,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(600),
]
FRAMES = {"short": 20, "long": 160}
SIZE = (360, 480)


@pytest.fixture
def server(s3: S3Server, tmp_path: Path) -> Iterator[PrefectServer]:
    with prefect_server(tmp_path / "prefect", s3.env()) as running:
        yield running


def test_a_clip_whose_worker_is_killed_goes_on_and_has_the_same_bytes(
    server: PrefectServer, s3: S3Server, s3_bucket: str, one_thread: None, tmp_path: Path
) -> None:
    bucket = Bucket(s3, s3_bucket)
    for name, count in FRAMES.items():
        for side in ("ir", "vi"):
            frames = moving(count, SIZE, infrared=side == "ir")
            sound = "aac" if side == "vi" else None
            path = write_video(tmp_path / side / f"{name}.mp4", frames, sound=sound)
            bucket.put(f"in/{side}/{name}.mp4", path.read_bytes())
    settings = settings_for(
        f"s3://{s3_bucket}/in",
        f"s3://{s3_bucket}/out",
        tiny_weights(tmp_path),
        ir="ir/{clip}.mp4",
        vi="vi/{clip}.mp4",
        segment_frames=40,
        contact_sheet=2,
    )
    asked = settings.model_dump(mode="json", exclude_none=True)
    rows = clips_night(server, bucket, asked, output="out", kill_at=2, longest="long")
    assert {row["pair_id"]: row["frames"] for row in rows} == FRAMES
    assert {row["status"] for row in rows} == {"ok"}
    for row in rows:
        key = row["fused_url"].removeprefix(f"s3://{s3_bucket}/")
        local = tmp_path / f"{row['pair_id']}.mp4"
        local.write_bytes(bucket.read(key))
        assert compare_videos(tmp_path / "vi" / local.name, local) == {
            **dict.fromkeys(("frames", "times", "size", "rate", "rotation", "sound"), True),
            "count": FRAMES[row["pair_id"]],
        }
        assert hashlib.sha256(local.read_bytes()).hexdigest() == row["fused_sha256"]
        # On as many threads as the settings' worker has, for that decides the last bits.
        assert fused_alone(settings, row["pair_id"], tmp_path / "alone") == row["fused_sha256"]
    assert [key for key in bucket.keys("out/fused/") if ".segment-" in key] == []


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def fused_alone(settings: FuseArchiveSettings, name: str, folder: Path) -> str:
    """Fuse a clip in this process, whom nobody kills; return the digest of its bytes."""
    source, output = Storage(settings.source), Storage(str(folder))
    listing = {row["path"]: row for row in source.list().to_pylist()}
    pair = listed_pair(name, listing[f"ir/{name}.mp4"], listing[f"vi/{name}.mp4"])
    fuser = load_fuser(settings.model, precision=settings.precision, engine=settings.engine)
    run = RunIdentity("run", TODAY, fuser.model_hash, settings.settings_hash())
    FusionWorker(source, output, fuser, settings, run).run(Chunk(name, (pair,)))
    (row,) = read_part(output, part_path(TODAY, name)).to_pylist()
    return str(row["fused_sha256"])
