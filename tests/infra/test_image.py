"""What the image is made of, by its Containerfile."""

import re
import subprocess
import sys
import tomllib

import pytest
from infra_files import INFRA, PROJECT, ROOT, lock
from packaging.requirements import Requirement
from setuptools import find_packages


def instructions() -> list[tuple[str, list[str]]]:
    """The Containerfile's instructions and their words."""
    text = (INFRA / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.split()[1:]) for line in lines]


def words_of(name: str) -> list[list[str]]:
    return [words for instruction, words in instructions() if instruction == name]


def arguments() -> dict[str, str]:
    pairs = [words[0].split("=", 1) for words in words_of("ARG")]
    return dict(pairs)


def copied() -> list[str]:
    return [source for words in words_of("COPY") for source in words[:-1]]


def test_image_has_the_python_of_the_project_pinned_by_digest() -> None:
    assert {words[0] for words in words_of("FROM")} == {"${PYTHON_IMAGE}"}
    pinned = r"python:(\d+\.\d+\.\d+)-slim-\w+@sha256:[0-9a-f]{64}"
    version = re.fullmatch(pinned, arguments()["PYTHON_IMAGE"])
    assert version
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(version[1])


def test_image_copies_existing_files_that_reach_the_build() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    reaching = [line.removeprefix("!") for line in ignore if line.startswith("!")]
    assert "*" in ignore
    assert sorted(set(copied())) == sorted(reaching)
    assert all((ROOT / source).exists() for source in copied())


def test_image_holds_every_package_and_file_that_the_build_reads() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["packages"]["find"]["include"]
    installed = set(find_packages(str(ROOT), include=patterns))
    packages = {name.partition(".")[0] for name in installed}
    assert packages == {"actors", "flows", "fusion_core"}
    found = [path.parent for name in packages for path in (ROOT / name).rglob("__init__.py")]
    assert {".".join(path.relative_to(ROOT).parts) for path in found} == installed
    files = {PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml"}
    assert packages | files <= set(copied())


def test_a_change_of_the_code_leaves_the_layers_of_torch_and_the_lock_alone() -> None:
    last = [k for k, (name, _) in enumerate(instructions()) if name == "FROM"][-1]
    final = [(name, " ".join(words)) for name, words in instructions()[last:]]
    steps = [k for k, (name, text) in enumerate(final) if name == "RUN" and "pip install" in text]
    torch, locked, package = steps
    assert '"torch==$TORCH"' in final[torch][1]
    assert not [text for name, text in final[:torch] if name == "COPY"]
    before = [word for name, text in final[:locked] if name == "COPY" for word in text.split()[:-1]]
    assert before
    assert not set(before) & {"actors", "flows", "fusion_core", "README.md"}
    for name in ("requirements", "dashboard"):
        assert f"--constraint /build/infra/{name}.lock" in final[locked][1]
    assert "--no-deps /wheels/*.whl" in final[package][1]
    assert "from=wheel" in final[package][1]


def test_image_has_the_locked_torch() -> None:
    assert arguments()["TORCH"] == str(lock()["torch"])


def test_image_ends_without_root() -> None:
    assert words_of("USER")[-1] == ["1000:1000"]
    assert any("--uid 1000" in " ".join(words) for words in words_of("RUN"))
    assert instructions()[-1] == ("ENTRYPOINT", ['["fuse-archive"]'])
    assert "fuse-archive" in PROJECT["scripts"]


def test_image_holds_what_the_package_and_the_named_extras_ask_for() -> None:
    program = [sys.executable, str(INFRA / "image_requirements.py")]

    def printed(extras: str) -> list[str]:
        done = subprocess.run([*program, extras], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    known = PROJECT["optional-dependencies"]
    assert printed("") == PROJECT["dependencies"]
    assert printed("cpu,train") == [*PROJECT["dependencies"], *known["cpu"], *known["train"]]
    with pytest.raises(subprocess.CalledProcessError) as failed:
        printed("cpus")
    assert "no extra is called 'cpus'; there are cpu," in failed.value.stderr
