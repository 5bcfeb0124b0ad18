"""Pairs the infrared and visible files of a listing, on columns.

A pair id is what both files of a pair share: the fields of the templates, or the index file's
``pair_id`` column. What can't be paired is counted and listed, and never stops a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.frame_claims import CLAIMS_SCHEMA, FRAMES_SCHEMA, add_frames, fold_frames
from fusion_core.archive.index_file import checked_index, looked_at
from fusion_core.archive.index_paths import below_source
from fusion_core.archive.path_template import PathTemplate, parse_templates
from fusion_core.archive.sequence import are_sequences, named_frames, split_sequence

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

_LISTED = ("path", "bytes", "version", "archived")
_CLAIM_SCHEMA = CLAIMS_SCHEMA.remove(CLAIMS_SCHEMA.get_field_index("side"))


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


@dataclass(frozen=True)
class MatchedTemplates:
    """What the templates say of files.

    Attributes:
        claims: By side, the rows of the files that only its template matches, with their pair id
            and side, and with what ``add_frames`` adds where the template is of sequences.
        both: Paths that both match; such a file is claimed twice, hence ambiguous.
        unmatched: Paths that neither matches.
    """

    claims: dict[str, pa.Table]
    both: pa.ChunkedArray
    unmatched: pa.ChunkedArray


def pair_by_templates(listing: pa.Table, ir: str, vi: str) -> Pairing:
    """Pair the files of a listing by two path templates.

    Args:
        listing: Rows of ``LISTING_SCHEMA``.
        ir: Template of the infrared files.
        vi: Template of the visible files.

    Raises:
        SettingsError: The templates can't be read or don't fit together.
    """
    matched = match_templates(listing, parse_templates(ir, vi))
    claims = {
        side: fold_frames(rows) if "sequence" in rows.column_names else rows
        for side, rows in matched.claims.items()
    }
    return _join(
        claims["ir"],
        claims["vi"],
        ambiguous=_strings(matched.both),
        unmatched=_strings(matched.unmatched),
    )


def match_templates(
    listing: pa.Table, templates: tuple[PathTemplate, PathTemplate]
) -> MatchedTemplates:
    """Match the files of a listing, or of a part of one, with the templates of both modalities."""
    paths = listing["path"]
    matches = [template.match(paths, templates[0].fields) for template in templates]
    both = pc.and_(matches[0][0], matches[1][0])
    claims = {}
    for side, template, (mask, ids) in zip(("ir", "vi"), templates, matches, strict=True):
        rows = listing.append_column("pair_id", ids).filter(pc.and_not(mask, both))
        rows = rows.append_column("side", pa.repeat(side, len(rows)))
        claims[side] = rows if template.placeholder is None else add_frames(rows, template)
    unmatched = pc.invert(pc.or_(matches[0][0], matches[1][0]))
    return MatchedTemplates(claims, paths.filter(both), paths.filter(unmatched))


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
            or with one of ``roots`` in front; of files, or of sequences.
        roots: The ways to write the source, of ``source_roots``; paths are taken as they are
            without.
        prefixes: What the paths of the listing start with. Rows of which neither file does belong
            to what is not looked at, and are left out.

    Raises:
        SettingsError: A column is missing, a value in it is empty, or a path lies outside of the
            source.
    """
    index = checked_index(index)
    if roots:
        paths = below_source(index.select(["ir", "vi"]), listing["path"], roots)
        index = pa.table({"pair_id": index["pair_id"], **paths})
    index = looked_at(index, prefixes)
    claims = []
    absent: list[str] = []
    named_paths: list[pa.Array] = [*index["ir"].chunks, *index["vi"].chunks]
    for side in ("ir", "vi"):
        named = index.select(["pair_id", side]).rename_columns(["pair_id", "path"])
        of_frames = are_sequences(named["path"])
        files = named.filter(pc.invert(of_frames))
        claim = files.join(listing, "path", join_type="left outer").combine_chunks()
        found = pc.is_valid(claim["version"])
        frames = _frames(named.filter(of_frames), side, listing)
        sequences = fold_frames(frames)
        gone = pc.invert(pc.is_in(named["path"], value_set=sequences["path"]))
        absent += _strings(claim.filter(pc.invert(found))["path"])
        absent += _strings(named.filter(pc.and_(of_frames, gone))["path"])
        own = claim.filter(found).select(["pair_id", *_LISTED]).cast(_CLAIM_SCHEMA)
        claims.append(pa.concat_tables([own, sequences.select(_CLAIM_SCHEMA.names)]))
        named_paths += frames["path"].chunks
    unmatched = pc.invert(
        pc.is_in(listing["path"], value_set=pa.chunked_array(named_paths, pa.string()))
    )
    pairing = _join(
        claims[0], claims[1], ambiguous=(), unmatched=_strings(listing["path"].filter(unmatched))
    )
    unpaired = tuple(sorted({*pairing.unpaired, *absent}))
    return replace(pairing, unpaired=unpaired, index_rows=len(index))


def _frames(named: pa.Table, side: str, listing: pa.Table) -> pa.Table:
    """Return the frames, of ``FRAMES_SCHEMA``, of the sequences that one side's column names."""
    if not len(named):
        return FRAMES_SCHEMA.empty_table()
    rows = [{**row, "side": side} for row in named.to_pylist()]
    rows.sort(key=lambda row: split_sequence(row["path"])[0])
    files = listing.sort_by("path").combine_chunks().to_batches()
    return pa.concat_tables([FRAMES_SCHEMA.empty_table(), *named_frames(rows, files)])


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
    """Join the claims (listing columns plus pair_id) of both modalities on the pair id."""
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


def _strings(column: pa.ChunkedArray | pa.Array) -> tuple[str, ...]:
    return tuple(column.to_pylist())
