#!/bin/sh
# Runs a command in a network namespace that holds the loopback interface only.
#
# Ray listens on every interface whatever it is told, so the demo and the tests shut the others out.
# Where the system forbids new namespaces (macOS, some containers) the command runs as it is, and
# a line says so.
set -eu
only_loopback() { [ "$(grep -cv -e '|' -e '^ *lo:' /proc/net/dev 2>/dev/null)" = 0 ]; }
up='import fcntl, socket, struct
s = socket.socket()
SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41
fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP_RUNNING))'
if [ -r /proc/net/dev ] && only_loopback; then
    exec "$@"
fi
[ "$(id -u)" = 0 ] && flags=-n || flags=-rn
if unshare $flags true 2>/dev/null; then
    exec unshare $flags sh -c 'python3 -c "$1" && shift && exec "$@"' loopback "$up" "$@"
fi
echo "loopback.sh: no network namespace can be made here, so Ray's ports are open to your network" >&2
exec "$@"
