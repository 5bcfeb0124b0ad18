"""The nightly deployment as an operator has it: server, worker, S3, and things that die."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from outputs import Bucket, audit, local_rows
from prefect_processes import PrefectServer, prefect_server, stop
from processes import command, descendants, kill_tree, wait_for
from s3_servers import S3Server
from tiny import as_options, settings_for, tiny_weights, write_pairs

pytestmark = [
    pytest.mark.ray,
    pytest.mark.s3,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(900),
]
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
        # More than it may have published of what the first one had committed unheard.
        enough = len(bucket.rows("out")) + 4 * settings.chunk_pairs
        wait_for(lambda: len(bucket.rows("out")) > enough, 400, "the second run did not go on")
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
