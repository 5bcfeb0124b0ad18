"""Finds the pair that labels belong to, by the names of its files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from fusion_core.detection.labels import LabelledImage
from fusion_core.errors import SettingsError

_NAMED = 5


@dataclass(frozen=True)
class MatchedLabels:
    """The labels of an archive's pairs.

    Attributes:
        of_pair: By pair id; a pair that isn't here is unlabelled, which is not the same as being
            labelled with no box.
        without_pair: Names of labelled images that belong to no pair.
        files: URLs of the files that hold labels.
    """

    of_pair: Mapping[str, LabelledImage]
    without_pair: tuple[str, ...] = ()
    files: frozenset[str] = frozenset()


def match_labels(images: Sequence[LabelledImage], pairs: pa.Table) -> MatchedLabels:
    """Give labelled images to the pairs that they are of.

    An image is of the pair whose id, or one of whose files, has its name, whatever the suffixes.
    Where several have it, that one counts which has more folders in common with it, from the name
    on upwards.

    Args:
        images: The images.
        pairs: Rows of ``PAIRS_SCHEMA``.

    Raises:
        SettingsError: Several pairs may be meant, two images are of one pair, or none is of any.
    """
    called: defaultdict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
    columns = (pairs[name].to_pylist() for name in ("pair_id", "ir_path", "vi_path"))
    ids = set()
    for pair_id, *paths in zip(*columns, strict=True):
        ids.add(pair_id)
        # An id has no suffix, but may have a dot.
        for parts in {tuple(pair_id.split("/")), *map(_parts, (pair_id, *paths))}:
            called[parts[-1]].append((pair_id, parts))
    found: dict[str, LabelledImage] = {}
    strays = []
    for image in images:
        pair_id = image.pair_id if image.pair_id in ids else None
        if image.pair_id is None:
            pair_id = _pair_of(image, called)
        if pair_id is None:
            strays.append(image.name)
        elif pair_id in found:
            raise SettingsError(
                f"{found[pair_id].name} and {image.name} of {image.where} are both labels of the "
                f"pair {pair_id!r}; expected one image for each pair. Leave one of the two out"
            )
        else:
            found[pair_id] = image
    if not found:
        raise _no_match(images, pairs)
    return MatchedLabels(found, tuple(strays), frozenset(image.where for image in images))


def _pair_of(
    image: LabelledImage, called: Mapping[str, Sequence[tuple[str, tuple[str, ...]]]]
) -> str | None:
    parts = _parts(image.name)
    best: dict[str, int] = {}
    for pair_id, others in called.get(parts[-1], ()):
        best[pair_id] = max(best.get(pair_id, 0), _in_common(parts, others))
    most = max(best.values(), default=0)
    meant = [pair_id for pair_id, count in best.items() if count == most]
    if len(meant) > 1:
        some = ", ".join(map(repr, sorted(meant)[:_NAMED]))
        raise SettingsError(
            f"the image {image.name} of {image.where} may be any of the pairs {some}; expected a "
            "name that one of them has alone. Put folders in front of it that tell them apart, as "
            "their files' paths have them"
        )
    return meant[0] if meant else None


def _parts(path: str) -> tuple[str, ...]:
    """Return the folders and the name of a path, without its suffix."""
    folders, slash, name = path.replace("\\", "/").strip("/").rpartition("/")
    stem = name.rpartition(".")[0] or name
    return (*folders.split("/"), stem) if slash else (stem,)


def _in_common(parts: Sequence[str], others: Sequence[str]) -> int:
    count = 0
    for one, other in zip(reversed(parts), reversed(others), strict=False):
        if one != other:
            break
        count += 1
    return count


def _no_match(images: Sequence[LabelledImage], pairs: pa.Table) -> SettingsError:
    names = ", ".join(image.name for image in images[:_NAMED]) or "none"
    ids = ", ".join(pairs["pair_id"].slice(0, _NAMED).to_pylist()) or "none"
    return SettingsError(
        f"the labels are of {len(images)} images ({names} …), and none is of one of the "
        f"{len(pairs)} pairs ({ids} …); expected the name of a pair, or of one of its files. Check "
        "labels, templates and prefix"
    )
