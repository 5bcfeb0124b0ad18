#!/bin/sh
# Builds the wheel, installs it without extras into a new environment, and fuses two pairs with it,
# away from the checkout.
#
#   sh infra/wheel-check.sh [PYTHON]
set -eu
python=${1:-python3}
top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH
export PREFECT_HOME="$work/prefect" XDG_CACHE_HOME="$work/cache" PIP_DISABLE_PIP_VERSION_CHECK=1

# A build leaves files beside its sources, and takes up what an earlier one has left.
mkdir "$work/source" "$work/away"
for name in pyproject.toml README.md LICENSE actors flows fusion_core; do
    cp -R "$top/$name" "$work/source"
done
find "$work/source" -name __pycache__ -prune -exec rm -r {} +
"$python" -m venv "$work/venv"
bin="$work/venv/bin"
"$bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$work/wheels" "$work/source"
# What isn't imported need not be compiled.
"$bin/python" -m pip install --quiet --no-compile --constraint "$top/infra/requirements.lock" \
    "$work"/wheels/*.whl
"$bin/python" -m pip check

cd "$work/away"
"$bin/python" - "$work/source" <<'END'
import sys
from importlib.util import find_spec
from pathlib import Path

import fusion_core

installed, source = Path(fusion_core.__file__).parents[1], Path(sys.argv[1])
assert "site-packages" in installed.parts, installed
files = {
    path.relative_to(source)
    for name in ("actors", "flows", "fusion_core")
    for path in (source / name).rglob("*")
    if path.is_file() and path.name != "README.md"
}
missing = sorted(str(path) for path in files if not (installed / path).is_file())
assert files and not missing, f"not in the wheel: {missing}"
extras = [name for name in ("numba", "openvino", "onnx", "pandas") if find_spec(name)]
assert not extras, f"installed without being asked for: {extras}"
END
sh "$top/infra/loopback.sh" "$bin/fuse-archive" demo --pairs 2
"$bin/python" - <<'END'
from fusion_core import read_manifest

status = read_manifest("demo-archive/output/manifest", columns=["status"])["status"].to_pylist()
assert status == ["ok", "ok"], status
END
echo "the wheel fuses"
