"""Secrets are planted in all places that credentials come from, and looked for everywhere else."""

import asyncio
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import prefect.settings
import pyarrow.parquet as pq
import pytest
from outputs import Bucket, audit
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.exceptions import ParameterTypeError
from prefect.logging.handlers import APILogWorker
from prefect_database import put_database
from pydantic import ValidationError
from ray.cluster_utils import Cluster
from s3_accounts import Account, short_lived_account
from tiny import settings_for, tiny_weights, write_pairs

from flows.fuse_archive import fuse_archive
from flows.summaries.dry_run import DryRun
from flows.summaries.run import RunSummary
from fusion_core.errors import StorageError
from fusion_core.settings.fuse import FuseArchiveSettings

pytestmark = [pytest.mark.ray, pytest.mark.s3, pytest.mark.slow]
PAGE = 200  # what the API gives at once
NAMES = [f"p{k:02}" for k in range(24)]
PLANTED = {
    "environment": "PlantedEnvironmentSecret01234567890",
    "url": "PlantedUrlPassword0123456789",
    "wrong": "PlantedWrongSecret012345678901234567890",
}


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with short_lived_account() as made:
        yield made


@pytest.fixture
def bucket(account: Account) -> Bucket:
    name = f"secrets-{uuid.uuid4().hex[:16]}"
    account.server.make_bucket(name)
    with tempfile.TemporaryDirectory() as folder:
        write_pairs(folder, NAMES)
        made = Bucket(account.server, name)
        for path in sorted(Path(folder).rglob("*.png")):
            made.put(f"in/{path.relative_to(folder)}", path.read_bytes())
    return made


def settings_of(bucket: Bucket, folder: Path, **changes: Any) -> FuseArchiveSettings:
    source, output = f"s3://{bucket.name}/in", f"s3://{bucket.name}/out"
    gentle = {"chunk_pairs": 2, "contact_sheet": 2, "lease_seconds": 2.0, "max_workers": 1}
    return settings_for(source, output, tiny_weights(folder), **{**gentle, **changes})


def keep(name: str, value: dict[str, Any]) -> str:
    Secret(value=value).save(name, overwrite=True)
    return name


def objects(bucket: Bucket) -> dict[str, bytes]:
    """All that lies in the bucket, Parquet as text, the pictures of the source left out."""
    found = {key: bucket.read(key) for key in bucket.keys("") if not key.startswith("in/")}
    for key in [key for key in found if key.endswith(".parquet")]:
        file = pq.ParquetFile(io.BytesIO(found[key]))
        rows = f"{file.read().to_pylist()} {file.schema_arrow.metadata}"
        found[f"{key} in words"] = rows.encode()
    return found


def files(*folders: Path, since: float = 0.0) -> dict[str, bytes]:
    found = {}
    for path in (path for folder in folders for path in folder.rglob("*")):
        with suppress(OSError):
            if path.is_file() and path.stat().st_mtime >= since:
                found[str(path)] = path.read_bytes()
    return found


def told_by_prefect() -> dict[str, bytes]:
    """What its API shows: runs with parameters and states, logs, and artifacts."""

    async def read() -> dict[str, bytes]:
        async with get_client() as client:
            lists: dict[str, Any] = {
                "flow runs": client.read_flow_runs,
                "task runs": client.read_task_runs,
                "logs": client.read_logs,
                "artifacts": client.read_artifacts,
            }
            found: dict[str, bytes] = {}
            for name, page in lists.items():
                texts: list[str] = []
                while more := await page(limit=PAGE, offset=len(texts)):
                    texts += [one.model_dump_json() for one in more]
                found[name] = "\n".join(texts).encode()
            return found

    APILogWorker.drain_all(timeout=10)
    return asyncio.run(read())


def prefect_files(since: float) -> dict[str, bytes]:
    url = prefect.settings.PREFECT_SERVER_DATABASE_CONNECTION_URL.value()
    assert url is not None
    database = Path(str(url).partition("///")[2])
    home = Path(prefect.settings.PREFECT_HOME.value())
    return files(database.parent, since=0.0) | files(home, since=since)


def expect_nowhere(
    secrets: dict[str, str], places: dict[str, bytes], present: dict[str, str]
) -> None:
    """Fail where a secret is found; ``present`` says where which text must be, so that it would."""
    for place, text in present.items():
        assert any(text.encode() in body for name, body in places.items() if place in name), (
            f"{text!r} is not found in {place!r}, where it is known to be: {sorted(places)}"
        )
    found = [
        f"{kind} in {name}"
        for name, body in places.items()
        for kind, secret in secrets.items()
        if secret.encode() in body
    ]
    assert found == []


@contextmanager
def revoked_at_first_commit(account: Account, bucket: Bucket) -> Iterator[None]:
    def wait() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not bucket.keys("out/manifest/"):
            time.sleep(0.05)
        account.revoke()

    waiting = threading.Thread(target=wait)
    waiting.start()
    try:
        yield
    finally:
        waiting.join()
        account.allow()


@pytest.mark.usefixtures("prefect_api")
@pytest.mark.long
def test_no_secret_of_a_run_good_or_bad_is_seen_anywhere(
    account: Account,
    bucket: Bucket,
    ray_nodes: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    began = time.time()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAPLANTED")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", PLANTED["environment"])
    good = keep("planted-good", account.options())
    wrong = keep("planted-wrong", account.options(secret=PLANTED["wrong"]))
    settings = settings_of(bucket, tmp_path, credentials_block=good)

    looked = fuse_archive(settings.model_copy(update={"dry_run": True}))
    assert isinstance(looked, DryRun)
    assert looked.to_fuse == len(NAMES)
    with pytest.raises(StorageError, match=r"s3://.*access denied \(SignatureDoesNotMatch\)"):
        fuse_archive(settings.model_copy(update={"credentials_block": wrong}))
    password = f"s3://user:{PLANTED['url']}@{bucket.name}/in"
    with pytest.raises(ParameterTypeError, match="holds a user name and password") as refused:
        # As Prefect's engine does with what a deployment's run was given.
        fuse_archive.validate_parameters(
            {"settings": {"source": password, "output": settings.output}}
        )
    with pytest.raises(ValidationError) as invalid:
        FuseArchiveSettings(source=settings.source, output=password)  # type: ignore[call-arg]

    with (
        revoked_at_first_commit(account, bucket),
        pytest.raises(
            StorageError,
            match=rf"s3://{bucket.name}/.*access denied \((AccessDenied|403 Forbidden)\)",
        ),
    ):
        fuse_archive(settings)
    committed = bucket.rows("out")
    assert 0 < len({row["pair_id"] for row in committed}) == len(committed) < len(NAMES)
    for row in committed:
        body = bucket.read(row["fused_url"].removeprefix(f"s3://{bucket.name}/"))
        assert hashlib.sha256(body).hexdigest() == row["fused_sha256"]
    summary = fuse_archive(settings)
    assert isinstance(summary, RunSummary)
    # What was committed in the last moment, and could not be published, is done too.
    assert len(committed) <= summary.done_before < len(NAMES)
    assert summary.fused == len(NAMES) - summary.done_before
    audit(bucket, "out", NAMES)

    secrets = {**PLANTED, "secret": account.secret, "token": account.token}
    session = Path(ray_nodes.head_node.get_session_dir_path())
    places = {
        **{f"object {key}": body for key, body in objects(bucket).items()},
        **told_by_prefect(),
        **{f"prefect's file {path}": body for path, body in prefect_files(began).items()},
        **{f"ray's file {path}": body for path, body in files(session / "logs").items()},
        "log records": caplog.text.encode(),
        "errors": f"{refused.value!r} {invalid.value!r} {invalid.value}".encode(),
    }
    expect_nowhere(
        secrets,
        places,
        {
            "part-": bucket.name,
            "in words": summary.run_id,
            "summary.json": bucket.name,
            "summary.md": bucket.name,
            "out/runs/.lease/": summary.run_id,
            "flow runs": "planted-good",
            "logs": bucket.name,
            "artifacts": bucket.name,
            "prefect-test.db": "planted-good",
            "ray's file": "FusionActor",
            "log records": "Parameter validation failed for flow 'fuse-archive'",
            "errors": "holds a user name and password",
        },
    )


@pytest.mark.long
def test_no_secret_of_the_environment_is_left_by_the_command_line(
    account: Account, bucket: Bucket, tmp_path: Path
) -> None:
    account.allow()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PREFECT_"))}
    put_database(tmp_path / "prefect")
    with tempfile.TemporaryDirectory(prefix="fa") as short:  # Ray's sockets bear no long path
        environment |= {
            **{**account.server.env(), "AWS_ACCESS_KEY_ID": account.key},
            "AWS_SECRET_ACCESS_KEY": account.secret,
            "AWS_SESSION_TOKEN": account.token,
            "PREFECT_HOME": str(tmp_path / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "RAY_TMPDIR": short,
            "COLUMNS": "200",
        }
        command = [str(Path(sys.executable).with_name("fuse-archive")), "run", "--limit", "4"]
        command += ["--source", f"s3://{bucket.name}/in", "--model", "mean"]
        done = subprocess.run(
            [*command, "--output", f"s3://{bucket.name}/out", "--worker", "cpu:1"],
            env=environment,
            capture_output=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        places = {
            **objects(bucket),
            **{f"prefect's file {path}": body for path, body in files(tmp_path).items()},
            **{f"ray's file {path}": body for path, body in files(Path(short)).items()},
            "stdout": done.stdout,
            "stderr": done.stderr,
        }
    password = f"s3://{account.key}:{PLANTED['url']}@{bucket.name}/out"
    refused = subprocess.run([*command, "--output", password], env=environment, capture_output=True)
    assert refused.returncode == 2
    places["refused"] = refused.stdout + refused.stderr
    expect_nowhere(
        {"secret": account.secret, "token": account.token, "url": PLANTED["url"]},
        places,
        {
            "prefect.db": bucket.name,
            "ray's file": "FusionActor",
            "part-": bucket.name,
            "stdout": bucket.name,
            "stderr": bucket.name,
            "refused": "holds a user name and password",
        },
    )
