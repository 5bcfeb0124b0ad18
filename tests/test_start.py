"""What is loaded, and how long it takes, until the command line answers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "ray", "prefect", "rasterio", "pystac"}
FUSE_ARCHIVE = str(Path(sys.executable).with_name("fuse-archive"))


def loaded_by(script: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after a script."""
    told = "import json, sys; print(json.dumps(sorted({n.partition('.')[0] for n in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\n{told}"], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "script",
    [
        "import fusion_core; fusion_core.__version__",
        "import fusion_core.jobs, fusion_core.models, fusion_core.scenes, fusion_core.training",
        "from fusion_core.settings import FuseArchiveSettings",
        "from fusion_core.training import AblateSettings, TrainSettings",
        "import flows.cli",
    ],
)
def test_a_light_import_loads_nothing_heavy(script: str) -> None:
    assert loaded_by(script) & HEAVY == set()


def test_a_heartbeat_loads_no_tables() -> None:
    # The start of every run waits for its process, and a take-over is told by it alone.
    assert loaded_by("import fusion_core.archive.heartbeat") & {*HEAVY, "numpy", "pyarrow"} == set()


@pytest.mark.parametrize("arguments", [[], ["run"], ["score"], ["train"], ["ablate"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys, contextlib, io\n"
        f"sys.argv = {['fuse-archive', *arguments, '--help']}\n"
        "from flows.cli import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as told:\n"
        "    main()\n"
        "assert 'Usage: fuse-archive' in told.getvalue()"
    )
    assert loaded_by(script) & HEAVY == set()


def test_what_is_asked_of_a_face_is_what_its_module_holds() -> None:
    import fusion_core
    from fusion_core.api import fuse

    assert fusion_core.fuse is fuse
    assert {"fuse", "score", "read_manifest"} <= set(dir(fusion_core))
    with pytest.raises(AttributeError, match="nothing_such"):
        fusion_core.nothing_such  # noqa: B018
