#!/bin/sh
# Runs the tests that look at pages in a browser, in Debian's Chromium.
# Usage: infra/test-browser.sh PYTHON [PYTEST_ARGUMENT...]
# FUSE_SCREENSHOTS names a folder for pictures of the pages.
set -eu

python=$1
shift
if ! command -v chromium >/dev/null; then
    install="apt-get install -y --no-install-recommends chromium fonts-dejavu-core"
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "chromium is missing; as root on Debian or Ubuntu: $install" >&2
        exit 1
    fi
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive $install
fi

# Installing needs the network; the tests get none but loopback.
exec sh infra/loopback.sh "$python" -m pytest -m browser tests/browser "$@"
