"""Holds the packages to what they may import, and to the other rules of layout."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from package_graph import arrows, knots, longest_function, module_arrows, modules
from package_graph import imports as project_imports

ROOT = Path(__file__).resolve().parents[1]

ORDER = (
    *("errors", "metrics", "settings", "storage", "images", "registration", "models", "api"),
    *("archive", "detection", "demo", "scenes", "video", "reports", "jobs", "training"),
)
"""The packages of fusion_core, and the two modules beside them: each rests on those before it."""

LONGEST_MODULE = 320
LONGEST_FUNCTION = 60

# The import column first, then what each room needs beside it and why.
ALLOWED = {
    "fusion_core": {
        *("torch", "numpy", "PIL", "rasterio", "pyarrow", "fsspec"),
        *("av", "cv2", "deflate"),  # videos; aligning pairs; PNG some times as fast as by zlib
        "duckdb",  # what is larger than memory is sorted and joined by an engine that spills
        *("onnx", "google"),  # networks of others, and the errors of reading their files
        *("openvino", "onnxruntime"),  # what computes networks, where it is installed
        "numba",  # compiles the loops that score, where it is installed
        *("jinja2", "markupsafe"),  # reports are templates, in which everything is escaped
        "lazy_loader",  # a package's face is loaded when it is asked for
        *("pydantic", "pycocotools"),  # frozen, validated settings; AP of detectors as COCO has it
        "pystac",  # fused scenes are described as STAC items
        "shapely",  # outlines of scenes are simplified, cut at the 180th meridian, made valid
        "safetensors",  # weights are never unpickled
        "tenacity",  # storage errors are tried again with backoff
    },
    "actors": {
        *("fusion_core", "ray"),
        "torch",  # inside an actor: whether its device is really there, and its threads
    },
    "flows": {
        *("fusion_core", "actors", "prefect"),
        "opentelemetry",  # traces of runs, where it is installed
        "prometheus_client",  # metrics of runs, where it is installed
        "pyarrow",  # plans and manifest rows are tables
        "pydantic",  # summaries are validated objects like the settings
        "cyclopts",  # the command line is made from the settings
        "rich",  # progress bar and tables in a terminal
        "uvicorn",  # serves Prefect's own application for one run
    },
}

TOP_LEVEL = {
    *("flows", "fusion_core", "actors", "infra", "tests", ".ci"),
    *("pyproject.toml", "README.md", "Makefile", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"),
    *(".gitignore", ".dockerignore", ".pre-commit-config.yaml"),
}

INSTEAD = """What to do instead: pixels and metrics belong to fusion_core, what needs Ray to actors,
what needs Prefect or the environment to flows, which hand it down as an argument. A library that a
room really needs goes into ALLOWED with its reason, and into pyproject.toml with a floor. A module
that is too long is about two things: give each a module of its own."""

ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
READS_ENVIRONMENT = {"flows"}
# A cache is each machine's own, so that whoever starts a run on others can't tell where it is.
READS_XDG = "fusion_core/models/engines/cache_folder.py"

DISTRIBUTIONS = {
    **{"cv2": "opencv-python-headless", "PIL": "pillow"},
    "google": "protobuf",
    "lazy_loader": "lazy-loader",
    "opentelemetry": "opentelemetry-sdk",
    "prometheus_client": "prometheus-client",
}


def violations(root: Path) -> list[str]:
    """What the modules below a folder do that the rules forbid."""
    return [
        f"{path.relative_to(root).as_posix()}{found}"
        for room in ALLOWED
        for path in sorted((root / room).rglob("*.py"))
        for found in module_violations(path, room, path.relative_to(root))
    ]


def module_violations(path: Path, room: str, relative: Path) -> Iterator[str]:
    text = path.read_text()
    tree = ast.parse(text)
    if (lines := len(text.splitlines())) > LONGEST_MODULE:
        yield f": {lines} lines, at most {LONGEST_MODULE}"
    for line, name in imports(tree, relative.parts[:-1]):
        top = name.partition(".")[0]
        if top not in ALLOWED[room] | {room} | sys.stdlib_module_names:
            yield f":{line}: imports {name or 'an unknown name'}"
    if room not in READS_ENVIRONMENT and relative.as_posix() != READS_XDG:
        for line, name in environment_uses(tree):
            yield f":{line}: uses {name}"


def imports(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Every import with its absolute name, wherever in the module; an unreadable one has none."""
    functions = importing_functions(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, absolute(node.module or "", node.level, package)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in functions:
            text = ""
            if node.args and isinstance(node.args[0], ast.Constant):
                text = str(node.args[0].value)
            dots = len(text) - len(text.lstrip("."))
            yield node.lineno, absolute(text.lstrip("."), dots, package)


def absolute(module: str, dots: int, package: tuple[str, ...]) -> str:
    above = package[: max(len(package) - dots + 1, 0)] if dots else ()
    return ".".join(part for part in (*above, module) if part)


def importing_functions(tree: ast.AST) -> set[str]:
    """What import_module and __import__ are called in a module."""
    names = {"__import__", "builtins.__import__"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == "importlib":
                    names.add(f"{alias.asname or alias.name}.import_module")
        elif isinstance(node, ast.ImportFrom) and node.module == "importlib":
            names |= {a.asname or a.name for a in node.names if a.name == "import_module"}
    return names


def environment_uses(tree: ast.AST) -> Iterator[tuple[int, str]]:
    aliases = {"os"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {a.asname for a in node.names if a.name == "os" and a.asname}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from ((node.lineno, f"os.{a.name}") for a in node.names if a.name in ENVIRONMENT)
        elif (
            isinstance(node, ast.Attribute)
            and node.attr in ENVIRONMENT
            and isinstance(node.value, ast.Name)
            and node.value.id in aliases
        ):
            yield node.lineno, f"os.{node.attr}"


def misplaced(root: Path) -> list[str]:
    """What imports from a package above its own, and what to do instead."""
    found = []
    for one in project_imports(root, ("fusion_core",)):
        source, target = (name.split(".")[1:2] for name in (one.source, one.target))
        if not (source and target) or source == target:
            continue
        if ORDER.index(target[0]) > ORDER.index(source[0]):
            found.append(
                f"{one.source}:{one.line} imports {one.target}, and {target[0]} stands above "
                f"{source[0]}: hand in what is needed from there, or move what both need to the "
                f"lower one. The order is {', '.join(ORDER)}"
            )
    return found


def test_packages_keep_the_rules() -> None:
    assert violations(ROOT) == [], INSTEAD


def test_a_package_imports_only_from_those_before_it() -> None:
    assert misplaced(ROOT) == []
    assert knots(arrows(ROOT)) == []


def test_no_modules_import_each_other_not_even_for_types() -> None:
    assert knots(module_arrows(ROOT)) == []


def test_everything_in_the_core_has_a_place_in_the_order() -> None:
    assert set(arrows(ROOT)) == set(ORDER)


def test_no_module_of_the_tests_is_longer_than_the_others() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / "tests").rglob("*.py")}
    assert [path.name for path, lines in lengths.items() if lines > LONGEST_MODULE] == []


def test_no_function_is_longer_than_a_page() -> None:
    lines, name = longest_function(modules(ROOT))
    assert lines <= LONGEST_FUNCTION, f"{name} has {lines} lines: give its parts names of their own"


def test_core_knows_no_ray_and_actors_no_prefect() -> None:
    assert not ALLOWED["fusion_core"] & {"ray", "prefect", "actors", "flows"}
    assert not ALLOWED["actors"] & {"prefect", "flows"}
    assert not ALLOWED["flows"] & {"torch", "numpy", "PIL", "rasterio"}, "no pixels in a flow"


def test_every_room_has_modules() -> None:
    assert all(any((ROOT / room).glob("*.py")) for room in ALLOWED)


def test_allowed_libraries_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"] | {"": project["dependencies"]}
    lines = [ln for one in ("", "cpu", "detect", "metrics", "onnx-gpu") for ln in extras[one]]
    declared = {re.split(r"[\[<>=~! ]", line)[0].removesuffix("-gpu") for line in lines}
    libraries = set().union(*ALLOWED.values()) - set(ALLOWED)
    assert {DISTRIBUTIONS.get(name, name) for name in libraries} <= declared


def test_top_level_is_what_is_named_here() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert {line.partition("/")[0] for line in listed.stdout.splitlines()} == TOP_LEVEL


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("fusion_core/bad.py", "import ray", ":1: imports ray"),
        ("fusion_core/bad.py", "import os, ray.util as u", ":1: imports ray.util"),
        ("fusion_core/bad.py", "from prefect.flows import Flow", ":1: imports prefect.flows"),
        ("fusion_core/bad.py", "from actors import pool", ":1: imports actors"),
        ("fusion_core/deep/bad.py", "from ... import x", ":1: imports an unknown name"),
        ("fusion_core/deep/bad.py", "from ...flows import cli", ":1: imports flows"),
        ("actors/bad.py", "def f():\n    import prefect", ":2: imports prefect"),
        ("actors/bad.py", "if TYPE_CHECKING:\n    import flows.cli", ":2: imports flows.cli"),
        ("actors/bad.py", "import pandas", ":1: imports pandas"),
        ("flows/bad.py", "import ray", ":1: imports ray"),
        ("flows/bad.py", "try:\n    import torch\nexcept ImportError: ...", ":2: imports torch"),
        (
            "actors/bad.py",
            "import importlib as i\ni.import_module('prefect')",
            ":2: imports prefect",
        ),
        (
            "actors/bad.py",
            "from importlib import import_module as m\nm('flows.cli')",
            ":2: imports flows.cli",
        ),
        ("fusion_core/bad.py", "__import__('ray')", ":1: imports ray"),
        (
            "fusion_core/bad.py",
            "import importlib\nimportlib.import_module('r' + 'ay')",
            ":2: imports an unknown name",
        ),
        ("fusion_core/bad.py", "import os\nos.environ['A']", ":2: uses os.environ"),
        ("actors/bad.py", "from os import environ as e", ":1: uses os.environ"),
        ("flows/bad.py", "x = 1\n" * 321, ": 321 lines, at most 320"),
    ],
)
def test_a_bad_module_is_found(tmp_path: Path, module: str, source: str, found: str) -> None:
    path = tmp_path / module
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert violations(tmp_path) == [f"{module}{found}"]


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("fusion_core/storage/bad.py", "from fusion_core.jobs.pair import x", "jobs stands above"),
        ("fusion_core/errors.py", "import fusion_core.metrics.ssim", "metrics stands above"),
        ("fusion_core/images/bad.py", "from ..models import x", "models stands above images"),
        ("fusion_core/api.py", "def f():\n    from fusion_core.demo import x", "demo stands above"),
    ],
)
def test_an_import_from_above_is_found(
    tmp_path: Path, module: str, source: str, found: str
) -> None:
    path = tmp_path / module
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    (told,) = misplaced(tmp_path)
    assert found in told
    assert "hand in what is needed" in told


def test_modules_that_import_each_other_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "fusion_core/jobs"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "scene.py").write_text("from fusion_core.jobs.row import Row")
    (folder / "row.py").write_text("if TYPE_CHECKING:\n    from . import scratch")
    (folder / "scratch.py").write_text("def f():\n    import fusion_core.jobs.scene")
    (folder / "pair.py").write_text("from fusion_core.jobs import row\nfrom .. import errors")
    assert knots(module_arrows(tmp_path)) == [
        [f"fusion_core.jobs.{name}" for name in ("row", "scene", "scratch")]
    ]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("fusion_core/good.py", "import os.path, json\nimport torch.nn.functional as F"),
        ("fusion_core/deep/good.py", "from ..errors import E\nfrom . import x\nimport PIL.Image"),
        ("actors/good.py", "import importlib\nimportlib.import_module('ray.util')"),
        ("flows/good.py", "import os\nos.environ.get('A')\nfrom actors.pool import ActorPool"),
        ("fusion_core/good.py", "environ = {}\nenviron['A'] = self.environ"),
        ("flows/good.py", "x = 1\n" * 320),
    ],
)
def test_a_good_module_passes(tmp_path: Path, module: str, source: str) -> None:
    path = tmp_path / module
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert violations(tmp_path) == []
