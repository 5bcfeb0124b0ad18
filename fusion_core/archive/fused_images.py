"""Matches the fused images of several methods with the pairs that they were made of, on columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.archive.pairing import PAIRS_SCHEMA, split_ambiguous
from fusion_core.archive.path_template import PathTemplate

IMAGES_SCHEMA = pa.schema(
    [*PAIRS_SCHEMA]
    + [
        pa.field(name, kind, nullable=False)
        for name, kind in (
            ("fused_path", pa.string()),
            ("fused_bytes", pa.int64()),
            ("fused_version", pa.string()),
            ("method", pa.string()),
        )
    ]
)


@dataclass(frozen=True)
class FusedImages:
    """The fused images that were found, and what has no counterpart, by method.

    Attributes:
        images: One row of ``IMAGES_SCHEMA`` per fused image with its pair, sorted by pair id
            and method; ``archived`` is the storage class of whichever of the three is archived.
        unpaired: Paths of fused images whose pair is missing.
        missing: Ids of the pairs without a fused image.
        ambiguous: Paths of fused images that claim a pair which another one claims too.
    """

    images: pa.Table
    unpaired: dict[str, tuple[str, ...]]
    missing: dict[str, tuple[str, ...]]
    ambiguous: dict[str, tuple[str, ...]]


def match_fused(
    pairs: pa.Table, methods: Mapping[str, tuple[pa.Table, str]], fields: tuple[str, ...]
) -> FusedImages:
    """Match the fused images of every method with the pairs.

    Args:
        pairs: Rows of ``PAIRS_SCHEMA``.
        methods: By name, the listing that holds the method's images and the template of their
            paths.
        fields: The template's fields that make up the pair id, in order.

    Raises:
        SettingsError: A template can't be read.
    """
    images = [IMAGES_SCHEMA.empty_table()]
    unpaired, missing, ambiguous = {}, {}, {}
    for method, (listing, template) in methods.items():
        mask, ids = PathTemplate.parse(template).match(listing["path"], fields)
        claims = listing.append_column("pair_id", ids).filter(mask)
        claims, clashing = split_ambiguous(claims)
        named = claims.select(["pair_id", "path", "bytes", "version", "archived"]).rename_columns(
            ["pair_id", "fused_path", "fused_bytes", "fused_version", "fused_archived"]
        )
        joined = pairs.join(named, "pair_id", join_type="full outer").sort_by("pair_id")
        has_pair, has_image = pc.is_valid(joined["ir_path"]), pc.is_valid(joined["fused_path"])
        whole = joined.filter(pc.and_(has_pair, has_image))
        whole = whole.append_column("method", pa.repeat(pa.scalar(method), len(whole)))
        archived = pc.coalesce(whole["archived"], whole["fused_archived"])
        whole = whole.drop_columns("archived").append_column("archived", archived)
        images.append(whole.select(IMAGES_SCHEMA.names).cast(IMAGES_SCHEMA))
        unpaired[method] = tuple(joined.filter(pc.invert(has_pair))["fused_path"].to_pylist())
        missing[method] = tuple(joined.filter(pc.invert(has_image))["pair_id"].to_pylist())
        ambiguous[method] = tuple(sorted(clashing))
    return FusedImages(
        pa.concat_tables(images).sort_by([("pair_id", "ascending"), ("method", "ascending")]),
        unpaired=unpaired,
        missing=missing,
        ambiguous=ambiguous,
    )


def with_sides(
    images: FusedImages, pairs: pa.Table, sides: Mapping[str, Literal["ir", "vi"]]
) -> FusedImages:
    """Return the fused images, and with them the pairs' own ones as those of further methods.

    Args:
        images: The fused images.
        pairs: Rows of ``PAIRS_SCHEMA``.
        sides: What the methods are called, each with the side whose images are its own.
    """
    tables = [images.images]
    for method, side in sides.items():
        own = {
            "fused_path": pairs[f"{side}_path"],
            "fused_bytes": pairs[f"{side}_bytes"],
            "fused_version": pairs[f"{side}_version"],
            "method": pa.repeat(pa.scalar(method), len(pairs)),
        }
        shared = {name: pairs[name] for name in PAIRS_SCHEMA.names}
        tables.append(pa.table(shared | own).select(IMAGES_SCHEMA.names).cast(IMAGES_SCHEMA))
    whole = pa.concat_tables(tables)
    order = [("pair_id", "ascending"), ("method", "ascending")]
    return replace(images, images=whole.sort_by(order))


def without_matches(paths: Sequence[str], templates: Sequence[str]) -> tuple[str, ...]:
    """Return the paths that none of the templates matches."""
    left = pa.chunked_array([pa.array(paths, pa.string())])
    for text in templates:
        template = PathTemplate.parse(text)
        mask, _ = template.match(left, template.fields)
        left = left.filter(pc.invert(mask))
    return tuple(left.to_pylist())
