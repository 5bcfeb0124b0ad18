"""Nothing that comes from storage or from settings is ever run as code."""

import ast
import importlib
import io
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from pydantic import ValidationError
from tiny import settings_for

from fusion_core.archive.lease_record import read_record, record_path
from fusion_core.archive.manifest import read_manifest
from fusion_core.errors import FuseArchiveError
from fusion_core.jobs.listing import list_pairs
from fusion_core.models.fuser import load_fuser, read_model
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage
from fusion_core.training.checkpoint import read_checkpoint

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("fusion_core", "actors", "flows")
UNPICKLERS = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "jsonpickle"}
NEVER_IMPORTED = {*UNPICKLERS, "marshal", "shelve", "code", "codeop", "runpy", "pty"}
NEVER_CALLED = {
    *("eval", "exec", "compile", "builtins.eval", "builtins.exec", "builtins.compile"),
    *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("torch.export.load", "torch.jit.load", "torch.hub.load", "torch.package.PackageImporter"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "ray.cloudpickle.loads"),
    *("pandas.read_pickle", "numpy.lib.format.read_array", "tempfile.mktemp"),
}
FLAGS = {"allow_pickle": False, "shell": False, "weights_only": True}
"""Keywords that are dangerous with any other value."""


def dangers(source: str) -> Iterator[tuple[int, str]]:
    """What a module does that could run what it reads."""
    tree = ast.parse(source)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        else:
            continue
        for alias in node.names:
            module = node.module or "" if isinstance(node, ast.ImportFrom) else alias.name
            if {module.partition(".")[0], alias.name} & NEVER_IMPORTED:
                yield node.lineno, f"imports {module}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from call_dangers(node, names)


def call_dangers(node: ast.Call, names: dict[str, str]) -> Iterator[tuple[int, str]]:
    written = ast.unparse(node.func)
    first, _, rest = written.partition(".")
    called = ".".join(part for part in (names.get(first, first), rest) if part)
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    if called in NEVER_CALLED:
        yield node.lineno, f"calls {called}"
    if called == "torch.load" and "weights_only" not in keywords:
        yield node.lineno, "calls torch.load without weights_only"
    for name, harmless in FLAGS.items():
        value = keywords.get(name)
        if value is not None and not (isinstance(value, ast.Constant) and value.value is harmless):
            yield node.lineno, f"calls {called} with {ast.unparse(value)} as {name}"


def test_no_module_runs_what_it_reads() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {danger}"
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        for line, danger in dangers(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", "imports pickle"),
        ("def f():\n    from pickle import loads as l", "imports pickle"),
        ("from ray import cloudpickle", "imports ray"),
        ("import torch as t\nt.load('x')", "calls torch.load without weights_only"),
        ("import torch\ntorch.load('x', weights_only=False)", "False as weights_only"),
        ("from torch import load\nload('x', weights_only=w)", "w as weights_only"),
        ("import torch\ntorch.export.load('x')", "calls torch.export.load"),
        ("from torch import jit\njit.load('x')", "calls torch.jit.load"),
        ("import numpy as np\nnp.load('x', allow_pickle=True)", "True as allow_pickle"),
        ("import yaml\nyaml.load('x', yaml.Loader)", "calls yaml.load"),
        ("eval('1')", "calls eval"),
        ("from subprocess import run\nrun('x', shell=True)", "True as shell"),
        ("import os\nos.system('x')", "calls os.system"),
    ],
)
def test_a_module_that_would_is_found(source: str, found: str) -> None:
    assert [danger for _, danger in dangers(source) if found in danger]


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load('x', weights_only=True)",
        "model.eval()\nre.compile('x')\nimport safetensors.torch\nsafetensors.torch.load(b'')",
        "import numpy as np\nnp.load('x', allow_pickle=False)",
        "import subprocess\nsubprocess.run(['x'], shell=False)",
    ],
)
def test_a_harmless_module_passes(source: str) -> None:
    assert list(dangers(source)) == []


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path):
        self.folder = str(folder)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.folder,)


@pytest.fixture
def crater(tmp_path: Path) -> Iterator[Path]:
    """The folder that appears if a bomb goes off."""
    folder = tmp_path / "crater"
    yield folder
    assert not folder.exists(), "what was read was run"


def torch_file(bomb: Bomb) -> bytes:
    body = io.BytesIO()
    torch.save(bomb, body)
    return body.getvalue()


def numpy_file(bomb: Bomb) -> bytes:
    body = io.BytesIO()
    np.save(body, np.array([bomb], dtype=object), allow_pickle=True)
    return body.getvalue()


def zipped(bomb: Bomb) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(bomb))
    return body.getvalue()


BODIES: dict[str, Callable[[Bomb], bytes]] = {
    "pickle": pickle.dumps,
    "text-pickle": lambda bomb: pickle.dumps(bomb, protocol=0),
    "torch": torch_file,
    "numpy": numpy_file,
    "zip": zipped,
    "yaml": lambda bomb: f"!!python/object/apply:os.mkdir [{bomb.folder}]".encode(),
    "python": lambda bomb: f"__import__('os').mkdir({bomb.folder!r})".encode(),
}


def as_model(path: Path, storage: Storage) -> None:
    load_fuser(str(path))


def as_checked_model(path: Path, storage: Storage) -> None:
    read_model(str(path), "0" * 64)


def as_checkpoint(path: Path, storage: Storage) -> None:
    read_checkpoint(storage, path.name)


def as_index(path: Path, storage: Storage) -> None:
    settings = settings_for(path.parent, path.parent / "out", "mean", index=str(path))
    list_pairs(settings, storage, Storage(settings.output), None, {})  # type: ignore[arg-type]


def as_index_in_parquet(path: Path, storage: Storage) -> None:
    as_index(path.rename(path.with_suffix(".parquet")), storage)


def as_part(path: Path, storage: Storage) -> None:
    path.rename(path.with_suffix(".parquet"))
    read_manifest(str(path.parent))


def as_lease(path: Path, storage: Storage) -> None:
    storage.write(record_path(1), path.read_bytes())
    read_record(storage, 1)


def as_settings(path: Path, storage: Storage) -> None:
    FuseArchiveSettings.model_validate_json(path.read_bytes())


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    "read",
    [
        *(as_model, as_checked_model, as_checkpoint, as_index, as_index_in_parquet),
        *(as_part, as_lease, as_settings),
    ],
)
def test_a_bomb_is_refused_and_does_not_go_off(
    read: Callable[[Path, Storage], None], body: str, tmp_path: Path, crater: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / "bomb"
    path.write_bytes(BODIES[body](Bomb(crater)))
    with pytest.raises((FuseArchiveError, ValidationError)):
        read(path, Storage(str(folder)))


@pytest.mark.parametrize("body", ["pickle", "text-pickle", "torch", "numpy", "yaml", "python"])
def test_the_bombs_are_live(body: str, tmp_path: Path) -> None:
    crater = tmp_path / "crater"
    armed = BODIES[body](Bomb(crater))
    if body == "yaml":
        yaml.unsafe_load(armed)
    elif body == "python":
        eval(armed)
    elif body == "torch":
        torch.load(io.BytesIO(armed), weights_only=False)
    elif body == "numpy":
        np.load(io.BytesIO(armed), allow_pickle=True)
    else:
        pickle.loads(armed)
    assert crater.is_dir()


@pytest.fixture
def pickled_types() -> None:
    """Register Ray's types of columns, as importing ray.train does."""
    importlib.import_module("ray.data")


@pytest.mark.usefixtures("pickled_types")
@pytest.mark.parametrize(
    "name",
    ["arrow.py_extension_type", "ray.data.arrow_pickled_object", "ray.data.arrow_tensor_v2"],
)
def test_a_column_that_calls_itself_a_pickled_type_is_not_unpickled(
    name: str, tmp_path: Path, crater: Path
) -> None:
    bomb = pickle.dumps(Bomb(crater))
    told = {"ARROW:extension:name": name, "ARROW:extension:metadata": bomb}
    names = ("pair_id", "ir", "vi")
    schema = pa.schema([pa.field(one, pa.large_binary(), metadata=told) for one in names])
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / "bomb"
    pq.write_table(pa.table([[bomb]] * 3, schema=schema), path)
    storage = Storage(str(folder))
    with suppress(FuseArchiveError, AttributeError):
        as_index_in_parquet(path, storage)
    with suppress(FuseArchiveError, AttributeError):
        read_manifest(str(folder))


@pytest.mark.usefixtures("pickled_types")
def test_such_a_column_would_go_off_where_its_values_are_asked_for(tmp_path: Path) -> None:
    crater = tmp_path / "crater"
    told = {"ARROW:extension:name": "ray.data.arrow_pickled_object"}
    schema = pa.schema([pa.field("pair_id", pa.large_binary(), metadata=told)])
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table([[pickle.dumps(Bomb(crater))]], schema=schema), path)
    pq.read_table(path)["pair_id"].to_pylist()
    assert crater.is_dir()
