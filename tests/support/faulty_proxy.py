"""A way to an S3 server on which things go wrong, as a process of its own on 127.0.0.1.

    python faulty_proxy.py TARGET FAULT RATE SEED

prints its port and ends with its standard input. ``GET /-/faults`` tells how many faults it made.
"""

import asyncio
import contextlib
import json
import os
import random
import select
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession, web
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from multidict import CIMultiDict
from s3_servers import S3Server
from yarl import URL

_START_SECONDS = 30.0
_ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>"
Forward = Callable[[], Awaitable[web.StreamResponse]]


class Faults:
    """Answers requests by the target's answers, or by faults."""

    def __init__(self, target: str, fault: str, rate: float, seed: int):
        self.target, self.fault, self.rate = target, fault, rate
        self.random = random.Random(seed)
        self.made: Counter[str] = Counter()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/-/faults":
            return web.json_response(self.made)
        body = await request.read()
        kind = self.choose(request)
        if kind is None:
            return await self.forward(request, body)
        self.made[kind] += 1
        handler = getattr(self, f"make_{kind}")
        answer: web.StreamResponse = await handler(request, body)
        return answer

    def choose(self, request: web.Request) -> str | None:
        """Pick the fault that this request meets, if one."""
        conditional = "if-none-match" in request.headers
        possible = [
            kind
            for kind in (FAULTS if self.fault == "mixed" else [self.fault])
            if kind != "unconditional"
            and (conditional or kind not in ("lying_412", "conflict_409"))
            and (request.method == "GET" or kind != "truncate")
            and (request.method == "PUT" or kind != "lost_answer")
        ]
        if self.fault == "unconditional" or not possible or self.random.random() >= self.rate:
            return None
        return self.random.choice(possible)

    async def make_error_500(self, request: web.Request, body: bytes) -> web.Response:
        return error(500, "InternalError")

    async def make_slow_down_503(self, request: web.Request, body: bytes) -> web.Response:
        return error(503, "SlowDown")

    async def make_conflict_409(self, request: web.Request, body: bytes) -> web.Response:
        return error(409, "ConditionalRequestConflict")

    async def make_lying_412(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Do the write, and say that the object was there."""
        answer = await self.forward(request, body)
        return error(412, "PreconditionFailed") if answer.status == 200 else answer

    async def make_lost_answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Do the write, and say nothing."""
        await self.forward(request, body)
        return abort(request)

    async def make_reset(self, request: web.Request, body: bytes) -> web.StreamResponse:
        return abort(request)

    async def make_stall(self, request: web.Request, body: bytes) -> web.StreamResponse:
        await asyncio.sleep(3600)
        return abort(request)

    async def make_truncate(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Promise all of the answer's body, and send half."""
        whole = await self.forward(request, body)
        assert isinstance(whole, web.Response)
        content = whole.body if isinstance(whole.body, bytes) else b""
        if len(content) < 2:
            return whole
        headers = dict(whole.headers.items())
        headers["Content-Length"] = str(len(content))
        half = web.StreamResponse(status=whole.status, headers=headers)
        await half.prepare(request)
        await half.write(content[: len(content) // 2])
        return abort(request)

    async def forward(self, request: web.Request, body: bytes) -> web.Response:
        headers: CIMultiDict[str] = request.headers.copy()
        if self.fault == "unconditional":
            headers = self.signed_without_condition(request, body)
        url = URL(self.target + request.raw_path, encoded=True)
        async with (
            ClientSession(auto_decompress=False) as session,
            session.request(
                request.method, url, headers=headers, data=body, allow_redirects=False
            ) as answer,
        ):
            content = await answer.read()
            skipped = {"transfer-encoding", "content-length", "connection", "server", "date"}
            kept = [(k, v) for k, v in answer.headers.items() if k.lower() not in skipped]
            response = web.Response(status=answer.status, headers=dict(kept), body=content)
            if request.method == "HEAD":
                response.headers["Content-Length"] = answer.headers.get("Content-Length", "0")
            return response

    def signed_without_condition(self, request: web.Request, body: bytes) -> CIMultiDict[str]:
        """Return a request's headers without its condition, signed anew."""
        own = {"authorization", "x-amz-date", "if-none-match", "host"}
        kept = {k: v for k, v in request.headers.items() if k.lower() not in own}
        url = self.target + request.raw_path
        plain = AWSRequest(method=request.method, url=url, data=body, headers=kept)
        credentials = Credentials(os.environ["PROXY_KEY"], os.environ["PROXY_SECRET"])
        S3SigV4Auth(credentials, "s3", os.environ["PROXY_REGION"]).add_auth(plain)
        return CIMultiDict(plain.headers.items())


FAULTS = sorted(name.removeprefix("make_") for name in vars(Faults) if name.startswith("make_"))


def error(status: int, code: str) -> web.Response:
    return web.Response(status=status, text=_ERROR.format(code=code), content_type="text/xml")


def abort(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("injected")


@dataclass(frozen=True)
class FaultyProxy:
    """Where a running proxy is."""

    url: str
    process: "subprocess.Popen[str]"

    def end(self) -> None:
        """Be gone."""
        self.process.kill()
        self.process.wait()

    def made(self) -> dict[str, int]:
        """Return how many faults it has made, by kind."""
        with urllib.request.urlopen(f"{self.url}/-/faults", timeout=10) as answer:
            counts: dict[str, int] = json.load(answer)
        return counts


@contextmanager
def faulty_proxy(target: S3Server, fault: str, rate: float, seed: int = 1) -> Iterator[FaultyProxy]:
    """Run a proxy in front of an S3 server.

    Args:
        target: The server.
        fault: One of ``FAULTS``; "mixed" for all of them; "unconditional" for a server that
            ignores the condition of a write.
        rate: Share of the requests that meet the fault, where it can meet them.
        seed: Which ones.
    """
    command = [sys.executable, __file__, target.url, fault, str(rate), str(seed)]
    keys = {"KEY": target.access_key, "SECRET": target.secret_key, "REGION": target.region}
    env = os.environ | {f"PROXY_{name}": value for name, value in keys.items()}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(
        command, env=env, **pipes, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
        port = process.stdout.readline().strip() if ready else ""
        assert port, "the proxy did not start"
        try:
            yield FaultyProxy(f"http://127.0.0.1:{port}", process)
        finally:
            process.kill()


async def _serve(target: str, fault: str, rate: float, seed: int) -> None:
    faults = Faults(target, fault, rate, seed)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", faults.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))
