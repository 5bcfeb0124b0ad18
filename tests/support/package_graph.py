"""The packages of the project and the arrows between them, read from the sources.

    python tests/support/package_graph.py [ROOT]

prints the figures of a checkout: modules, packages, arrows, cycles, lines.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOMS = ("fusion_core", "actors", "flows")


@dataclass(frozen=True)
class Import:
    """One import of a module of the project.

    Attributes:
        source: Absolute name of the module that imports.
        target: Absolute name of the module that is imported from.
        names: What is taken from it; empty where it is imported as a whole.
        line: Where.
    """

    source: str
    target: str
    names: tuple[str, ...]
    line: int


def module_name(path: Path, root: Path) -> str:
    """Return the absolute name of a module, or of the package that ``__init__`` makes."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(root: Path, rooms: tuple[str, ...] = ROOMS) -> dict[str, Path]:
    """Return the project's modules by name."""
    paths = (path for room in rooms for path in sorted((root / room).rglob("*.py")))
    return {module_name(path, root): path for path in paths}


def imports(root: Path, rooms: tuple[str, ...] = ROOMS) -> Iterator[Import]:
    """Find every import between modules of the project, wherever in a module it stands."""
    for name, path in modules(root, rooms).items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found = [(alias.name, ()) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = ".".join(package.split(".")[: package.count(".") + 2 - node.level])
                inner = [base] if node.level else []
                target = ".".join([*inner, *filter(None, [node.module])])
                found = [(target, tuple(alias.name for alias in node.names))]
            else:
                continue
            yield from (
                Import(name, target, names, node.lineno)
                for target, names in found
                if target.partition(".")[0] in ROOMS
            )


def package_of(module: str) -> str:
    """Return the package of ``fusion_core`` that a module belongs to, such as ``storage``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def arrows(root: Path) -> dict[str, set[str]]:
    """Return, for each package of ``fusion_core``, the other ones that it imports from."""
    found: dict[str, set[str]] = {package_of(name): set() for name in modules(root, ROOMS[:1])}
    for one in imports(root, ROOMS[:1]):
        source, target = package_of(one.source), package_of(one.target)
        if source and target and source != target:
            found[source].add(target)
    found.pop("", None)
    return found


def knots(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of packages that can all be reached from each other, by Tarjan."""
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        numbers[node] = lowest[node] = len(numbers)
        stack.append(node)
        for target in graph.get(node, ()):
            if target not in numbers:
                visit(target)
            if target in stack:
                lowest[node] = min(lowest[node], lowest[target])
        if lowest[node] == numbers[node]:
            knot = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(knot) > 1:
                found.append(sorted(knot))

    for node in graph:
        if node not in numbers:
            visit(node)
    return found


def longest_function(paths: Mapping[str, Path]) -> tuple[int, str]:
    """Return the lines of the longest function and its name."""
    return max(
        ((node.end_lineno or 0) - node.lineno + 1, f"{name}.{node.name}")
        for name, path in paths.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def figures(root: Path) -> dict[str, object]:
    """Return what the script prints."""
    core, every = modules(root, ROOMS[:1]), modules(root)
    lines = {name: len(path.read_text().splitlines()) for name, path in every.items()}
    graph = arrows(root)
    top = [path for path in (root / "fusion_core").glob("*.py") if path.name != "__init__.py"]
    folders = [path.parent for path in (root / "fusion_core").glob("*/__init__.py")]
    without_errors = sum(len(targets - {"errors"}) for targets in graph.values())
    longest = max(lines, key=lambda name: lines[name])
    return {
        "modules at the top of fusion_core": len(top),
        "packages of fusion_core": len(folders),
        "modules of fusion_core": len(core),
        "arrows between packages and modules at the top": sum(map(len, graph.values())),
        "of them without those to errors": without_errors,
        "cycles between them": knots(graph),
        "longest module": f"{lines[longest]} lines, {longest}",
        "longest function": "{} lines, {}".format(*longest_function(every)),
        "lines of fusion_core, actors, flows": sum(lines.values()),
    }


if __name__ == "__main__":
    checkout = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    for title, figure in figures(checkout).items():
        print(f"{title}: {figure}")
