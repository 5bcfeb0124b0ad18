"""What a run was asked for, as its summary and its images' folder keep it; and how two differ."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flows.run import Run
from fusion_core import __version__
from fusion_core.archive import Plan, request_path
from fusion_core.jobs import DetectSettings, EvaluateSettings, ScoreArchiveSettings
from fusion_core.metrics import METRIC_VERSION
from fusion_core.settings import (
    IMAGE_VERSION,
    FuseArchiveSettings,
    ImageSettings,
    RunSettings,
    ScalingSettings,
    bounds_text,
)
from fusion_core.storage import Storage

Request = dict[str, Any]

_PACKAGES = (
    *("torch", "ray", "prefect", "numpy", "pillow", "rasterio", "pyarrow", "duckdb"),
    *("openvino", "onnxruntime", "onnxruntime-gpu", "numba"),
)
_QUERY = re.compile(r"(://[^?#\s]*)\?.*")  # of a URL, which may hold a signature
HIDDEN = "?…"
"""Stands in a request for the query of a URL."""
_BOUNDS = ("ir_range", "vi_range", "percentiles")


def request_of(
    run: Run[Any],
    flow: str,
    *,
    used: Sequence[Mapping[str, Any]] = (),
    models: Mapping[str, Run[FuseArchiveSettings]] | None = None,
) -> Request:
    """Return a run's whole request, as JSON: settings, model, versions, and what computed it.

    It holds no secret: settings refuse URLs with passwords, name a block of credentials only, and
    queries of URLs are left out. It names no pair either, so that it needn't go when one is
    forgotten.

    Args:
        run: The run.
        flow: The name of its flow.
        used: What computed its images, of ``RunRows.arithmetic``.
        models: Of an evaluation, the run of each model.
    """
    settings: RunSettings = run.settings
    values = _without_queries(settings.model_dump(mode="json"))
    asked = values.pop("pairs", ())
    return {
        "flow": flow,
        "run_id": run.identity.run_id,
        "settings_hash": run.identity.settings_hash or None,
        "hashed": sorted(_hashed(settings)),
        "settings": values,
        "pairs_asked": len(asked),
        **_models(run, models),
        "image_version": IMAGE_VERSION,
        "metric_version": getattr(settings, "metric_version", METRIC_VERSION),
        "used": [dict(one) for one in used],
        "versions": _versions(),
    }


def note_settings(run: Run[Any], plan: Plan, flow: str) -> None:
    """Leave in the folder of a run's images what their settings were, unless it is known there.

    The first run of a settings hash writes it, before its first image, and later ones leave it: so
    what it says of the model, versions and all that isn't hashed is that run's.

    Args:
        run: The run, which holds the output's lease.
        plan: What it is going to do.
        flow: The name of its flow.

    Raises:
        StorageError: The store failed.
    """
    output, path = run.output(), request_path(run.identity.settings_hash)
    if (len(plan.todo) or plan.done) and not output.exists(path):
        body = json.dumps(request_of(run, flow), indent=2, ensure_ascii=False)
        output.create(path, body.encode())


def settings_of(output: Storage, settings_hash: str) -> Request | None:
    """Return what is known of a settings hash in an output; None where nothing is.

    Raises:
        StorageError: The store failed.
    """
    try:
        found = json.loads(output.read(request_path(settings_hash)))
    except (FileNotFoundError, ValueError):  # of a version before, or written by hand
        return None
    return found if isinstance(found, dict) else None


def differences(
    before: Request | None, after: Request | None, *, deciding: bool = False
) -> list[str]:
    """Say in words how what a run was asked for differs from what another was.

    Args:
        before: The request of the earlier run; None where its version noted none.
        after: That of the later one, likewise.
        deciding: Only what decides the pixels or scores: the model, and what the hash is made of.

    Returns:
        A text for each field that differs, such as ``scaling: auto → range``; what decides pixels
        comes first. Empty where all is the same.
    """
    if not before or not after:
        return [] if not before and not after else ["what was asked for before: unknown"]
    hashed = {*_hash_fields(before), *_hash_fields(after), "image version", "metrics"}
    old, new = dict(_fields(before)), dict(_fields(after))
    found: list[tuple[bool, str]] = []
    for name in {**old, **new}:
        pair = [one.get(name, _default(name)) for one in (old, new)]
        if pair[0] == pair[1]:
            continue
        decides = name in hashed or name == "model"
        words = [_words(name, value) for value in pair]
        found.append((not decides, f"{name}: {words[0]} → {words[1]}"))
    return [
        text for other, text in sorted(found, key=lambda one: one[0]) if not deciding or not other
    ]


def settings_told(request: Request) -> list[str]:
    """Return in words which of the settings that a hash is made of aren't the default."""
    settings = mapping(request.get("settings"))
    return [
        f"{name}: {_words(name, settings[name])}"
        for name in _hash_fields(request)
        if name in settings and settings[name] != _default(name)
    ]


def _models(run: Run[Any], models: Mapping[str, Run[FuseArchiveSettings]] | None) -> Request:
    def one(of: Run[Any]) -> dict[str, Any]:
        settings = of.settings
        name = settings.detector if isinstance(settings, DetectSettings) else settings.model
        return {"name": name, "sha256": of.identity.model_hash}

    if models is not None:
        named = {
            name: {**one(of), "settings_hash": of.identity.settings_hash}
            for name, of in models.items()
        }
        return {"models": named}
    return {"model": one(run)} if run.identity.model_hash else {}


def _hashed(settings: RunSettings) -> set[str]:
    """Return the settings that the hash is made of, beside the versions."""
    if isinstance(settings, ImageSettings | DetectSettings):
        return settings.hashed_fields()
    return set(ScalingSettings.model_fields)


def _versions() -> dict[str, str]:
    found = {"fuse-archive": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _without_queries(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_queries(one) for name, one in value.items()}
    return _QUERY.sub(rf"\1{HIDDEN}", value) if isinstance(value, str) else value


def _fields(request: Request) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a request that can differ, each with the name that it is told by."""
    model = mapping(request.get("model"))
    if model:
        yield "model", model
    yield from ((f"model {name}", one) for name, one in mapping(request.get("models")).items())
    settings = mapping(request.get("settings"))
    yield from ((name, one) for name, one in settings.items() if name not in ("model", "models"))
    yield "image version", request.get("image_version")
    yield "metrics", request.get("metric_version")
    yield "flow", request.get("flow")
    yield "computed by", request.get("used") or None
    yield from mapping(request.get("versions")).items()


def _default(name: str) -> Any:
    """Return the default of a setting as JSON: what a version that had none of it did."""
    for kind in (FuseArchiveSettings, ScoreArchiveSettings, EvaluateSettings, DetectSettings):
        field = kind.model_fields.get(name)
        if field is not None and not field.is_required():
            return json.loads(json.dumps(field.get_default(call_default_factory=True)))
    return None


def _hash_fields(request: Request) -> list[str]:
    names = request.get("hashed")
    return [str(name) for name in names] if isinstance(names, list) else []


def mapping(value: Any) -> dict[str, Any]:
    """Return what should be a mapping, an empty one where it isn't: anybody may have written it."""
    return value if isinstance(value, dict) else {}


def _words(name: str, value: Any) -> str:
    """Return a value of a request as people say it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    try:
        if name == "expect":
            return ", ".join(f"{key} {bounds_text(ends)}" for key, ends in value.items()) or "none"
        if name in _BOUNDS:
            return bounds_text(value)
        if name == "computed by":
            return ", ".join(" ".join(map(str, one.values())) for one in value)
    except (AttributeError, TypeError, ValueError):
        return str(value)
    if isinstance(value, dict) and "sha256" in value:
        return f"{value.get('name')} ({str(value['sha256'])[:12]})"
    if isinstance(value, dict):
        return ", ".join(f"{key}={one}" for key, one in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
