"""Each package of fusion_core shows a face, and flows and actors take nothing from behind it."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest
from package_graph import imports as project_imports

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "fusion_core"


def behind_faces(root: Path) -> list[str]:
    """What flows and actors take from the core's inside, and what to do instead."""
    faces = {module_of(stub, root): stub_names(stub) for stub in root.rglob("fusion_core/*.pyi")}
    faces |= {module_of(s, root): stub_names(s) for s in root.rglob("fusion_core/*/*.pyi")}
    found = []
    for one in project_imports(root, ("actors", "flows")):
        top, _, rest = one.target.partition(".")
        if top != "fusion_core" or rest == "errors":
            continue
        whole = [name for name in one.names if f"{one.target}.{name}" in faces]
        hidden = [name for name in one.names if name not in {*whole, *faces.get(one.target, ())}]
        taken = [(one.target, hidden)] if hidden or not one.names else []
        for name in whole:
            face = f"{one.target}.{name}"
            used = attributes_of(name, root / f"{one.source.replace('.', '/')}.py")
            taken += [(face, beyond)] if (beyond := sorted(used - faces[face])) else []
        found += [
            f"{one.source}:{one.line} takes {', '.join(names) or 'all'} from {target}: take it "
            "from the package's face, and name it in the __init__.pyi if others are meant to use it"
            for target, names in taken
        ]
    return found


def attributes_of(package: str, module: Path) -> set[str]:
    """What a module takes from a package that it imports whole, which is loaded when used."""
    return {
        node.attr
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == package
    }


def module_of(stub: Path, root: Path) -> str:
    return ".".join(stub.relative_to(root).parts[:-1])


def stub_names(stub: Path) -> set[str]:
    tree = ast.parse(stub.read_text())
    taken = {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    return taken | {
        n.target.id
        for n in tree.body
        if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
    }


def test_flows_and_actors_take_from_the_core_what_its_faces_show() -> None:
    assert behind_faces(ROOT) == []


def test_every_package_says_what_it_is_for_and_shows_a_face() -> None:
    for folder in {path.parent for path in CORE.glob("*/__init__.py")}:
        name, told = (
            folder.name,
            ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or "",
        )
        assert 3 <= len(told.splitlines()) <= 8, f"{name}: the docstring of its __init__"
        assert "tart reading at" in told, f"{name}: say where to start reading"
        assert (folder / "__init__.pyi").exists(), f"{name}: name its face in __init__.pyi"


def test_every_name_of_a_face_is_there() -> None:
    for stub in (ROOT / "fusion_core").rglob("__init__.pyi"):
        package = importlib.import_module(".".join(stub.relative_to(ROOT).parts[:-1]))
        assert package.__all__
        for name in package.__all__:
            assert getattr(package, name) is not None
            assert not inspect.ismodule(getattr(package, name)), f"{name} is a module too"


@pytest.mark.parametrize(
    ("source", "taken"),
    [
        ("from fusion_core.storage.store import Storage", "Storage from fusion_core.storage.store"),
        ("from fusion_core.storage import Storage, hidden", "hidden from fusion_core.storage"),
        ("import fusion_core.storage", "all from fusion_core.storage"),
        ("from fusion_core import store", "store from fusion_core"),
        ("from fusion_core import storage\nstorage.hidden", "hidden from fusion_core.storage"),
    ],
)
def test_an_import_from_behind_a_face_is_found(tmp_path: Path, source: str, taken: str) -> None:
    face = tmp_path / "fusion_core/storage/__init__.pyi"
    face.parent.mkdir(parents=True)
    face.write_text("from .store import Storage as Storage\n")
    (tmp_path / "actors").mkdir()
    (tmp_path / "actors/bad.py").write_text(source)
    (told,) = behind_faces(tmp_path)
    assert taken in told
    assert "take it from the package's face" in told
