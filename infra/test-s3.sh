#!/bin/sh
# Runs the tests that take any S3 server against a radosgw on this machine.
# Usage: infra/test-s3.sh PYTHON [PYTEST_ARGUMENT...]
set -eu

python=$1
shift
packages="radosgw ceph-mon ceph-osd"

for program in radosgw radosgw-admin ceph-mon ceph-osd ceph monmaptool; do
    command -v "$program" >/dev/null && continue
    install="apt-get install -y --no-install-recommends $packages"
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "$program is missing; as root on Debian or Ubuntu: $install" >&2
        exit 1
    fi
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive $install
    break
done

# Installing needs the network; the tests get none but loopback.
FUSE_TEST_S3=radosgw exec sh infra/loopback.sh "$python" -m pytest -m store "$@"
