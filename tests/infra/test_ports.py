"""What listens where while a run is at work on one machine that has a network."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from listening import LOOPBACK, Listener, listeners
from prefect_database import put_database
from processes import descendants
from tiny import write_pairs

# Ray takes the address from which this machine would reach 8.8.8.8. So a neighbour of that one, on
# the loopback interface, is to a namespace without any other interface what a network is.
NETWORK_ADDRESS = "8.8.8.1"
_NETWORK = f"""
import fcntl, os, socket, struct, sys
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, IFF_UP_RUNNING = 0x8914, 0x8916, 0x891C, 0x41
def address(text):
    return struct.pack("16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton(text))
with socket.socket() as s:
    fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP_RUNNING))
    fcntl.ioctl(s, SIOCSIFADDR, address("{NETWORK_ADDRESS}"))
    fcntl.ioctl(s, SIOCSIFNETMASK, address("255.255.255.0"))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect(("8.8.8.8", 53))
    print(s.getsockname()[0], flush=True)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def with_a_network(*command: str) -> list[str]:
    """Return a command that runs another one in a namespace whose network has no neighbours."""
    flags = "-n" if os.geteuid() == 0 else "-rn"
    if subprocess.run(["unshare", flags, "true"], capture_output=True).returncode:
        pytest.skip("this system forbids new network namespaces")
    return ["unshare", flags, sys.executable, "-c", _NETWORK, *command]


def test_a_listener_on_all_interfaces_is_seen_as_one() -> None:
    with socket.create_server(("0.0.0.0", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        found = {(who.address, who.port) for who in listeners([os.getpid()])}
        assert {one.getsockname(), two.getsockname()} <= found


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_a_run_on_one_machine_listens_on_the_loopback_interface_only(tmp_path: Path) -> None:
    write_pairs(tmp_path / "in", ["a", "b"])
    command = [str(Path(sys.executable).with_name("fuse-archive")), "run", "--model", "mean"]
    command += ["--source", f"{tmp_path}/in", "--output", f"{tmp_path}/out", "--worker", "cpu:1"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    environment |= {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    put_database(tmp_path / "prefect")
    seen: set[Listener] = set()
    log = tmp_path / "log"
    with (
        log.open("wb") as file,
        subprocess.Popen(
            with_a_network(*command), env=environment, stdout=file, stderr=subprocess.STDOUT
        ) as process,
    ):
        deadline = time.monotonic() + 200
        while process.poll() is None:
            seen |= listeners([process.pid, *descendants(process.pid)])
            assert time.monotonic() < deadline
            time.sleep(0.2)
    told = log.read_text()
    assert process.returncode == 0, told
    assert told.startswith(NETWORK_ADDRESS)
    for kind in ("gcs_server", "raylet", "prefect_server.py", "ray::"):
        assert any(kind in who.command for who in seen), f"{kind} is not in {seen}"
    assert [who for who in seen if who.address not in LOOPBACK] == []
