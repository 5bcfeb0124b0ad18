import dataclasses
import posixpath
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fusion_core.archive.layout import LONGEST_PATH, fused_path, is_image_of, path_beside
from fusion_core.archive.plan import PairRef
from fusion_core.images.codecs import EXTENSIONS
from fusion_core.settings.fuse import ImageFormat
from fusion_core.storage.store import Storage

REF = PairRef("1", "ir/1.png", 10, "v1", "vi/1.png", 20, "w1")
SWAPPED = dataclasses.replace(REF, ir_version="w1", vi_version="v1")
NAMES = st.one_of(
    st.text(max_size=300),
    st.text(alphabet="./%~\\\n[aé☃", max_size=300),
    st.sampled_from(["..", "../..", "/etc/passwd", "a//b", "a/./b", "", "%2E%2E/x", "." * 400]),
)


DEEP_NAMES = st.lists(
    st.text(alphabet="夜間撮影カメラ一号機aé", min_size=1, max_size=40), min_size=1, max_size=40
).map("/".join)
FORMATS: tuple[ImageFormat, ...] = ("png", "jpeg", "webp", "tiff")
LONGEST_KEY = 1024
"""Of S3, in bytes."""


def key(pair_id: str, kind: ImageFormat = "png", *, whole: bool = False) -> str:
    pair = dataclasses.replace(REF, pair_id=pair_id)
    return fused_path(pair, "0123456789abcdef", "model", kind, whole=whole)


@settings(max_examples=60)
@given(pair_id=NAMES)
@example(pair_id="..[" + "a" * 200 + "/..[" + "a" * 200 + "/..[" + "a" * 200 + "/x")
def test_no_pair_id_leads_out_of_its_folder(pair_id: str) -> None:
    path = key(pair_id)
    assert posixpath.normpath(path) == path
    assert path.startswith("fused/0123456789abcdef/")
    assert path.isascii()
    assert path.isprintable()
    assert "\\" not in path
    assert all(0 < len(part) <= 200 for part in path.split("/"))
    assert path.count("/") <= pair_id.count("/") + 2


@settings(max_examples=60)
@given(pair_ids=st.lists(NAMES, unique=True, min_size=2, max_size=6))
def test_no_two_pair_ids_share_a_path(pair_ids: list[str]) -> None:
    # also where a file system doesn't tell upper from lower case
    assert len({key(pair_id).lower() for pair_id in pair_ids}) == len(pair_ids)


def test_long_names_with_the_same_start_differ() -> None:
    assert key("a" * 400) != key("a" * 401)
    assert key("é" * 400 + "x") != key("é" * 400 + "y")


@settings(max_examples=80)
@given(pair_id=DEEP_NAMES, kind=st.sampled_from(FORMATS))
@example(pair_id="夜間/" * 300 + "x", kind="tiff")
@example(pair_id="a/" * 395 + "." * 9, kind="png")
def test_all_files_of_a_pair_in_many_deep_folders_have_a_key_that_s3_takes(
    pair_id: str, kind: ImageFormat
) -> None:
    path, before = key(pair_id, kind), key(pair_id, kind, whole=True)
    assert len(path) <= LONGEST_PATH
    stem = path_beside(path, "f" * 64).rpartition(".")[0]
    longest = f"bucket-folders/{'x' * 180}/{stem}.quicklook.png"
    assert len(longest.encode()) <= LONGEST_KEY
    assert all(0 < len(part) <= 200 for part in path.split("/"))
    assert posixpath.normpath(path) == path
    assert not re.search("%(?![0-9A-F]{2})", path)
    if len(before) <= LONGEST_PATH:
        assert path == before


@settings(max_examples=40)
@given(start=DEEP_NAMES, ends=st.lists(st.text("ab/", max_size=9), unique=True, min_size=2))
def test_long_pair_ids_with_the_same_start_never_share_a_path(start: str, ends: list[str]) -> None:
    deep = f"{start}/{'夜間/' * 60}"
    paths = {key(deep + end) for end in ends}
    assert len({path.lower() for path in paths}) == len(ends)
    names = {re.sub(r"\.[0-9a-f]{16}\.png$", "", path) for path in paths}
    assert len(names) == len(ends), "the names alone tell them apart"


def test_the_path_changes_with_all_that_could_change_the_pixels() -> None:
    paths = {
        fused_path(REF, "settings", "model", "png"),
        fused_path(REF, "settings-2", "model", "png"),
        fused_path(REF, "settings", "model-2", "png"),
        fused_path(dataclasses.replace(REF, ir_version="v2"), "settings", "model", "png"),
        fused_path(dataclasses.replace(REF, vi_version="w2"), "settings", "model", "png"),
        fused_path(SWAPPED, "settings", "model", "png"),
        *(fused_path(REF, "settings", "model", kind) for kind in ("jpeg", "webp", "tiff")),
        *(
            fused_path(REF, "settings", "model", "png", arithmetic=arithmetic)
            for arithmetic in ("cuda bf16 eager", "cpu fp32 eager")
        ),
    }
    assert len(paths) == 11


def test_without_an_arithmetic_the_path_is_what_it_was_before_there_was_one() -> None:
    """Rows of older schemas vouch for images at these paths."""
    assert fused_path(REF, "settings", "model", "png") == "fused/settings/1.1f4e3e8f16de0a3d.png"
    model = "473a5eac11586f0451ca877138b578f0f031c4ecbdb30ba162e685ee849ad274"
    shot = dataclasses.replace(REF, pair_id="2026/11/shot (7)")
    path = "fused/92292d2e1821d273/2026/11/shot (7).3ac6da3b6fb0cde2.tif"
    assert fused_path(shot, "92292d2e1821d273", model, "tiff") == path


def test_an_attempt_is_not_what_names_its_image() -> None:
    later = dataclasses.replace(REF, attempt=4, tries=3, history="memory at fuse on night")
    assert fused_path(later, "s", "m", "png") == fused_path(REF, "s", "m", "png")


def test_the_path_beside_is_one_of_its_own_by_the_bytes_and_as_readable() -> None:
    path = fused_path(dataclasses.replace(REF, pair_id="a.b/c"), "s", "m", "png")
    sha256 = "0123456789abcdef" * 4
    beside = path_beside(path, sha256)
    assert beside == f"{path.removesuffix('.png')}-0123456789abcdef.png"
    assert path_beside(path, sha256) == beside
    assert path_beside(path, "f" * 64) != beside


def test_the_path_is_known_before_the_image_is_and_readable() -> None:
    moved = dataclasses.replace(REF, ir_path="elsewhere.png", ir_bytes=11)
    assert fused_path(REF, "s", "m", "png") == fused_path(moved, "s", "m", "png")
    assert key("2026/11/shot (7)").startswith("fused/0123456789abcdef/2026/11/shot (7).")
    for kind, extension in EXTENSIONS.items():
        assert fused_path(REF, "s", "m", kind).endswith(f".{extension}")  # type: ignore[arg-type]


@pytest.mark.s3
@pytest.mark.parametrize("pair_id", ["../up", "é ☃", "100%", "a\nb", "q?x=1#y", "n" * 300])
def test_any_key_can_be_written_and_read_on_s3(pair_id: str, s3_bucket: str) -> None:
    storage = Storage(f"s3://{s3_bucket}/out")
    assert storage.create(key(pair_id), pair_id.encode())
    assert storage.list()["path"].to_pylist() == [key(pair_id)]
    assert storage.read(key(pair_id)) == pair_id.encode()


@pytest.mark.parametrize("pair_id", ["a", "c/d", "é/.7", "x" * 300, "漢字/" * 80 + "1"])
@pytest.mark.parametrize("whole", [False, True])
def test_an_image_is_known_by_its_pairs_id(pair_id: str, *, whole: bool) -> None:
    pair = PairRef(pair_id, "", 0, "v", "", 0, "v")
    path = fused_path(pair, "5e77", "ab" * 32, "png", whole=whole)
    stem = path.removesuffix(".png")
    for name in (path, path_beside(path, "cd" * 32), f"{stem}.quicklook.png", f"{stem}.json"):
        assert is_image_of(name, ["other", pair_id])
        assert not is_image_of(name, ["other", f"{pair_id}/1", f"z{pair_id}"])
