"""Short-lived credentials of an S3 server that checks rights, and their withdrawal."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import s3_servers
from s3_servers import S3Server, moto_server

# What the README names as enough: no right to delete, none to write to the source.
RUN_POLICY = """{"Version": "2012-10-17", "Statement": [
 {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::*"},
 {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::*/in/*"},
 {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
  "Resource": "arn:aws:s3:::*/out/*"}]}"""
TRUST = """{"Version": "2012-10-17", "Statement": [
 {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}"""


class Account:
    """An S3 server, and short-lived credentials whose rights can be taken away."""

    def __init__(self, server: S3Server):
        self.server = server
        self.iam: Any = server._client("iam")
        self._assume("run")

    def allow(self) -> None:
        self.iam.put_role_policy(RoleName=self._role, PolicyName="run", PolicyDocument=RUN_POLICY)

    def revoke(self) -> None:
        self.iam.delete_role_policy(RoleName=self._role, PolicyName="run")

    def rotate(self) -> None:
        """Give new credentials, and take the rights of the old ones away."""
        self.revoke()
        self._assume(f"run-{uuid.uuid4().hex}")

    def _assume(self, role: str) -> None:
        self._role = role
        made = self.iam.create_role(RoleName=role, AssumeRolePolicyDocument=TRUST)["Role"]
        self.allow()
        sts: Any = self.server._client("sts")
        given = sts.assume_role(RoleArn=made["Arn"], RoleSessionName="run")["Credentials"]
        self.key, self.secret = given["AccessKeyId"], given["SecretAccessKey"]
        self.token = given["SessionToken"]

    def options(self, **changes: str) -> dict[str, Any]:
        """Return fsspec storage options."""
        given = {"key": self.key, "secret": self.secret, "token": self.token}
        return {**given, "endpoint_url": self.server.url, **changes}


@contextmanager
def short_lived_account() -> Iterator[Account]:
    """Start a server whose administrator may give credentials and take rights away."""
    policy = s3_servers._S3_POLICY.replace('"s3:*"', '["s3:*", "iam:*", "sts:*"]')
    with patch.object(s3_servers, "_S3_POLICY", policy), moto_server() as server:
        yield Account(server)
