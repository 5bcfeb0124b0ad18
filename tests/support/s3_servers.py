"""S3 servers for the tests, all on 127.0.0.1: moto, and a one-node Ceph with its radosgw."""

import os
import random
import select
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

START_SECONDS = 30.0
STOP_SECONDS = 10.0
# below the ports that the system gives to outgoing connections, of which tests make many
CEPH_PORTS = range(20_000, 32_000)
CEPH_ATTEMPTS = 3

_REGION = "us-east-1"
_S3_POLICY = """{"Version": "2012-10-17",
 "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}"""
_MOTO = Path(__file__).with_name("moto_process.py")
# radosgw asks its monitor for an encrypted connection, which needs keys: hence mon client mode.
# With the usual paxos intervals every pool takes seconds to create, and a gateway wants several.
# A memstore is ready in half a second where a BlueStore file takes five.
_CEPH_CONF = """[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon_port}/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
paxos propose interval = 0.05
paxos min wait = 0.02
mon allow pool size one = true
mon data avail crit = 0
osd pool default size = 1
osd pool default pg num = 1
osd objectstore = memstore
memstore device bytes = 4294967296
rgw frontends = beast endpoint=127.0.0.1:{rgw_port}
log file = {directory}/$name.log
admin socket =
mon data = {directory}/mon
osd data = {directory}/osd
rgw data = {directory}/rgw
"""


class ServerError(RuntimeError):
    """A server that cannot be started here."""


@dataclass(frozen=True)
class S3Server:
    """Where a running server is, and the credentials that it accepts."""

    url: str
    access_key: str
    secret_key: str
    region: str
    name: str

    def env(self) -> dict[str, str]:
        """The whole AWS environment: clear every other AWS_ variable before setting these."""
        env = {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            # a developer's own profile, region or proxy must not reach the tests
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "no_proxy": "127.0.0.1",
        }
        if self.name == "radosgw":
            # pyarrow's own S3 client, which pandas takes by itself, else streams its checksums;
            # radosgw 16 does not know that encoding and answers 411 MissingContentLength
            env["AWS_REQUEST_CHECKSUM_CALCULATION"] = "when_required"
        return env

    def storage_options(self) -> dict[str, Any]:
        """For pandas and fsspec, where the environment is not to be relied on."""
        return {
            "key": self.access_key,
            "secret": self.secret_key,
            "endpoint_url": self.url,
            "use_listings_cache": False,
        }

    def make_bucket(self, name: str) -> None:
        """Create a bucket; one of this name that exists is left as it is."""
        self._client("s3").create_bucket(Bucket=name)

    def answers(self) -> bool:
        """Whether this very server, known by its credentials, answers by now."""
        try:
            self._client("s3").list_buckets()
        except (BotoCoreError, ClientError):
            return False
        return True

    def _client(self, service: str) -> Any:
        return boto3.session.Session().client(
            service,
            endpoint_url=self.url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )


@contextmanager
def moto_server(*how: str) -> Iterator[S3Server]:
    """Moto in a process of its own, checking signatures and permissions.

    Args:
        how: Arguments of ``moto_process``.
    """
    # exactly the three IAM calls below go unchecked
    env = os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": "3"}
    command = [sys.executable, str(_MOTO), *how]
    with _running(command, env, subprocess.PIPE) as process:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        port = process.stdout.readline().strip().decode() if ready else ""
        if not port:
            raise ServerError("moto did not start: is moto[server] installed?")
        url = f"http://127.0.0.1:{port}"
        iam = S3Server(url, "nobody", "nothing", _REGION, "moto")._client("iam")
        iam.create_user(UserName="tests")
        iam.put_user_policy(UserName="tests", PolicyName="s3", PolicyDocument=_S3_POLICY)
        key = iam.create_access_key(UserName="tests")["AccessKey"]
        yield S3Server(url, key["AccessKeyId"], key["SecretAccessKey"], _REGION, "moto")


@contextmanager
def radosgw_server(directory: Path) -> Iterator[S3Server]:
    """A Ceph monitor, an object store in memory and a radosgw, with their files in `directory`."""
    needed = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin", "setpriv")
    missing = [name for name in needed if shutil.which(name) is None]
    if missing:
        raise ServerError(
            f"no {', '.join(missing)}: "
            "apt-get install --no-install-recommends radosgw ceph-mon ceph-osd"
        )
    for attempt in range(CEPH_ATTEMPTS):
        with ExitStack() as stack:
            try:
                server = _start_ceph(stack, directory / f"ceph-{attempt}")
            except ServerError:
                # Ceph wants its ports named, so one of them may be taken
                if attempt == CEPH_ATTEMPTS - 1:
                    raise
                continue
            yield server
            return


def _start_ceph(stack: ExitStack, directory: Path) -> S3Server:
    for name in ("mon", "osd", "rgw"):
        (directory / name).mkdir(parents=True)
    mon_port, rgw_port = random.sample(CEPH_PORTS, 2)
    fsid, osd, monmap = str(uuid.uuid4()), str(uuid.uuid4()), str(directory / "monmap")
    conf = directory / "ceph.conf"
    conf.write_text(
        _CEPH_CONF.format(fsid=fsid, mon_port=mon_port, rgw_port=rgw_port, directory=directory)
    )
    env = {"PATH": os.environ["PATH"]}
    url = f"http://127.0.0.1:{rgw_port}"
    server = S3Server(url, token_hex(10), token_hex(20), _REGION, "radosgw")

    def run(program: str, *arguments: str) -> None:
        command = [program, "-c", str(conf), *arguments]
        done = subprocess.run(command, env=env, capture_output=True, timeout=START_SECONDS)
        if done.returncode != 0:
            raise ServerError(f"{program} failed: {done.stderr.decode()[-2000:]}")

    def start(program: str, *arguments: str) -> subprocess.Popen[bytes]:
        # the kernel ends the daemon with the thread that runs this, which pytest-timeout or a user
        # may kill before its teardown
        prefix = ["setpriv", "--pdeathsig", "KILL", program, "-c", str(conf), "-f"]
        out = stack.enter_context((directory / f"{program}.out").open("wb"))
        return stack.enter_context(_running([*prefix, *arguments], env, out))

    address = f"[v2:127.0.0.1:{mon_port}]"
    run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, monmap)
    run("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap)
    start("ceph-mon", "-i", "a")
    run("ceph", "--connect-timeout", "10", "osd", "new", osd)
    run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
    start("ceph-osd", "-i", "0")
    keys = ("--access-key", server.access_key, "--secret-key", server.secret_key)
    run("radosgw-admin", "user", "create", "--uid", "tests", "--display-name", "tests", *keys)
    gateway = start("radosgw", "-n", "client.rgw")
    deadline = time.monotonic() + START_SECONDS
    while not server.answers():
        if gateway.poll() is not None or time.monotonic() > deadline:
            raise ServerError(f"radosgw did not start, see the logs in {directory}")
        time.sleep(0.05)
    return server


@contextmanager
def _running(
    command: list[str], env: Mapping[str, str], stdout: int | BinaryIO
) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=None if stdout == subprocess.PIPE else subprocess.STDOUT,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
