"""Keeps passwords out of settings: a URL that holds one is refused, here and by Prefect."""

from __future__ import annotations

import re
from typing import Any

from fusion_core.settings.form import never

_SECRET = r"://(?!arn:)[^/\[\]]*:(?!\d*(/|$)).*@"
_EXPECTED = (
    "a plain URL, without user name and password. Give credentials by the AWS chain (environment, "
    "profile, instance role) or by credentials_block"
)

NO_SECRET: dict[str, Any] = never(_SECRET, _EXPECTED)
"""In a field's JSON schema, by which Prefect refuses such a URL before it stores it."""

NO_SECRETS: dict[str, Any] = {"additionalProperties": {"type": "string", **NO_SECRET}}
"""Likewise, for a field that holds URLs by name."""


def refuse_secret(url: str) -> str:
    """Return a URL unchanged, unless it holds a password.

    Raises:
        ValueError: It holds a user name and a password.
    """
    # An AWS secret may hold slashes, so the @ is looked for beyond them too.
    if re.search(_SECRET, url):
        raise ValueError(f"the URL holds a user name and password; expected {_EXPECTED}")
    return url
