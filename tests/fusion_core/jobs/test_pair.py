import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny import pair_refs, picture_pair, png, write_pairs

from fusion_core.archive.layout import path_beside
from fusion_core.errors import EncodeError, PairError, SizeMismatchError, StorageError, WriteError
from fusion_core.images.codecs import decode, encode
from fusion_core.images.pair import PicturePair
from fusion_core.images.picture import Picture
from fusion_core.jobs.loading import load_pair
from fusion_core.jobs.pair import PairState, create_image_file, finish_pair
from fusion_core.metrics import METRIC_NAMES, score
from fusion_core.settings.fuse import ImageSettings
from fusion_core.storage.store import Storage

PNG = ImageSettings()
PATH = "fused/a.png"


@pytest.fixture
def source(tmp_path: Path) -> Storage:
    write_pairs(tmp_path / "source", ["a"])
    return Storage(str(tmp_path / "source"))


@pytest.fixture
def output(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "output"))


def loaded(source: Storage, settings: ImageSettings = PNG) -> PairState:
    pair = PairState(pair_refs(source.root, ["a"])[0])
    pair.loaded = load_pair(
        pair.ref,
        source,
        settings=settings,
        max_megapixels=1,
        stage=pair.timed,
    )
    return pair


def replace_visible(pair: PairState, vi: Picture) -> None:
    pair.loaded = PicturePair.of(pair.pictures.ir.picture, vi, PNG)


def fused_for(pair: PairState) -> NDArray[np.float32]:
    return np.mean(pair.pictures.luminances(), axis=0, dtype=np.float32)


def finished(
    pair: PairState, output: Storage, settings: ImageSettings = PNG, path: str = PATH
) -> dict[str, Any]:
    return finish_pair(pair, fused_for(pair), output, path=path, settings=settings, device="cpu")


def check_row(row: dict[str, Any], pair: PairState, output: Storage, path: str = PATH) -> None:
    """Compare what a row says of the image with the image that is stored."""
    body = output.read(path)
    stored = decode(body)
    assert row["fused_url"] == output.url(path)
    assert row["fused_sha256"] == hashlib.sha256(body).hexdigest()
    assert row["fused_bytes"] == len(body)
    assert (row["height"], row["width"]) == stored.pixels.shape[:2]
    assert row["bit_depth"] == stored.bit_depth
    ir, vi = pair.pictures.ir.picture.pixels, pair.pictures.vi.picture.pixels
    expected = score(ir, vi, stored.pixels)
    assert {name: row[name] for name in METRIC_NAMES} == pytest.approx(expected, rel=1e-12)


def test_loading_is_timed_and_named_by_stage(source: Storage) -> None:
    pair = loaded(source)
    assert set(pair.seconds) == {"read", "decode"}
    source.write("ir/a.png", png(picture_pair(1, (12, 16))[0]))
    pair = PairState(pair_refs(source.root, ["a"])[0])
    with pytest.raises(SizeMismatchError):
        load_pair(pair.ref, source, settings=PNG, max_megapixels=1, stage=pair.timed)
    assert pair.stage == SizeMismatchError.stage == "pair"


def test_a_pair_lets_go_of_its_pixels_at_its_end(source: Storage) -> None:
    pair = loaded(source)
    pair.end()
    assert pair.loaded is None
    assert pair.ended is not None


def test_resize_ir_brings_infrared_to_the_visible_size(source: Storage, output: Storage) -> None:
    source.write("ir/a.png", png(np.full((12, 16), 90, np.uint8)))
    pair = loaded(source, ImageSettings(size_mismatch="resize_ir"))
    assert (pair.pictures.ir.picture.pixels == 90).all()
    assert pair.pictures.ir.picture.pixels.shape == (24, 32)
    assert finished(pair, output)["height"] == 24


def raising(error: Exception) -> Any:
    def call(*_: Any) -> None:
        raise error

    return call


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "tiff"])
def test_a_row_describes_and_scores_the_stored_file(
    source: Storage, output: Storage, kind: Any
) -> None:
    pair = loaded(source)
    quality = {"quality": 30} if kind in ("jpeg", "webp") else {}
    row = finished(pair, output, ImageSettings(format=kind, **quality))
    assert row["fused_format"] == kind
    check_row(row, pair, output)
    assert set(pair.seconds) == {"read", "decode", "encode", "write", "score"}


# Outside of tests the module of deep images silences it; pytest puts its own filters before that.
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_16_bits_and_alpha_of_the_visible_image_are_kept(source: Storage, output: Storage) -> None:
    pair = loaded(source)
    alpha = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32)
    deep = pair.pictures.vi.picture.pixels[..., 0].astype(np.uint16) * 257
    replace_visible(pair, Picture(deep, alpha))
    row = finished(pair, output)
    assert row["bit_depth"] == 16
    np.testing.assert_array_equal(decode(output.read(PATH)).alpha, alpha)


def test_metrics_that_are_not_defined_are_null(source: Storage, output: Storage) -> None:
    for name in ("ir/a.png", "vi/a.png"):
        source.write(name, png(np.full((3, 3), 7, np.uint8)))
    row = finished(loaded(source), output)
    assert row["vif"] is None  # smaller than its window
    assert row["en"] == 0


def test_an_image_with_the_same_bytes_stays(source: Storage, output: Storage) -> None:
    first = finished(loaded(source), output)
    before = output.fs.info(output.fs_path(PATH))["mtime"]
    assert finished(loaded(source), output) == first
    assert output.fs.info(output.fs_path(PATH))["mtime"] == before


@pytest.mark.parametrize(
    "what", ["deep", "truncated", "empty", "of another size", "no image", "same"]
)
def test_other_bytes_at_the_path_stay_and_ours_lie_beside_them(
    source: Storage, output: Storage, what: str
) -> None:
    """A row of another run may name them, and none of ours vouches for them."""
    whole = png(picture_pair(3)[1])
    pair = loaded(source)
    fused = pair.pictures.fused(fused_for(pair))
    theirs = {
        "deep": encode(Picture(np.random.default_rng(2).integers(0, 65535, (24, 32), "u2")), PNG),
        "truncated": whole[:100],
        "empty": b"",
        "of another size": png(picture_pair(3, (9, 9))[1]),
        "no image": b"no image",
        "same": png(fused.pixels),  # as an earlier version compressed them
    }[what]
    output.write(PATH, theirs)
    row = finished(pair, output)
    beside = path_beside(PATH, row["fused_sha256"])
    assert output.read(PATH) == theirs
    assert row["bit_depth"] == 8
    check_row(row, pair, output, beside)
    assert output.list("fused")["path"].to_pylist() == sorted([PATH, beside])


def test_an_image_beside_others_is_found_there_again(source: Storage, output: Storage) -> None:
    output.write(PATH, b"theirs")
    first = finished(loaded(source), output)
    beside = path_beside(PATH, first["fused_sha256"])
    before = output.fs.info(output.fs_path(beside))["mtime"]
    assert finished(loaded(source), output) == first
    assert output.fs.info(output.fs_path(beside))["mtime"] == before


def test_a_name_that_holds_other_bytes_than_it_says_is_an_error(
    source: Storage, output: Storage
) -> None:
    body = finished(loaded(source), output)["fused_sha256"]
    for path in (PATH, path_beside(PATH, body)):
        output.write(path, b"theirs")
    with pytest.raises(WriteError, match="holds other bytes than its name says; expected those of"):
        finished(loaded(source), output)
    assert output.read(PATH) == output.read(path_beside(PATH, body)) == b"theirs"


def test_what_a_format_cannot_hold_fails_at_encoding(source: Storage, output: Storage) -> None:
    pair = loaded(source)
    replace_visible(pair, Picture(pair.pictures.vi.picture.pixels, np.zeros((24, 32), np.uint8)))
    with pytest.raises(EncodeError):
        finished(pair, output, ImageSettings(format="jpeg"))
    assert pair.stage == "encode"
    assert not output.exists(PATH)


@pytest.mark.parametrize("error", [StorageError("the disk is full"), FileNotFoundError("gone")])
def test_storage_that_fails_is_a_write_error(
    source: Storage, output: Storage, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(output, "create", raising(error))
    pair = loaded(source)
    with pytest.raises(WriteError, match=str(error)) as caught:
        finished(pair, output)
    assert isinstance(caught.value, PairError)
    assert pair.stage == caught.value.stage == "write"


def test_a_file_is_created_where_it_is_to_be_or_beside_what_is_there(
    output: Storage, tmp_path: Path
) -> None:
    local = tmp_path / "local"
    local.write_bytes(b"ours")
    assert create_image_file(output, "fused/a.mp4", local) == "fused/a.mp4"
    assert create_image_file(output, "fused/a.mp4", local) == "fused/a.mp4"  # the same bytes
    output.write("fused/b.mp4", b"theirs")
    own = path_beside("fused/b.mp4", hashlib.sha256(b"ours").hexdigest())
    for _ in range(2):
        assert create_image_file(output, "fused/b.mp4", local) == own
    assert (output.read("fused/b.mp4"), output.read(own)) == (b"theirs", b"ours")


def test_a_file_whose_name_is_taken_twice_is_told(output: Storage, tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.write_bytes(b"ours")
    own = path_beside("fused/a.mp4", hashlib.sha256(b"ours").hexdigest())
    for path in ("fused/a.mp4", own):
        output.write(path, b"theirs")
    with pytest.raises(WriteError, match=r"holds other bytes than its name says; .* Remove it"):
        create_image_file(output, "fused/a.mp4", local)
