"""The nightly deployment as an operator has it: server, worker, S3, and things that die."""

import collections
import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pyarrow.parquet as pq
import pytest
from prefect_processes import PrefectServer, prefect_server, stop
from processes import command, descendants, kill_tree
from s3_servers import S3Server
from tiny import as_options, settings_for, tiny_weights, write_pairs

from fusion_core.settings import FuseArchiveSettings

pytestmark = [pytest.mark.ray, pytest.mark.s3, pytest.mark.slow, pytest.mark.timeout(900)]
ALL_PAIRS = 171


@pytest.fixture(scope="module")
def server(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with prefect_server(tmp_path_factory.mktemp("prefect"), s3.env()) as running:
        yield running


@pytest.fixture
def worker(server: PrefectServer) -> Iterator[subprocess.Popen[bytes]]:
    process = server.start_worker()
    yield process
    kill_tree(process.pid)  # the next minute's run may have begun, and stopping would wait for it
    process.wait()


def local_rows(settings: FuseArchiveSettings) -> pd.DataFrame:
    folder = Path(settings.output) / "manifest"
    return pd.read_parquet(folder) if folder.is_dir() else pd.DataFrame({"pair_id": []})


class Bucket:
    """Reads a bucket without any code of the project."""

    def __init__(self, server: S3Server, name: str):
        self.name = name
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=server.url,
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
            region_name=server.region,
        )

    def keys(self, prefix: str) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=prefix
        )
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.name, Key=key)["Body"].read())

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def rows(self, output: str) -> list[dict[str, Any]]:
        return [
            row
            for key in self.keys(f"{output}/manifest/")
            for row in pq.read_table(io.BytesIO(self.read(key)), partitioning=None).to_pylist()
        ]


def roadscene_or_generated(shared: Path, folder: Path) -> tuple[Path, str]:
    """Return the archive of 171 pairs and its extension: real where there is one."""
    if shared.is_dir():
        return shared, "jpg"
    write_pairs(folder, [f"pair{k:03}" for k in range(ALL_PAIRS)], size=(120, 160))
    return folder, "png"


def upload(bucket: Bucket, folder: Path, prefix: str, names: list[str], extension: str) -> None:
    for name in names:
        for side in ("ir", "vi"):
            body = (folder / side / f"{name}.{extension}").read_bytes()
            bucket.put(f"{prefix}/{side}/{name}.{extension}", body)


def audit(bucket: Bucket, output: str, names: list[str]) -> None:
    """Check that every pair has one row, and every row the image that it names."""
    rows = bucket.rows(output)
    counts = collections.Counter(row["pair_id"] for row in rows)
    assert counts == collections.Counter(names)
    assert {row["status"] for row in rows} == {"ok"}
    start = f"s3://{bucket.name}/"
    for row in rows:
        body = bucket.read(row["fused_url"].removeprefix(start))
        assert hashlib.sha256(body).hexdigest() == row["fused_sha256"]
    assert len(bucket.keys(f"{output}/fused/")) == len(names)


def wait_for(what: Callable[[], Any], seconds: float, reason: str) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.2)
    raise AssertionError(f"{reason} within {seconds} s")


def actors_below(worker: subprocess.Popen[bytes]) -> list[int]:
    return [pid for pid in descendants(worker.pid) if "ray::FusionActor" in command(pid)]


def test_171_pairs_survive_the_death_of_worker_and_actor_and_20_more_are_20_more(
    server: PrefectServer, s3: S3Server, s3_bucket: str, tmp_path: Path
) -> None:
    here = Path(__file__).resolve().parents[3] / "shared" / "data" / "roadscene"
    folder, extension = roadscene_or_generated(here, tmp_path / "generated")
    names = sorted(path.stem for path in (folder / "ir").iterdir())
    assert len(names) == ALL_PAIRS
    bucket = Bucket(s3, s3_bucket)
    upload(bucket, folder, "in", names, extension)
    settings = settings_for(
        f"s3://{s3_bucket}/in",
        f"s3://{s3_bucket}/out",
        tiny_weights(tmp_path),
        ir=f"ir/{{pair}}.{extension}",
        vi=f"vi/{{pair}}.{extension}",
        chunk_pairs=8,
        contact_sheet=2,
        lease_seconds=10,
    )
    server.deploy(settings.model_dump(mode="json", exclude_none=True))
    # The first night ends in the middle: worker, flow and all below them are killed.
    worker = server.start_worker()
    first = server.run_in_background("fuse-archive/nightly")
    wait_for(lambda: bucket.rows("out"), 120, "no part was committed")
    kill_tree(worker.pid)
    worker.wait()
    stop(first)
    server.declare_crashed(server.newest_run())
    committed = {row["pair_id"] for row in bucket.rows("out")}
    assert 0 < len(committed) < ALL_PAIRS
    # The second goes on, although an actor is killed under it.
    worker = server.start_worker()
    try:
        second = server.run_in_background("fuse-archive/nightly")
        before = len(bucket.keys("out/manifest/"))
        wait_for(
            lambda: len(bucket.keys("out/manifest/")) > before, 400, "the second run did not go on"
        )
        victims = wait_for(lambda: actors_below(worker), 30, "no actor was found")
        os.kill(victims[0], signal.SIGKILL)
        assert second.wait(400) == 0
        audit(bucket, "out", names)
        # Twenty more pairs are twenty more rows.
        for k, name in enumerate(names[:20]):
            for side in ("ir", "vi"):
                body = (folder / side / f"{name}.{extension}").read_bytes()
                bucket.put(f"in/{side}/new{k:02}.{extension}", body)
        again = f"settings={settings.model_dump_json(exclude_none=True)}"
        run = ("deployment", "run", "fuse-archive/nightly", "--watch", "-p", again)
        server.cli(*run, timeout=300)
        audit(bucket, "out", [*names, *(f"new{k:02}" for k in range(20))])
    finally:
        stop(worker)
    frame = pd.read_parquet(f"s3://{s3_bucket}/out/manifest", storage_options=s3.storage_options())
    assert len(frame) == ALL_PAIRS + 20
    assert frame["vif"].notna().all()
    assert s3.secret_key not in server.logs()
    assert s3.secret_key not in frame.to_csv()


def test_the_schedule_fires_by_itself_and_a_run_by_hand_beside_it_doubles_nothing(
    server: PrefectServer, worker: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    names = write_pairs(tmp_path / "in", [f"p{k:02}" for k in range(24)], size=(240, 320))
    weights = tiny_weights(tmp_path)
    settings = settings_for(tmp_path / "in", tmp_path / "out", weights, chunk_pairs=1)
    server.deploy(settings.model_dump(mode="json", exclude_none=True), cron="* * * * *")
    # Nobody starts a run: the minute does.
    lease = tmp_path / "out/runs/.lease/00000001.json"
    wait_for(lease.exists, 180, "no scheduled run began")
    command = [str(Path(sys.executable).with_name("fuse-archive")), "run", *as_options(settings)]
    by_hand = subprocess.run(
        command, env=server.environment, capture_output=True, text=True, timeout=180
    )
    assert by_hand.returncode == 0, by_hand.stderr
    assert "24 left alone" in by_hand.stdout
    assert sorted(local_rows(settings)["pair_id"]) == names
