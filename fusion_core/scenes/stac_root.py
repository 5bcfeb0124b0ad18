"""The root of a STAC output: a Catalog or Collection that links to one catalogue per day.

It is small, and written last: what it names is there. It also says what it covers, by the number
of the last record of publication, and the next run goes on from there.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pystac
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from fusion_core.archive.layout import STAC_FOLDER, day_catalog_path
from fusion_core.archive.published_rows import Mark
from fusion_core.scenes.stac_item import PROCESSING, utc_text
from fusion_core.scenes.stac_places import CORNERS
from fusion_core.scenes.stac_rows import moments
from fusion_core.scenes.stac_table import COLLECTION_PATH, GEOPARQUET
from fusion_core.storage.store import Storage

CatalogKind = Literal["catalog", "collection"]

CATALOG_PATHS: dict[CatalogKind, str] = {
    "catalog": "catalog.json",
    "collection": COLLECTION_PATH,
}
"""Where each kind lies below the output."""

COLLECTION_ID = "fuse-archive"
"""Id of the catalogue or collection at an output's root."""

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees; west > east over the 180th meridian."""

_STATE = "fuse-archive:state"
_LARGEST = 64 << 20  # bytes; a day takes 150
_DAY = re.compile(rf"\./{STAC_FOLDER}/date=([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})/catalog\.json")
_JSON = str(pystac.MediaType.JSON)
_WORLD: Box = (-180.0, -90.0, 180.0, 90.0)


_Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
_Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
_Moment = Annotated[AwareDatetime, Field(ge=dt.datetime(1900, 1, 1, tzinfo=dt.UTC))]


class _State(BaseModel):
    """What a root says for the next run; see ``Root``."""

    model_config = ConfigDict(frozen=True)

    mark: Mark
    unnumbered: dict[dt.date, tuple[str, str]] = {}
    bbox: tuple[_Longitude, _Latitude, _Longitude, _Latitude] | None = None
    interval: tuple[_Moment, _Moment] | None = None
    versions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Root:
    """What the root of a catalogue tells.

    Attributes:
        kind: ``catalog``, or ``collection``, which also tells where and when its items are.
        mark: All that was published until then is in the catalogue.
        days: The days that have scenes.
        unnumbered: Those of them with scenes of versions before, whose attempts have no number:
            the first and the last pair id of these.
        bbox: Holds all footprints that were ever in the catalogue; None where none is known.
        interval: Holds the moments of all scenes likewise.
        versions: Versions of fuse-archive that made them.
    """

    kind: CatalogKind
    mark: Mark
    days: frozenset[dt.date] = frozenset()
    unnumbered: dict[dt.date, tuple[str, str]] = field(default_factory=dict)
    bbox: Box | None = None
    interval: tuple[dt.datetime, dt.datetime] | None = None
    versions: frozenset[str] = frozenset()

    @property
    def path(self) -> str:
        """Its path below the output."""
        return CATALOG_PATHS[self.kind]

    @property
    def collection_id(self) -> str | None:
        """Its id where it is a collection, for the items."""
        return COLLECTION_ID if self.kind == "collection" else None

    def with_day(self, day: dt.date, scenes: pa.Table) -> Root:
        """Return the root with all scenes of a day, rows of ``SCENE_SCHEMA``, as they are now."""
        unnumbered = {one: ids for one, ids in self.unnumbered.items() if one != day}
        if not len(scenes):
            return replace(self, days=self.days - {day}, unnumbered=unnumbered)
        old = scenes.filter(pc.is_null(scenes["attempt"]))["pair_id"]
        if len(old):
            unnumbered[day] = (pc.min(old).as_py(), pc.max(old).as_py())
        placed = scenes.filter(pc.is_valid(scenes["west"])).select(CORNERS)
        boxes = list(zip(*(column.to_pylist() for column in placed.columns), strict=True))
        taken = moments(scenes)
        ends = [pc.min(taken).as_py(), pc.max(taken).as_py(), *(self.interval or ())]
        return replace(
            self,
            days=self.days | {day},
            unnumbered=unnumbered,
            bbox=extent([*([self.bbox] if self.bbox else []), *boxes]),
            interval=(min(ends), max(ends)),
            versions=self.versions | set(scenes["software_version"].unique().to_pylist()),
        )


def read_root(output: Storage, kind: CatalogKind) -> Root | None:
    """Return what a root tells; None where none lies there, or one of another make.

    Raises:
        StorageError: The store failed.
    """
    try:
        body = json.loads(output.read(CATALOG_PATHS[kind], most=_LARGEST))
        state = _State.model_validate(body[_STATE])
        found = (_DAY.fullmatch(link["href"]) for link in body["links"] if link["rel"] == "child")
        days = frozenset(dt.date.fromisoformat(one[1]) for one in found if one)
    except FileNotFoundError:
        return None
    except (ValidationError, ValueError, KeyError, TypeError, RecursionError):
        return None
    told = state.model_dump(exclude={"mark", "versions"})
    return Root(kind=kind, mark=state.mark, days=days, versions=frozenset(state.versions), **told)


def write_root(output: Storage, root: Root) -> str:
    """Write or replace the root; return its URL.

    Raises:
        StorageError: The store failed.
    """
    output.write(root.path, json.dumps(make_root(root), indent=1, allow_nan=False).encode())
    return output.url(root.path)


def make_root(root: Root) -> dict[str, Any]:
    """Return the root as a STAC object, ready for ``json.dumps``."""
    state = _State(
        mark=root.mark,
        unnumbered=root.unnumbered,
        bbox=root.bbox,
        interval=root.interval,
        versions=tuple(sorted(root.versions)),
    )
    children = [
        {
            "rel": "child",
            "href": f"./{day_catalog_path(day)}",
            "type": _JSON,
            "title": day.isoformat(),
        }
        for day in sorted(root.days)
    ]
    table = {"href": f"./{STAC_FOLDER}/date=*/items.parquet", "type": GEOPARQUET}
    links = [{"rel": "root", "href": f"./{root.path}", "type": _JSON}]
    own: dict[str, Any] = {}
    if root.kind == "collection":
        own = _collection_fields(root, table)
    else:
        links.append({"rel": "items", **table})
    return {
        "type": root.kind.capitalize(),
        "stac_version": pystac.get_stac_version(),
        "id": COLLECTION_ID,
        "title": "Fused scenes",
        "description": "Scenes fused from an infrared and a visible image each, with their scores.",
        **own,
        _STATE: state.model_dump(mode="json", exclude_defaults=True),
        "links": [*links, *children],
    }


def extent(boxes: Sequence[Box]) -> Box | None:
    """Return the box that holds all boxes; None where there are none."""
    if not boxes:
        return None
    wests, souths, easts, norths = zip(*boxes, strict=True)
    west, east = min(wests), max(easts)
    crossing = [box[0] > box[2] for box in boxes]
    # What lies on both sides of the meridian and what doesn't have no common box but the world;
    # neither have boxes over the meridian that meet on the other side of the Earth.
    if any(crossing) and (not all(crossing) or west <= east):
        west, east = -180.0, 180.0
    return float(west), float(min(souths)), float(east), float(max(norths))


def _collection_fields(root: Root, table: dict[str, Any]) -> dict[str, Any]:
    interval = [utc_text(moment) for moment in root.interval] if root.interval else [None, None]
    mirror = {
        **table,
        "title": "Items as GeoParquet",
        "description": "A file per day of the items' datetime, in UTC.",
        "roles": ["collection-mirror"],
    }
    fields: dict[str, Any] = {
        "license": "other",  # the images' own, which are not ours to know
        "extent": {
            "spatial": {"bbox": [list(root.bbox or _WORLD)]},
            "temporal": {"interval": [interval]},
        },
        "assets": {"items": mirror},
    }
    if root.versions:
        software = [{"fuse-archive": version} for version in sorted(root.versions)]
        fields["stac_extensions"] = [PROCESSING]
        fields["summaries"] = {"processing:software": software}
    return fields
