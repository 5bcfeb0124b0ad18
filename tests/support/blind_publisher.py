"""Runs that publish, each blind to others: who holds the output is decided by the store alone."""

from collections import Counter
from typing import Any

from manifest_rows import row
from tiny import TODAY

from fusion_core.archive.layout import part_path
from fusion_core.archive.lease import acquire
from fusion_core.archive.lease_record import LeaseRecord
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.parts import commit_part
from fusion_core.archive.publisher import Publisher
from fusion_core.storage.store import Storage


class StillHeart:
    """A heart that neither beats nor learns of others; the run is blind."""

    lost_to = None
    is_silent = False

    def __init__(self, output: Any, generation: int, record: LeaseRecord):
        self.record = record

    def settle(self, generation: int) -> None:
        self.record = self.record.model_copy(update={"settled": generation})

    def stop(self) -> bool:
        return True


def begin(output: Storage, run_id: str = "run") -> Publisher:
    """Take the lease at once, whoever else believes to hold it, and take over."""
    publisher = blind(output, run_id)
    publisher.take_over()
    return publisher


def blind(output: Storage, run_id: str) -> Publisher:
    lease = acquire(lambda: output, run_id, seconds=0.01, wait=True)
    return Publisher(lambda: output, lease)


def commit(output: Storage, publisher: Publisher, name: str, *ids: str) -> str:
    path = part_path(TODAY, name)
    publisher.declare([path])
    assert commit_part(output, path, [row(pair_id) for pair_id in ids])
    publisher.committed([path])
    return path


def end(publisher: Publisher) -> None:
    publisher.finish()
    publisher.lease.release()


def published(output: Storage) -> Counter[str]:
    table = read_manifest(output.url("manifest"), latest=False, columns=["pair_id"])
    return Counter(table["pair_id"].to_pylist())


def files(output: Storage) -> list[str]:
    return [path.rpartition("/")[2] for path in output.list("manifest/")["path"].to_pylist()]
