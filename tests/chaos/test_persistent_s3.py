"""The server that the chaos suite kills must not lose anything itself."""

import hashlib
import http.client
import io
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from persistent_s3 import PersistentS3, persistent_s3

pytestmark = pytest.mark.s3
WRITERS = 6
BUCKET = "chaos"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PersistentS3]:
    with persistent_s3(tmp_path) as running:
        running.server.make_bucket(BUCKET)
        yield running


def client_of(server: PersistentS3) -> Any:
    return boto3.session.Session().client(
        "s3",
        endpoint_url=server.server.url,
        aws_access_key_id="any",
        aws_secret_access_key="any",
        region_name="us-east-1",
        config=Config(proxies={}, retries={"total_max_attempts": 1}, max_pool_connections=32),
    )


def body_of(client: Any, key: str, **options: Any) -> bytes:
    return bytes(client.get_object(Bucket=BUCKET, Key=key, **options)["Body"].read())


def test_what_was_acknowledged_is_whole_after_a_sigkill(server: PersistentS3) -> None:
    acknowledged: dict[str, str] = {}
    overwritten: dict[str, list[str]] = {}

    def write(round_: int, writer: int) -> None:
        client, number = clients[writer], 0
        history = overwritten.setdefault(f"over/{writer}", [])
        while not ended.is_set():
            body = os.urandom(1000 + number * 37 % 50_000)
            key, number = f"new/{round_}/{writer}/{number}", number + 1
            digest = hashlib.md5(body).hexdigest()
            try:
                client.put_object(Bucket=BUCKET, Key=key, Body=body, IfNoneMatch="*")
                acknowledged[key] = digest
                history.append(digest)
                client.put_object(Bucket=BUCKET, Key=f"over/{writer}", Body=body)
            except (BotoCoreError, ClientError):
                return

    clients = [client_of(server) for _ in range(WRITERS)]
    for round_ in range(6):
        wanted, deadline = len(acknowledged) + 20, time.monotonic() + 30
        ended = threading.Event()
        with ThreadPoolExecutor(WRITERS) as writers:
            futures = [writers.submit(write, round_, k) for k in range(WRITERS)]
            while len(acknowledged) < wanted and time.monotonic() < deadline:
                time.sleep(0.003)
            server.kill()
            ended.set()
            for future in futures:
                future.result()
        server.start()
    client = client_of(server)
    assert len(acknowledged) >= 120
    for key, digest in acknowledged.items():
        assert hashlib.md5(body_of(client, key)).hexdigest() == digest
    for key, history in overwritten.items():
        answer = client.get_object(Bucket=BUCKET, Key=key)
        digest = hashlib.md5(answer["Body"].read()).hexdigest()
        assert digest in history[-2:], "the last one acknowledged, or the one under way"
        assert answer["ETag"] == f'"{digest}"'


def test_of_sixteen_exclusive_writers_one_wins(server: PersistentS3) -> None:
    client, barrier = client_of(server), threading.Barrier(16)

    def create(number: int) -> str:
        barrier.wait()
        try:
            client.put_object(Bucket=BUCKET, Key="part", Body=b"%d" % number, IfNoneMatch="*")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "won"

    with ThreadPoolExecutor(16) as writers:
        answers = list(writers.map(create, range(16)))
    assert sorted(answers) == ["PreconditionFailed"] * 15 + ["won"]
    assert body_of(client, "part") == b"%d" % answers.index("won")


def test_ranges_listings_and_deletions_are_those_of_s3(server: PersistentS3) -> None:
    client = client_of(server)
    keys = [f"a/{k:02}.png" for k in range(12)] + ["a/deep/er ü&<.txt", "b"]
    for key in keys:
        client.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    assert body_of(client, "b") == b"b"
    assert body_of(client, keys[0], Range="bytes=2-3") == b"00"
    assert body_of(client, keys[0], Range="bytes=-3") == b"png"
    with pytest.raises(ClientError, match="InvalidRange"):
        body_of(client, "b", Range="bytes=5-")
    paginator = client.get_paginator("list_objects_v2")
    pages = list(paginator.paginate(Bucket=BUCKET, Prefix="a/", PaginationConfig={"PageSize": 5}))
    assert [item["Key"] for page in pages for item in page["Contents"]] == sorted(keys[:13])
    assert {item["Size"] for item in pages[0]["Contents"]} == {8}
    top = client.list_objects_v2(Bucket=BUCKET, Delimiter="/")
    assert [item["Prefix"] for item in top["CommonPrefixes"]] == ["a/"]
    assert [item["Key"] for item in top["Contents"]] == ["b"]
    client.delete_object(Bucket=BUCKET, Key="b")
    client.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": keys[0]}]})
    assert server.keys(BUCKET) == sorted(keys[1:13])
    with pytest.raises(ClientError, match="404"):
        client.head_object(Bucket=BUCKET, Key="b")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        client.list_objects_v2(Bucket="nowhere")


def test_what_was_deleted_is_kept_aside_until_it_is_forgotten(server: PersistentS3) -> None:
    client = client_of(server)
    for key in ("a/1", "a/2", "b/1"):
        client.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
        client.delete_object(Bucket=BUCKET, Key=key)
        client.delete_object(Bucket=BUCKET, Key=key)
    assert server.removed(BUCKET, "a/") == {"a/1": b"a/1", "a/2": b"a/2"}
    assert server.keys(BUCKET) == []
    assert "Contents" not in client.list_objects_v2(Bucket=BUCKET)
    server.forget(BUCKET, "a/")
    assert server.removed(BUCKET, "") == {"b/1": b"b/1"}


def test_bodies_in_chunks_and_conditions_on_an_etag(server: PersistentS3) -> None:
    client = client_of(server)
    body = os.urandom(200_000)
    client.put_object(Bucket=BUCKET, Key="streamed", Body=io.BytesIO(body))
    assert body_of(client, "streamed") == body
    etag = client.put_object(Bucket=BUCKET, Key="record", Body=b"1")["ETag"]
    client.put_object(Bucket=BUCKET, Key="record", Body=b"2", IfMatch=etag)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=BUCKET, Key="record", Body=b"3", IfMatch=etag)
    assert body_of(client, "record") == b"2"


def test_an_aws_chunked_body_is_stored_without_its_frame(server: PersistentS3) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    headers = {"Content-Encoding": "aws-chunked", "Transfer-Encoding": "chunked"}
    framed = [b"5;chunk-signature=0\r\nhello\r\n", b"6\r\n world\r\n0\r\n", b"x-amz-crc: 1\r\n\r\n"]
    connection.request("PUT", f"/{BUCKET}/framed", iter(framed), headers, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert body_of(client_of(server), "framed") == b"hello world"


@pytest.mark.parametrize(
    "request_", ["Content-Length: 9\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n9\r\nhalf"]
)
def test_what_a_killed_client_sent_in_part_is_not_stored(
    server: PersistentS3, request_: str
) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(f"PUT /{BUCKET}/half HTTP/1.1\r\nHost: s3\r\n{request_}".encode())
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""
    assert server.keys(BUCKET) == []


def test_multipart_uploads_are_refused_and_not_half_done(server: PersistentS3) -> None:
    with pytest.raises(ClientError, match="NotImplemented"):
        client_of(server).create_multipart_upload(Bucket=BUCKET, Key="large")
