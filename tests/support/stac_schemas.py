"""Validates STAC objects without a network: pystac's core schemas, and ours for the extensions.

pystac bundles the core schemas only. Those of the extensions are written here anew, from what the
extensions' texts say of the fields that our objects may have; they are stricter in that a field
of an extension that we don't write is an error.
"""

import socket
from typing import Any

import pytest
from pystac.validation import JsonSchemaSTACValidator, RegisteredValidator

PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
RASTER = "https://stac-extensions.github.io/raster/v2.0.0/schema.json"

NUMBER = {"type": "number"}
TEXT = {"type": "string", "minLength": 1}
TEXT_OR_NULL = {"type": ["string", "null"], "minLength": 1}


def numbers(count: int) -> dict[str, Any]:
    return {"type": "array", "items": NUMBER, "minItems": count, "maxItems": count}


FIELDS: dict[str, dict[str, Any]] = {
    PROJECTION: {
        "proj:code": {**TEXT_OR_NULL, "pattern": "^[A-Za-z0-9_]+:[A-Za-z0-9_]+$"},
        "proj:wkt2": TEXT_OR_NULL,
        "proj:projjson": {"type": ["object", "null"], "required": ["type", "$schema"]},
        "proj:bbox": numbers(4),
        "proj:shape": {
            **{"type": "array", "items": {"type": "integer", "minimum": 1}},
            **{"minItems": 2, "maxItems": 2},
        },
        "proj:transform": {"oneOf": [numbers(6), numbers(9)]},
    },
    FILE: {
        # The multihash of a sha2-256: its code, its length, its 32 bytes.
        "file:checksum": {"type": "string", "pattern": "^1220[0-9a-f]{64}$"},
        "file:size": {"type": "integer", "minimum": 0},
    },
    PROCESSING: {
        "processing:software": {
            **{"type": "object", "minProperties": 1},
            "additionalProperties": {"type": "string"},
        },
        "processing:lineage": TEXT,
        "processing:datetime": {
            "type": "string",
            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$",
        },
    },
    RASTER: {
        "raster:sampling": {"enum": ["area", "point"]},
        "raster:scale": NUMBER,
        "raster:offset": NUMBER,
    },
}


def any_of_them(names: list[str]) -> dict[str, Any]:
    return {"anyOf": [{"required": [name]} for name in names]}


def some_value(condition: dict[str, Any]) -> dict[str, Any]:
    """Of an object's values at least one fulfils a condition."""
    return {"not": {"additionalProperties": {"not": condition}}}


def schema(uri: str) -> dict[str, Any]:
    """The fields of one extension wherever they may stand, and that at least one of them does."""
    fields = FIELDS[uri]
    prefix = next(iter(fields)).partition(":")[0]
    only_known = {
        "properties": fields,
        "propertyNames": {"if": {"pattern": f"^{prefix}:"}, "then": {"enum": list(fields)}},
    }
    named = any_of_them(list(fields))
    present = {
        "anyOf": [
            {"properties": {"properties": named}, "required": ["properties"]},
            {"properties": {"assets": some_value(named)}, "required": ["assets"]},
            {"properties": {"summaries": named}, "required": ["summaries"]},
        ]
    }
    with_bands = {
        "allOf": [
            only_known,
            {"properties": {"bands": {"type": "array", "items": only_known}}},
        ]
    }
    sets = {name: {"type": "array", "items": value} for name, value in fields.items()}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": uri,
        "allOf": [present],
        "required": ["stac_extensions"],
        "properties": {
            "stac_extensions": {"contains": {"const": uri}},
            "properties": only_known,
            "assets": {"additionalProperties": with_bands},
            "summaries": {"properties": sets},
        },
    }


class OfflineValidator(JsonSchemaSTACValidator):
    """Knows the core schemas and ``FIELDS``; any other schema would have to be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.schema_cache.update({uri: schema(uri) for uri in FIELDS})

    def _get_schema(self, schema_uri: str) -> dict[str, Any]:
        assert schema_uri in self.schema_cache, f"{schema_uri} would be fetched from the network"
        return super()._get_schema(schema_uri)


def no_network(*_: Any, **__: Any) -> Any:
    raise AssertionError("the network was asked")


def go_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pystac validate by these schemas, and any use of the network an error."""
    monkeypatch.setattr(RegisteredValidator, "_validator", OfflineValidator())
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr(socket.socket, "connect", no_network)
