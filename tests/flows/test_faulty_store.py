"""The whole flow over a store on which things go wrong, or that goes away."""

import threading
import time
from typing import Any

import pandas as pd
import pytest
from auditor import Auditor
from faulty_proxy import FaultyProxy, faulty_proxy
from prefect.blocks.system import Secret
from s3_servers import S3Server
from tiny import settings_for, tiny_weights, write_pairs

from flows.fuse_archive import fuse_archive
from flows.summaries.run import RunSummary
from fusion_core.errors import UnreachableError
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

pytestmark = [
    pytest.mark.ray,
    pytest.mark.s3,
    pytest.mark.slow,
    pytest.mark.usefixtures("prefect_api", "ray_nodes"),
]
PAIRS = 12


@pytest.fixture
def archive(s3_bucket: str, tmp_path: Any) -> FuseArchiveSettings:
    write_pairs(f"s3://{s3_bucket}/in", [f"p{k:02}" for k in range(PAIRS)])
    return settings_for(
        f"s3://{s3_bucket}/in",
        f"s3://{s3_bucket}/out",
        tiny_weights(tmp_path),
        chunk_pairs=2,
        contact_sheet=0,
        storage_timeout=24.0,
        lease_seconds=2.0,
    )


def through(proxy: FaultyProxy | str, server: S3Server, archive: FuseArchiveSettings) -> Any:
    """Return the settings with credentials that lead through a proxy, or to another URL."""
    url = proxy if isinstance(proxy, str) else proxy.url
    name = f"faulty-{url.rpartition(':')[2]}"
    options = {**server.storage_options(), "endpoint_url": url}
    Secret(value=options).save(name, overwrite=True)
    return archive.model_copy(update={"credentials_block": name})


def audit(server: S3Server, bucket: str) -> None:
    found = Auditor(server._client("s3"), bucket).audit("in", "out")
    assert found.violations == []
    assert (found.ok_rows, found.failed_rows, found.undone_rows) == (PAIRS, 0, 0)


def rows(bucket: str, server: S3Server) -> pd.DataFrame:
    options = server.storage_options()
    return pd.read_parquet(f"s3://{bucket}/out/manifest", storage_options=options)


@pytest.mark.long
def test_where_one_request_in_five_goes_wrong_a_run_completes_and_counts_what_it_repeated(
    archive: FuseArchiveSettings, s3: S3Server, s3_bucket: str
) -> None:
    with faulty_proxy(s3, "mixed", 0.2, seed=3) as proxy:
        summary = fuse_archive(through(proxy, s3, archive))
        made = proxy.made()
    assert isinstance(summary, RunSummary)
    assert (summary.fused, summary.failed) == (PAIRS, 0)
    assert sum(made.values()) > 10
    audit(s3, s3_bucket)
    repeated = int(rows(s3_bucket, s3)["retries"].sum())
    assert 0 < repeated == summary.retries <= sum(made.values())
    assert f"{repeated} calls to the stores had to be made again" in summary.sentence()


def test_a_store_that_is_not_there_ends_the_run_in_bounded_time_and_is_named(
    archive: FuseArchiveSettings, s3: S3Server
) -> None:
    settings = through("http://127.0.0.1:9", s3, archive).model_copy(
        update={"storage_timeout": 2.0}
    )
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=r"the store at http://127.0.0.1:9 gave no whole"):
        fuse_archive(settings)
    assert time.monotonic() - began < 20


@pytest.mark.long
def test_a_store_that_goes_away_in_mid_run_ends_it_and_the_next_run_goes_on(
    archive: FuseArchiveSettings, s3: S3Server, s3_bucket: str
) -> None:
    settings = archive.model_copy(update={"storage_timeout": 4.0})
    output = Storage(settings.output)

    def end_in_mid_run(proxy: FaultyProxy) -> None:
        while not output.list("manifest/").num_rows:
            time.sleep(0.05)
        proxy.end()
        times.append(time.monotonic())

    times: list[float] = []
    with faulty_proxy(s3, "slow_down_503", 0.3, seed=3) as proxy:  # slow enough to be hit
        killer = threading.Thread(target=end_in_mid_run, args=(proxy,))
        killer.start()
        with pytest.raises(UnreachableError, match=proxy.url):
            fuse_archive(through(proxy, s3, settings))
    killer.join()
    assert time.monotonic() - times[0] < 30
    assert 0 < len(rows(s3_bucket, s3)) < PAIRS
    summary = fuse_archive(through(s3.url, s3, archive))
    assert isinstance(summary, RunSummary)
    assert summary.fused > 0
    audit(s3, s3_bucket)


@pytest.mark.long
def test_a_store_without_conditional_writes_is_named_and_the_run_looks_before_it_writes(
    archive: FuseArchiveSettings,
    s3: S3Server,
    s3_bucket: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with faulty_proxy(s3, "unconditional", 1.0) as proxy:
        settings = through(proxy, s3, archive)
        first, second = fuse_archive(settings), fuse_archive(settings)
    assert isinstance(first, RunSummary)
    assert isinstance(second, RunSummary)
    assert (first.fused, second.fused, second.done_before) == (PAIRS, 0, PAIRS)
    assert "ignores conditional writes (If-None-Match)" in caplog.text
    assert "Each looks before it writes instead" in caplog.text
    audit(s3, s3_bucket)
