"""Keeps passwords out of settings: a URL that holds one is refused, here and by Prefect."""

from __future__ import annotations

import re
from typing import Any

_SECRET = r"://(?!arn:)[^/\[\]]*:(?!\d*(/|$)).*@"
NO_SECRET: dict[str, Any] = {"not": {"type": "string", "pattern": _SECRET}}
"""In a field's JSON schema, by which Prefect refuses such a URL before it stores it."""


def refuse_secret(url: str) -> str:
    """Return a URL unchanged, unless it holds a password.

    Raises:
        ValueError: It holds a user name and a password.
    """
    # An AWS secret may hold slashes, so the @ is looked for beyond them too.
    if re.search(_SECRET, url):
        raise ValueError(
            "the URL holds a user name and password; expected a plain URL. Give credentials "
            "by the AWS chain (environment, profile, instance role) or by credentials_block"
        )
    return url
