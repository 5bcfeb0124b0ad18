from collections import Counter

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.archive.fused_images import (
    IMAGES_SCHEMA,
    FusedImages,
    match_fused,
    without_matches,
)
from fusion_core.archive.pairing import PAIRS_SCHEMA
from fusion_core.storage.listing import LISTING_SCHEMA

IDS = st.sets(st.sampled_from("abcdef"))
FILES = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("12")), unique=True)


def pairs_of(ids: set[str]) -> pa.Table:
    rows = [
        {
            "pair_id": name,
            **{f"{side}_path": f"{side}/{name}" for side in ("ir", "vi")},
            **{f"{side}_bytes": 1 for side in ("ir", "vi")},
            **{f"{side}_version": "v" for side in ("ir", "vi")},
        }
        for name in sorted(ids)
    ]
    return pa.Table.from_pylist(rows, schema=PAIRS_SCHEMA)


def listing_of(*paths: str) -> pa.Table:
    rows = [{"path": path, "bytes": len(path), "version": f"v-{path}"} for path in sorted(paths)]
    return pa.Table.from_pylist(rows, schema=LISTING_SCHEMA)


def match(ids: set[str], *paths: str, template: str = "fused/{pair}.{digest}.png") -> FusedImages:
    return match_fused(pairs_of(ids), {"m": (listing_of(*paths), template)}, ("pair",))


@settings(max_examples=60)
@given(ids=IDS, files=st.fixed_dictionaries({"m": FILES, "n": FILES}))
def test_every_file_and_pair_is_matched_or_listed_as_plain_python_does(
    ids: set[str], files: dict[str, list[tuple[str, str]]]
) -> None:
    listing = listing_of(
        *(f"{method}/{name}.{k}.png" for method, found in files.items() for name, k in found)
    )
    methods = {method: (listing, f"{method}/{{pair}}.{{digest}}.png") for method in files}
    matched = match_fused(pairs_of(ids), methods, ("pair",))
    assert matched.images.schema.equals(IMAGES_SCHEMA)
    images = [(row["pair_id"], row["method"]) for row in matched.images.to_pylist()]
    assert images == sorted(images)
    for method, found in files.items():
        paths = {(name, k): f"{method}/{name}.{k}.png" for name, k in found}
        counts = Counter(name for name, _ in found)
        single = {key: path for key, path in paths.items() if counts[key[0]] == 1}
        have = {name for name, _ in single}
        assert {pair for pair, other in images if other == method} == ids & have
        assert matched.unpaired[method] == tuple(
            sorted(path for (name, _), path in single.items() if name not in ids)
        )
        assert matched.missing[method] == tuple(sorted(ids - have))
        assert matched.ambiguous[method] == tuple(
            sorted(set(paths.values()) - set(single.values()))
        )


def test_a_row_holds_both_sources_and_the_fused_file() -> None:
    (row,) = match({"a"}, "fused/a.0f.png").images.to_pylist()
    assert row == {
        **pairs_of({"a"}).to_pylist()[0],
        "fused_path": "fused/a.0f.png",
        "fused_bytes": 14,
        "fused_version": "v-fused/a.0f.png",
        "method": "m",
    }


def test_our_own_output_can_be_scored_by_its_template() -> None:
    template = "fused/{settings}/{pair:path}.{digest}.png"
    matched = match({"a", "b/c"}, "fused/12/a.34.png", "fused/12/b/c.56.png", template=template)
    assert matched.images["pair_id"].to_pylist() == ["a", "b/c"]


def test_the_pair_id_has_the_order_of_the_sources_fields() -> None:
    listing = listing_of("x_monday.png")
    methods = {"m": (listing, "{scene}_{day}.png")}
    matched = match_fused(pairs_of({"monday/x"}), methods, ("day", "scene"))
    assert matched.images["pair_id"].to_pylist() == ["monday/x"]


def test_no_method_and_no_file_leave_empty_tables() -> None:
    assert len(match_fused(pairs_of({"a"}), {}, ("pair",)).images) == 0
    matched = match({"a"})
    assert (len(matched.images), matched.missing) == (0, {"m": ("a",)})


def test_paths_that_a_template_matches_are_not_unmatched() -> None:
    paths = ["f/1.png", "notes.txt", "g/1.png"]
    assert without_matches(paths, ["f/{pair}.png", "g/{a}.png"]) == ("notes.txt",)
    assert without_matches([], ["f/{pair}.png"]) == ()
    assert without_matches(paths, []) == tuple(paths)


def test_an_image_is_archived_where_it_or_a_file_of_its_pair_is() -> None:
    pairs = pairs_of({"a", "b", "c"})
    held = pa.array([None, "GLACIER", None], pa.string())
    pairs = pairs.drop_columns("archived").append_column("archived", held)
    rows = [
        {"path": f"fused/{name}.png", "bytes": 1, "version": "v", "archived": archived}
        for name, archived in (("a", None), ("b", "DEEP_ARCHIVE"), ("c", "DEEP_ARCHIVE"))
    ]
    listing = pa.Table.from_pylist(rows, schema=LISTING_SCHEMA)
    images = match_fused(pairs, {"m": (listing, "fused/{pair}.png")}, ("pair",)).images
    assert images.schema.equals(IMAGES_SCHEMA)
    assert images["archived"].to_pylist() == [None, "GLACIER", "DEEP_ARCHIVE"]
