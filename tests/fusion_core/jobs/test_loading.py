import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import pair_refs, picture_pair, png, write_pairs

from fusion_core.archive.plan import PairRef
from fusion_core.errors import (
    DecodeError,
    ReadError,
    SameFileError,
    SizeMismatchError,
    StorageError,
)
from fusion_core.images.pair import PicturePair
from fusion_core.jobs.loading import load_pair
from fusion_core.settings.scaling import ScalingSettings
from fusion_core.storage.store import Storage


@pytest.fixture
def source(tmp_path: Path) -> Storage:
    write_pairs(tmp_path, ["a"])
    return Storage(str(tmp_path))


@pytest.fixture
def ref(source: Storage) -> PairRef:
    return pair_refs(source.root, ["a"])[0]


def load(ref: PairRef, source: Storage, **changes: Any) -> PicturePair:
    return load_pair(ref, source, **{"settings": ScalingSettings(), "max_megapixels": 1, **changes})


def test_a_loaded_pair_holds_the_pixels_of_its_files(source: Storage, ref: PairRef) -> None:
    pair = load(ref, source)
    ir, vi = picture_pair(int.from_bytes(b"a"))
    np.testing.assert_array_equal(pair.ir.picture.pixels, ir)
    np.testing.assert_array_equal(pair.vi.picture.pixels, vi)
    assert [image.shape for image in pair.luminances()] == [(24, 32)] * 2


def test_each_stage_is_entered_before_it_can_fail(source: Storage, ref: PairRef) -> None:
    stages: list[str] = []

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        stages.append(name)
        yield

    load(ref, source, stage=stage)
    assert stages == ["read", "decode"]
    source.write("ir/a.png", png(picture_pair(1, (12, 16))[0]))
    resized = pair_refs(source.root, ["a"])[0]
    with pytest.raises(SizeMismatchError):
        load(resized, source, stage=stage)
    assert stages[2:] == ["read", "decode", "pair"]


def test_a_file_is_not_fused_with_itself(source: Storage, ref: PairRef) -> None:
    same = dataclasses.replace(ref, vi_path=ref.ir_path, vi_version=ref.ir_version)
    with pytest.raises(SameFileError, match=r"both sides are the one file ir/a\.png"):
        load(same, source)


def test_a_sequence_is_no_image(source: Storage, ref: PairRef) -> None:
    frames = dataclasses.replace(ref, vi_path="vi/{frame}.png")
    with pytest.raises(DecodeError, match=r"^vi/\{frame\}\.png is a sequence of frames"):
        load(frames, source)


def test_different_sizes_are_refused(source: Storage) -> None:
    source.write("ir/a.png", png(picture_pair(1, (12, 16))[0]))
    (ref,) = pair_refs(source.root, ["a"])
    with pytest.raises(SizeMismatchError, match=r"is 16x12 and visible 32x24; .*resize_ir"):
        load(ref, source)
    resized = load(ref, source, settings=ScalingSettings(size_mismatch="resize_ir"))
    assert resized.ir.picture.pixels.shape == (24, 32)


@pytest.mark.parametrize("name", ["ir/a.png", "vi/a.png"])
def test_a_file_that_changed_since_it_was_listed_is_not_read(
    source: Storage, ref: PairRef, name: str
) -> None:
    source.write(name, source.read(name) + b"more")
    with pytest.raises(ReadError, match=f"{name} has .* when the archive was listed"):
        load(ref, source)


@pytest.mark.parametrize("name", ["ir/a.png", "vi/a.png"])
def test_other_content_of_the_same_size_is_not_read(
    source: Storage, ref: PairRef, name: str
) -> None:
    body = source.read(name)
    source.write(name, body[:-1] + bytes([body[-1] ^ 1]))
    with pytest.raises(ReadError, match=f"{name} has other content than when the archive"):
        load(ref, source)


@pytest.mark.parametrize("name", ["ir/a.png", "vi/a.png"])
def test_a_file_that_vanished_since_it_was_listed_is_named(
    source: Storage, ref: PairRef, name: str
) -> None:
    source.fs.rm_file(source.fs_path(name))
    with pytest.raises(ReadError, match=f"{name} is gone; .* The next run looks again"):
        load(ref, source)


def test_storage_that_fails_is_a_read_error(
    source: Storage, ref: PairRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise StorageError("the store is away")

    monkeypatch.setattr(source, "read", fail)
    with pytest.raises(ReadError, match="the store is away"):
        load(ref, source)


def test_a_damaged_file_is_named_with_its_path(source: Storage) -> None:
    source.write("vi/a.png", source.read("vi/a.png")[:300])
    with pytest.raises(DecodeError, match=r"^vi/a\.png: the image is damaged"):
        load(pair_refs(source.root, ["a"])[0], source)


def test_the_limit_of_megapixels_is_kept(source: Storage, ref: PairRef) -> None:
    with pytest.raises(DecodeError, match=r"ir/a\.png: .* at most 0\.0001 are decoded"):
        load(ref, source, max_megapixels=0.0001)


def test_no_data_have_no_share_in_what_infrared_is_resized_to(source: Storage) -> None:
    infrared = np.full((12, 16), 90, np.uint8)
    infrared[:, :4] = 255
    source.write("ir/a.png", png(infrared))
    settings = ScalingSettings(size_mismatch="resize_ir", nodata=255)
    pair = load(pair_refs(source.root, ["a"])[0], source, settings=settings)
    assert pair.ir.valid is not None
    assert not pair.ir.valid[:, :8].any()
    assert pair.ir.valid[:, 12:].all()
    assert (pair.ir.picture.pixels[pair.ir.valid] == 90).all()


@pytest.mark.parametrize("nodata", [-9999, 0.5, 256, float("nan")])
def test_a_nodata_value_that_no_pixel_can_have_is_refused(
    source: Storage, ref: PairRef, nodata: float
) -> None:
    with pytest.raises(DecodeError, match=r"nodata is set to .* uint8 and uint8 can't have"):
        load(ref, source, settings=ScalingSettings(nodata=nodata))
    assert load(ref, source, settings=ScalingSettings(nodata=255)).vi.picture.pixels.any()
