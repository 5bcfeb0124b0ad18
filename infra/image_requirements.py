"""Prints what the image installs before the package: its dependencies, and those of some extras.

So that a layer of the image holds them which a change of the code leaves alone.

    python infra/image_requirements.py cpu,dashboard
"""

import sys
import tomllib
from pathlib import Path


def requirements(extras: str) -> list[str]:
    """Return the lines of pyproject.toml that the package asks for with these extras.

    Args:
        extras: Names of extras, with commas; may be empty.

    Raises:
        SystemExit: There is no such extra.
    """
    text = (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    known = project["optional-dependencies"]
    lines = list(project["dependencies"])
    for name in filter(None, extras.split(",")):
        if name not in known:
            raise SystemExit(f"no extra is called {name!r}; there are {', '.join(sorted(known))}")
        lines += known[name]
    return lines


if __name__ == "__main__":
    print("\n".join(requirements(*sys.argv[1:2] or [""])))
