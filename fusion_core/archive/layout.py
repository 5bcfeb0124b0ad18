"""Where everything lies below an output: folders, and the paths of images and manifest parts.

A path is known before its object exists, and never changes its meaning.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Collection
from typing import Literal, get_args
from urllib.parse import quote

from fusion_core.archive.plan import PairRef
from fusion_core.images.codecs import EXTENSIONS
from fusion_core.settings.fuse import ImageFormat

ClipFormat = Literal["mp4", "mkv"]
CLIP_FORMATS: tuple[ClipFormat, ...] = get_args(ClipFormat)

FUSED_FOLDER = "fused"

MANIFEST_FOLDER = "manifest"

SCORES_FOLDER = "scores"
"""Rows about fused images of any method lie apart, so that the newest row of a pair in the manifest
is the one of its fusing."""

DETECTIONS_FOLDER = "detections"
"""Rows about what a detector found in images, infrared, visible or fused."""

RUNS_FOLDER = "runs"
"""A folder per run with its summary and pictures or tables; the lease lies in it too."""

NIGHTS_PATH = f"{RUNS_FOLDER}/nights.json"
"""What the pages know of earlier runs, so that a night reads one object and not 400 summaries. It
can be removed at any time: what it lacks is read from the summaries again."""

INDEX_PATH = "index.html"
"""The page that lists the runs; like the object before, it names no pair."""

COMMITS_FOLDER = "commits"
"""What runs keep for each other: commits of chunks, records of what was published, the index."""

STAC_FOLDER = "stac"
"""The parts of a STAC catalogue, by date; its root lies at the output's."""

REGISTRATION_FOLDER = "registration"
"""The transforms of cameras that never move, each a row in a file of its own: see jobs.cameras."""

RESULT_FOLDERS = (
    *(FUSED_FOLDER, MANIFEST_FOLDER, SCORES_FOLDER, DETECTIONS_FOLDER, RUNS_FOLDER),
    *(COMMITS_FOLDER, STAC_FOLDER, REGISTRATION_FOLDER),
)
"""All that runs write into, but for the root of a STAC catalogue."""

TABLES = (MANIFEST_FOLDER, SCORES_FOLDER, DETECTIONS_FOLDER)
"""Folders of what people open; the commits of each lie in a folder of its name in ``commits``."""

_DATED = rf"({'|'.join(TABLES)})/date=([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})"

# Versions before committed into the table itself; their parts stay there.
_PART = re.compile(rf"(?:{COMMITS_FOLDER}/)?{_DATED}/part-[0-9a-z]{{1,128}}\.parquet")
_ROWS = re.compile(rf"{_DATED}/rows-[0-9]{{8,18}}-[0-9]{{4,18}}\.parquet")

_LONGEST_NAME = 150  # file systems end at 255 bytes, and the digest and extension come behind

LONGEST_PATH = 800
"""Longest path of an image below the output, in bytes. S3 ends at 1,024 for the whole key: 27 are
for what ``path_beside`` and a quicklook add, and 197 are left for the output's own folders. It
can't depend on those, for an output that is moved keeps its paths."""

_BESIDE = r"\.quicklook|\.frames|\.segment-[0-9]{5}"
_IMAGE = re.compile(
    rf"{FUSED_FOLDER}/[^/]+/(.+)\.[0-9a-f]{{16}}(?:{_BESIDE})?(?:-[0-9a-f]{{16}})?(?:\.quicklook|\.frames)?"
    r"\.[a-z0-9]+"
)
# No image or item is called so: their names end in a digest.
REQUEST_PATTERN = rf"^{FUSED_FOLDER}/[^/]+/settings\.json$"
_REQUEST = re.compile(REQUEST_PATTERN)
_HALF_ESCAPE = re.compile(r"%[0-9A-F]?$")
_ID_DIGITS = 32
_LONGEST_HEAD = _LONGEST_NAME - _ID_DIGITS - 1  # of the last name, with a digest behind it


def fused_path(
    pair: PairRef,
    settings_hash: str,
    model_hash: str,
    kind: ImageFormat | ClipFormat,
    *,
    arithmetic: str | None = None,
    whole: bool = False,
) -> str:
    """Return the path of a pair's fused image below the output.

    The path holds the settings hash, and a digest of the model, of both input versions and of the
    arithmetic, so whatever could change the pixels changes the path. (Rows of schemas before 5
    name no arithmetic, and their paths hold none.) Characters that storage or shells treat
    specially are percent-encoded, which also keeps ``..`` from leaving the output. What is longer
    than ``LONGEST_PATH`` then, as many folders with Chinese names are, is cut, and a digest of the
    whole pair id follows; rows keep the id as it is.

    Args:
        pair: The pair.
        settings_hash: Of the run's settings.
        model_hash: Of the model.
        kind: Format of the image, or extension of the clip.
        arithmetic: Key of the arithmetic.
        whole: Leave the path as long as it is, as version 0.1.0 did.
    """
    versions = [pair.pair_id, model_hash, pair.ir_version, pair.vi_version]
    versions += [arithmetic] if arithmetic else []
    digest = hashlib.sha256("\0".join(versions).encode()).hexdigest()[:16]
    name = "/".join(_safe(part) for part in pair.pair_id.split("/"))
    start, end = f"{FUSED_FOLDER}/{settings_hash}/", f".{digest}.{EXTENSIONS.get(kind, kind)}"
    if not whole and len(start) + len(name) + len(end) > LONGEST_PATH:
        name = _shortened(name, pair.pair_id, LONGEST_PATH - len(start) - len(end))
    return f"{start}{name}{end}"


def is_image_of(path: str, pair_ids: Collection[str]) -> bool:
    """Tell whether a path below ``fused`` is called as the images of one of these pairs are.

    Also as their quicklooks and items are. Ids that begin with the same 150 characters may share a
    name, so it need not be a pair's own.

    Args:
        path: The path below the output.
        pair_ids: Of the pairs.
    """
    found = _IMAGE.fullmatch(path)
    if not found:
        return False
    return any(
        found[1] == "/".join(_safe(part) for part in pair_id.split("/"))
        or found[1].endswith(f"~{_digest(pair_id)}")
        for pair_id in pair_ids
    )


def request_path(settings_hash: str) -> str:
    """Return the path of what says which settings a hash stands for, below the output."""
    return f"{FUSED_FOLDER}/{settings_hash}/settings.json"


def is_request_path(path: str) -> bool:
    """Tell whether a path that was read from the output is that of a hash's settings."""
    return bool(_REQUEST.fullmatch(path))


def path_beside(path: str, sha256: str) -> str:
    """Return the path of an image whose usual one is taken by other bytes.

    Args:
        path: The usual one, from ``fused_path``.
        sha256: Of the image's bytes, in hex.
    """
    stem, _, extension = path.rpartition(".")
    return f"{stem}-{sha256[:16]}.{extension}"


def part_path(date: dt.date, part_id: str, table: str = MANIFEST_FOLDER) -> str:
    """Return the path of a part, which is the commit of a chunk, below the output."""
    return f"{COMMITS_FOLDER}/{table}/date={date.isoformat()}/part-{part_id}.parquet"


def is_part_path(path: str) -> bool:
    """Tell whether a path that was read from the output is that of a part, of any version."""
    return _dated(_PART, path)


def rows_path(date: dt.date, generation: int, number: int, table: str = MANIFEST_FOLDER) -> str:
    """Return the path of a file of published rows below the output.

    Args:
        date: Of the runs whose rows they are.
        generation: Of the lease that began the file.
        number: Its number among the files that this generation began, from 1.
        table: The table.
    """
    return f"{table}/date={date.isoformat()}/rows-{generation:08}-{number:04}.parquet"


def is_rows_path(path: str) -> bool:
    """Tell whether a path that was read from the output is that of a file of published rows."""
    return _dated(_ROWS, path)


def table_of(path: str) -> str:
    """Return the table that a part or a file of published rows belongs to."""
    return path.removeprefix(f"{COMMITS_FOLDER}/").partition("/")[0]


def part_date(path: str) -> dt.date | None:
    """Return the date in the path of a part or file of rows, None where there is none.

    Raises:
        ValueError: There is one that no calendar has.
    """
    found = re.search(r"(?:^|/)date=(\d{4}-\d\d-\d\d)/", path)
    return dt.date.fromisoformat(found[1]) if found else None


def day_catalog_path(day: dt.date) -> str:
    """Return the path of the catalogue of a day's scenes below the output."""
    return f"{STAC_FOLDER}/date={day.isoformat()}/catalog.json"


def camera_path(settings_hash: str, camera: str) -> str:
    """Return the path of a camera's transform below the output.

    Args:
        settings_hash: Of the run's settings, which say what kind of transform it is.
        camera: What its pairs have in common.
    """
    folder = f"{REGISTRATION_FOLDER}/settings={settings_hash}"
    return f"{folder}/{_safe(camera.replace('/', '-'))}.{_digest(camera)[:16]}.parquet"


def half_paths(path: str) -> tuple[str, str]:
    """Return the paths of the parts of a split chunk's halves, given the whole one's."""
    stem = path.removesuffix(".parquet")
    return f"{stem}a.parquet", f"{stem}b.parquet"


def _dated(pattern: re.Pattern[str], path: str) -> bool:
    found = pattern.fullmatch(path)
    try:
        return bool(found and dt.date.fromisoformat(found[2]))
    except ValueError:  # the 31st of February
        return False


def _shortened(name: str, pair_id: str, longest: int) -> str:
    """Return the start of an encoded name with a digest of the whole id behind it."""
    folders, _, last = name[: longest - _ID_DIGITS - 1].rpartition("/")
    head = _HALF_ESCAPE.sub("", last[:_LONGEST_HEAD])
    return f"{folders}/{head}~{_digest(pair_id)}" if folders else f"{head}~{_digest(pair_id)}"


def _digest(pair_id: str) -> str:
    return hashlib.sha256(pair_id.encode()).hexdigest()[:_ID_DIGITS]


def _safe(part: str) -> str:
    name = quote(part, safe=" ()+,=@")
    if len(name) > _LONGEST_NAME:
        name = name[:_LONGEST_NAME].rpartition("%")[0] or name[:_LONGEST_NAME]
    if name.strip(".") == "":  # after shortening, which may leave no more than dots
        name = f"%2E{name[1:]}" if name else "%"
    return name
