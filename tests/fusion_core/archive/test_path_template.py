import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.archive.path_template import PathTemplate, frame_numbers, parse_templates
from fusion_core.errors import SettingsError

LITERALS = st.text(alphabet="ab/._-+()[]^$|?\\ é☃\n", max_size=3)
FIELDS = st.sampled_from(["{a}", "{b}", "{a:path}", "{b_2}", "*"])
PATHS = st.lists(st.text(alphabet="ab/._-+é\n", max_size=9), max_size=9)


def match(template: str, *paths: str) -> list[str | None]:
    parsed = PathTemplate.parse(template)
    mask, ids = parsed.match(pa.chunked_array([list(paths)], pa.string()), parsed.fields)
    assert mask.to_pylist() == [one is not None for one in ids.to_pylist()]
    found: list[str | None] = ids.to_pylist()
    return found


def naive(template: str, path: str) -> str | None:
    """The same in Python's own regular expressions, compared after matching."""
    names: list[str] = []
    pattern = ""
    for piece in re.split(r"(\{\w+(?::path)?\}|\*)", template):
        if piece == "*":
            pattern += "[^/]*"
        elif piece.startswith("{"):
            names.append(piece[1:-1].removesuffix(":path"))
            pattern += "(.+)" if piece.endswith(":path}") else "([^/]+)"
        else:
            pattern += re.escape(piece)
    found = re.fullmatch(pattern, path, re.DOTALL)
    if found is None:
        return None
    values: dict[str, str] = {}
    for name, value in zip(names, found.groups(), strict=True):
        if values.setdefault(name, value) != value:
            return None
    return "/".join(values.values())


@settings(max_examples=60)
@given(pieces=st.lists(st.tuples(LITERALS, FIELDS), min_size=1, max_size=4), paths=PATHS)
def test_matching_agrees_with_a_naive_matcher(
    pieces: list[tuple[str, str]], paths: list[str]
) -> None:
    template = "x" + "".join(literal + field for literal, field in pieces)
    if "{" not in template:
        template += "{a}"
    # random paths seldom match, so filled-in templates go with them
    filled = [re.sub(r"\{\w+(:path)?\}|\*", value, template) for value in ("a", "b/b", "", "é\n")]
    paths = [*paths, *(f"x{path}" for path in paths), *filled]
    assert match(template, *paths) == [naive(template, path) for path in paths]


@pytest.mark.parametrize(
    ("template", "path", "pair_id"),
    [
        ("ir/{pair}.png", "ir/0001.png", "0001"),
        ("ir/{pair}.png", "ir/deep/0001.png", None),
        ("ir/{pair}.png", "ir/0001.PNG", None),
        ("ir/{pair}.png", "old/ir/0001.png", None),
        ("ir/{pair}.png", "ir/.png", None),
        ("ir/{pair}.png", "ir/1xpng", None),
        ("{scene}/{scene}_B10.TIF", "LC08_1/LC08_1_B10.TIF", "LC08_1"),
        ("{scene}/{scene}_B10.TIF", "LC08_1/LC08_2_B10.TIF", None),
        ("{year}/{month}/{shot}_ir_*.tif", "2026/11/7_ir_v2.tif", "2026/11/7"),
        ("{all:path}/ir.png", "a/b/c/ir.png", "a/b/c"),
        ("{a}-{b}", "1-2-3", "1-2/3"),
        ("ir (1)/[{pair}]+.png", "ir (1)/[x]+.png", "x"),
        ("ir/{pair}.png", "ir/a\nb.png", "a\nb"),
        ("{all:path}.png", "a\n/b.png", "a\n/b"),
    ],
)
def test_templates_match_as_documented(template: str, path: str, pair_id: str | None) -> None:
    assert match(template, path) == [pair_id]


def test_the_pair_id_follows_the_given_order_of_fields() -> None:
    template = PathTemplate.parse("{shot}/{scene}.png")
    paths = pa.chunked_array([["7/park.png"]])
    assert template.match(paths, ("scene", "shot"))[1].to_pylist() == ["park/7"]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("ir/0001.png", "no field"),
        ("ir/*.png", "no field"),
        ("", "no field"),
        ("/ir/{pair}.png", "starts with '/'"),
        ("ir/{pair.png", "brace"),
        ("ir/pair}.png", "brace"),
        ("ir/{1pair}.png", "brace"),
        ("ir/{}.png", "brace"),
        ("ir/{pair:deep}.png", "brace"),
        ("ir/{{pair}}.png", "brace"),
    ],
)
def test_a_template_that_cannot_be_meant_is_refused(template: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        PathTemplate.parse(template)


@pytest.mark.parametrize(
    ("template", "path", "found"),
    [
        ("ir/{c}/{n:frame}.png", "ir/7/0001.png", ("7", "ir/7/{frame}.png", "0001", 1)),
        ("ir/{c}/{n:frame}.png", "ir/7/f_012b.png", ("7", "ir/7/{frame}.png", "f_012b", 12)),
        ("ir/{c}/{n:frame}.png", "ir/7/1_of_20.png", ("7", "ir/7/{frame}.png", "1_of_20", 20)),
        ("ir/{c}/f{n:frame}.png", "ir/7/f000.png", ("7", "ir/7/f{frame}.png", "000", 0)),
        ("{c}/{n:frame}/ir.png", "7/12/ir.png", ("7", "7/{frame}/ir.png", "12", 12)),
        ("{c:path}/{n:frame}", "a/b/3", ("a/b", "a/b/{frame}", "3", 3)),
        ("{c}/{c}_{n:frame}.png", "x/x_5.png", ("x", "x/x_{digits}.png", "5", 5)),
        ("{c}_{n:frame}.png", "a_1_5.png", ("a_1", "a_1_{digits}.png", "5", 5)),
        (
            *("ir/{c}/{n:frame}.png", "ir/7/1700000000123456789.png"),  # a time in nanoseconds
            ("7", "ir/7/{frame}.png", "1700000000123456789", 1_700_000_000_123_456_789),
        ),
        ("{c}_{n:frame}.png", "a_1_f5.png", None),
        ("ir/{c}/{n:frame}.png", "ir/7/mean.png", None),
        ("ir/{c}/{n:frame}.png", "ir/7/8/9.png", None),
        ("ir/{c}/{n:frame}.png", f"ir/7/{10**19}.png", None),
    ],
)
def test_a_frame_tells_its_sequence_and_number(
    template: str, path: str, found: tuple[str, str, str, int] | None
) -> None:
    parsed = PathTemplate.parse(template)
    assert parsed.fields == ("c",)
    assert match(template, path) == [found and found[0]]
    if found is not None:
        sequences, frames = parsed.sequences(pa.chunked_array([[path]], pa.string()))
        assert (*sequences.to_pylist(), *frames.to_pylist()) == found[1:3]
        assert frame_numbers(frames).to_pylist() == [found[3]]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("ir/{n:frame}.png", "no field beside the frame's"),
        ("ir/{c}_*/{n:frame}.png", "a frame and a '\\*'"),
        ("{c}/{n:frame}/{m:frame}.png", "a frame more than once"),
        ("{c}/{n:frame}/{n:frame}.png", "a frame more than once"),
        ("{n}/{n:frame}.png", "a frame more than once"),
        ("{c}/{n:frame}_{d}.png", "a field behind the frame"),
        ("{c}/{n:frame}/{d:path}", "a field behind the frame"),
        ("{c}{n:frame}.png", "a field right in front of the frame"),
        ("{c}00{n:frame}.png", "a field right in front of the frame"),
    ],
)
def test_a_frame_whose_sequence_could_not_be_found_again_is_refused(
    template: str, reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason):
        PathTemplate.parse(template)


def test_a_sequence_may_be_paired_with_a_single_file() -> None:
    ir, vi = parse_templates("ir/{c}/{n:frame}.png", "vi/{c}.mp4")
    assert (ir.placeholder, vi.placeholder) == ("{frame}", None)


def test_templates_must_share_their_fields_and_differ() -> None:
    ir, vi = parse_templates("{a}/{b}_ir.png", "{b}/{a}_vi.png")
    assert set(ir.fields) == set(vi.fields) == {"a", "b"}
    with pytest.raises(SettingsError, match="different fields"):
        parse_templates("ir/{a}.png", "vi/{b}.png")
    with pytest.raises(SettingsError, match="tell infrared from visible"):
        parse_templates("{a}.png", "{a}.png")
