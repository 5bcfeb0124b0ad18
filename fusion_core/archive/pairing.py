"""Pairs the infrared and visible files of a listing, on columns.

A pair id is what both files of a pair share: the fields of the templates, or the index file's
``pair_id`` column. What can't be paired is counted and listed, and never stops a run.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from fusion_core.archive.index_paths import below_source
from fusion_core.archive.path_template import parse_templates
from fusion_core.errors import SettingsError

PAIRS_SCHEMA = pa.schema(
    [pa.field("pair_id", pa.string(), nullable=False)]
    + [
        pa.field(f"{side}_{name}", kind, nullable=False)
        for side in ("ir", "vi")
        for name, kind in (("path", pa.string()), ("bytes", pa.int64()), ("version", pa.string()))
    ]
    + [pa.field("archived", pa.string())]
)
"""Columns of a pair; ``archived`` is the storage class of a side that must be restored to be read,
the infrared one's if both must."""

_INDEX_COLUMNS = ("pair_id", "ir", "vi")
_LISTED = ("path", "bytes", "version", "archived")


@dataclass(frozen=True)
class Pairing:
    """The outcome of pairing a listing.

    Attributes:
        pairs: One row of ``PAIRS_SCHEMA`` per pair, sorted by pair id.
        unpaired: Paths of files whose counterpart is missing.
        ambiguous: Paths of files that claim a pair id and modality that another file claims too.
            None of them is paired, because choosing one would be a guess.
        unmatched: Paths that match neither template, or that the index doesn't name.
        index_rows: Rows of the index that name a file of what is looked at; None without an index.
    """

    pairs: pa.Table
    unpaired: tuple[str, ...]
    ambiguous: tuple[str, ...]
    unmatched: tuple[str, ...]
    index_rows: int | None = None


def pair_by_templates(listing: pa.Table, ir: str, vi: str) -> Pairing:
    """Pair the files of a listing by two path templates.

    Args:
        listing: Rows of ``LISTING_SCHEMA``.
        ir: Template of the infrared files.
        vi: Template of the visible files.

    Raises:
        SettingsError: The templates can't be read or don't fit together.
    """
    templates = parse_templates(ir, vi)
    paths = listing["path"]
    matches = [template.match(paths, templates[0].fields) for template in templates]
    both = pc.and_(matches[0][0], matches[1][0])
    claims = []
    for side, (mask, ids) in zip(("ir", "vi"), matches, strict=True):
        alone = pc.and_not(mask, both)
        claim = listing.append_column("pair_id", ids).filter(alone)
        claims.append(claim.append_column("side", pa.array([side] * len(claim), pa.string())))
    unmatched = pc.invert(pc.or_(matches[0][0], matches[1][0]))
    # A file that is infrared and visible at once is claimed twice, hence ambiguous.
    return _join(
        claims[0],
        claims[1],
        ambiguous=_strings(paths.filter(both)),
        unmatched=_strings(paths.filter(unmatched)),
    )


def pair_by_index(
    listing: pa.Table,
    index: pa.Table,
    roots: Sequence[str] = (),
    prefixes: tuple[str, ...] = ("",),
) -> Pairing:
    """Pair the files of a listing by an index table.

    Args:
        listing: Rows of ``LISTING_SCHEMA``.
        index: Columns ``pair_id``, ``ir`` and ``vi``, the latter two paths below the source, alone
            or with one of ``roots`` in front.
        roots: The ways to write the source, of ``source_roots``; paths are taken as they are
            without.
        prefixes: What the paths of the listing start with. Rows of which neither file does belong
            to what is not looked at, and are left out.

    Raises:
        SettingsError: A column is missing, a value in it is empty, or a path lies outside of the
            source.
    """
    if any(index.column_names.count(name) != 1 for name in _INDEX_COLUMNS):
        raise SettingsError(
            f"the index has the columns {index.column_names}; expected pair_id, ir and vi, each "
            "of them once"
        )
    try:
        index = pa.table({name: index[name].cast(pa.string()) for name in _INDEX_COLUMNS})
    except pa.ArrowException as error:
        raise SettingsError(f"the index holds other than text: {error}; expected text") from error
    for name in index.column_names:
        empty = pc.fill_null(pc.equal(index[name], ""), True)
        if pc.any(empty).as_py():
            raise SettingsError(
                f"the index column {name} has an empty value in row "
                f"{pc.index(empty, True).as_py() + 1}; expected one in every row"
            )
    if roots:
        paths = below_source(index.select(["ir", "vi"]), listing["path"], roots)
        index = pa.table({"pair_id": index["pair_id"], **paths})
    if "" not in prefixes:
        index = index.filter(
            pc.or_(*(_starts_with_any(index[side], prefixes) for side in ("ir", "vi")))
        )
    claims = []
    absent: list[str] = []
    for side in ("ir", "vi"):
        named = index.select(["pair_id", side]).rename_columns(["pair_id", "path"])
        claim = named.join(listing, "path", join_type="left outer").combine_chunks()
        found = pc.is_valid(claim["version"])
        absent += _strings(claim.filter(pc.invert(found))["path"])
        claim = claim.filter(found)
        claims.append(claim.append_column("side", pa.array([side] * len(claim), pa.string())))
    named_paths = pa.chunked_array([*index["ir"].chunks, *index["vi"].chunks], pa.string())
    unmatched = pc.invert(pc.is_in(listing["path"], value_set=named_paths))
    pairing = _join(
        claims[0], claims[1], ambiguous=(), unmatched=_strings(listing["path"].filter(unmatched))
    )
    unpaired = tuple(sorted({*pairing.unpaired, *absent}))
    return replace(pairing, unpaired=unpaired, index_rows=len(index))


def read_index(name: str, body: bytes) -> pa.Table:
    """Read an index file's bytes, Parquet where ``name`` ends so, else CSV with a header.

    Raises:
        SettingsError: The bytes are neither.
    """
    try:
        if name.endswith((".parquet", ".pq")):
            return pyarrow.parquet.read_table(io.BytesIO(body))
        texts = dict.fromkeys(_INDEX_COLUMNS, pa.string())  # ids such as 007 stay text
        options = pyarrow.csv.ConvertOptions(column_types=texts)
        # A header alone is no rows, and is read so only with a line break behind it.
        index = pyarrow.csv.read_csv(io.BytesIO(body + b"\n"), convert_options=options)
        return index.rename_columns(index.column_names)  # fails here if the header is not UTF-8
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise SettingsError(
            f"can't read the index {name}: {error}. Expected CSV with a header line, or Parquet"
        ) from error


def split_ambiguous(claims: pa.Table) -> tuple[pa.Table, tuple[str, ...]]:
    """Split files into those that alone claim their pair id and those that share it.

    Args:
        claims: Columns ``pair_id`` and ``path``, and any others.

    Returns:
        The rows of the former, and the paths of the latter: choosing one would be a guess.
    """
    counts = claims.group_by("pair_id").aggregate([("path", "count")])
    twice = counts.filter(pc.greater(counts["path_count"], 1))["pair_id"]
    clash = pc.is_in(claims["pair_id"], value_set=twice)
    return claims.filter(pc.invert(clash)), _strings(claims.filter(clash)["path"])


def _join(
    ir: pa.Table, vi: pa.Table, *, ambiguous: tuple[str, ...], unmatched: tuple[str, ...]
) -> Pairing:
    """Join the claims (listing columns plus pair_id and side) of both modalities on the pair id."""
    sides = {"ir": ir, "vi": vi}
    for side, claims in sides.items():
        sides[side], clashing = split_ambiguous(claims)
        ambiguous += clashing
    named = {
        side: claims.select(["pair_id", *_LISTED]).rename_columns(
            ["pair_id", *(f"{side}_{name}" for name in _LISTED)]
        )
        for side, claims in sides.items()
    }
    joined = named["ir"].join(named["vi"], "pair_id", join_type="full outer").combine_chunks()
    whole = pc.and_(pc.is_valid(joined["ir_path"]), pc.is_valid(joined["vi_path"]))
    alone = joined.filter(pc.invert(whole))
    unpaired = _strings(alone["ir_path"].drop_null()) + _strings(alone["vi_path"].drop_null())
    archived = pc.coalesce(joined["ir_archived"], joined["vi_archived"])
    pairs = joined.append_column("archived", archived).filter(whole)
    pairs = pairs.select(PAIRS_SCHEMA.names).sort_by("pair_id").cast(PAIRS_SCHEMA)
    return Pairing(
        pairs,
        unpaired=tuple(sorted(unpaired)),
        ambiguous=tuple(sorted(set(ambiguous))),
        unmatched=tuple(sorted(unmatched)),
    )


def _starts_with_any(paths: pa.ChunkedArray, prefixes: tuple[str, ...]) -> pa.ChunkedArray:
    return reduce(pc.or_, (pc.starts_with(paths, prefix) for prefix in prefixes))


def _strings(column: pa.ChunkedArray | pa.Array) -> tuple[str, ...]:
    return tuple(column.to_pylist())
