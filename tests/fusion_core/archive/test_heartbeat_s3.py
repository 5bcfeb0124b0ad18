"""The heartbeat's process comes to a bucket by what it is told and by the usual AWS chain."""

import pytest
from processes import wait_for
from s3_servers import S3Server

from fusion_core.archive.lease import Lease, acquire
from fusion_core.archive.lease_record import LeaseRecord, read_record, write_record
from fusion_core.archive.publisher import Publisher
from fusion_core.errors import LeaseLostError
from fusion_core.storage.store import Storage

pytestmark = pytest.mark.s3


def record_of(output: Storage) -> LeaseRecord:
    record = read_record(output, 1)
    assert record is not None
    return record


def lost(lease: Lease) -> bool:
    try:
        lease.check()
    except LeaseLostError:
        return True
    return False


@pytest.mark.parametrize("told", [True, False])
def test_it_beats_tells_of_a_successor_and_ends(
    told: bool, s3: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {}
    if told:
        given = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        options = {
            "endpoint_url": s3.url,
            **{given[k]: v for k, v in s3.env().items() if k in given},
        }
        for name in s3.env():
            monkeypatch.delenv(name, raising=False)
    output = Storage(f"s3://{s3_bucket}/out", options)
    lease = acquire(lambda: output, "first", seconds=1.0, wait=True)
    process = lease._heart._process
    assert process is not None
    assert lease._heart._process_is_up
    assert Publisher(lambda: output, lease).take_over().tombstones == 0
    lease.declare_intents(["part"])
    wait_for(lambda: record_of(output).beat > 3, 10, "it does not beat")
    write_record(output, 2, record_of(output).model_copy(update={"run_id": "second"}))
    wait_for(lambda: lost(lease), 5, "it did not tell of the successor")
    lease.release()
    assert not record_of(output).released
