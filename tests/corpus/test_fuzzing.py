"""Damage anywhere gives a picture or an error that says what is wrong with the file."""

import os
import random
import signal
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from fuzz_decoders import fuzz, numbered
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import examine, mutant, seeds

from fusion_core.images.tiff_tags import read_tags
from fusion_core.scenes.stored_object import StoredObject
from fusion_core.storage.store import Storage


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    return Storage(str(tmp_path_factory.mktemp("scratch")))


@pytest.mark.parametrize("offset", [3, 2**43, 3 << 48, 2**62, 2**64 - 5])
@pytest.mark.parametrize("where", ["memory", "disk"])
def test_an_offset_behind_every_file_looks_like_its_end(
    tmp_path: Path, where: str, offset: int
) -> None:
    """GDAL goes where a damaged file points; mutants found a SystemError and an OSError there."""
    store = Storage("memory://offsets" if where == "memory" else str(tmp_path))
    store.write("a.tif", b"II*")
    file = StoredObject(store, "a.tif", 3, 1 << 16).open("a.tif")
    file.seek(offset)
    assert file.read(4) == b""
    file.seek(1)
    assert file.read(4) == b"I*"


@pytest.mark.parametrize("offset", [2**31, 2**43, 3 << 48, 2**62, 2**64 - 5])
def test_a_directory_behind_every_file_is_a_damaged_one(tmp_path: Path, offset: int) -> None:
    store = Storage(str(tmp_path))
    body = struct.pack("<2sHHHQ", b"II", 43, 8, 0, offset)
    store.write("a.tif", body)
    objects = StoredObject(store, "a.tif", len(body), 1 << 16)
    assert objects.start() == body[:12]
    assert objects.declared() == (None, None)
    with Path(tmp_path / "a.tif").open("rb") as file:
        assert read_tags(file) is None


def test_seeds_are_of_every_format() -> None:
    beginnings = [
        b"\x89PNG",
        b"\xff\xd8\xff",
        b"RIFF",
        b"BM",
        b"II*\0",
        b"MM\0*",
        b"II+\0",
        b"\0\0\0\x0cjP  ",
    ]
    for beginning in beginnings:
        assert any(body.startswith(beginning) for body in seeds()), beginning


@pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")
@settings(max_examples=300)
@given(st.randoms(use_true_random=False))
def test_a_mutant_gives_a_picture_or_a_clear_error(scratch: Storage, rng: random.Random) -> None:
    begin = time.perf_counter()
    examine(mutant(rng), scratch)
    assert time.perf_counter() - begin < 10


def test_equal_numbers_give_equal_mutants() -> None:
    assert numbered(3, 5) == numbered(3, 5)
    assert numbered(3, 5) != numbered(3, 6)


def killed_at_3(seed: int, number: Any, results: Any, first: int, store: str) -> None:
    """Stands for a codec that ends its process at mutant 3, and never comes back from mutant 5."""
    for k in range(first, 1000):
        number.value = k
        if k == 3:
            os.kill(os.getpid(), signal.SIGSEGV)
        if k == 4:
            results.send((k, "raised", "planted"))
        if k == 5:
            time.sleep(60)
    time.sleep(60)


def test_what_kills_or_keeps_the_process_is_found_and_kept(tmp_path: Path) -> None:
    found = fuzz(2, 2, tmp_path, "memory://", target=killed_at_3, patience=4, most=6)
    assert found["findings"]["raised"] == 1
    assert found["findings"]["ended"] == 2
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    expected = {3: "ended", 4: "raised", 5: "ended"}
    for number, kind in expected.items():
        assert kept[f"2-{number}-{kind}.bin"] == numbered(2, number)


@pytest.mark.slow
def test_the_command_goes_on_and_keeps_nothing_where_nothing_is_found(tmp_path: Path) -> None:
    found = fuzz(2, 2, tmp_path / "kept", str(tmp_path / "store"), most=200)
    assert found["mutants"] >= 200
    assert found["findings"] == {}
    assert not (tmp_path / "kept").exists()
