"""Prefect's API over HTTP, for verbs that must not wait for Prefect's own client to be imported."""

from __future__ import annotations

import base64
import errno
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

PASSWORD = "PREFECT_API_AUTH_STRING"  # noqa: S105 the variables' names, not what they hold
PASSWORD_OF_SERVER = "PREFECT_SERVER_API_AUTH_STRING"  # noqa: S105
_REPLY_SECONDS = 10.0
_ATTEMPTS = 5
_PAUSE_SECONDS = 0.5


def ask(url: str, body: object = None, *, method: str = "") -> Any:
    """Ask (GET, or POST with a body), and ask again while the server's SQLite is locked, which it says with 503.

    Raises:
        OSError: there is no such server or thing, or it does not want to.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 the API that was configured
        url, data, {"Content-Type": "application/json", **_authorization(os.environ)}, method=method or None
    )
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=_REPLY_SECONDS) as reply:  # noqa: S310
                return _parsed(reply.read())
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE or attempt == _ATTEMPTS:
                raise
            time.sleep(_PAUSE_SECONDS)
    raise AssertionError  # the last attempt returned or raised


def _parsed(reply: bytes) -> Any:
    try:
        return json.loads(reply or b"null")
    except ValueError:
        raise OSError(errno.EPROTO, "this is no API of Prefect's") from None


def is_missing(error: OSError) -> bool:
    """Whether the server answered, and has no such thing."""
    return isinstance(error, urllib.error.HTTPError) and error.code == HTTPStatus.NOT_FOUND


def _authorization(environ: Mapping[str, str]) -> dict[str, str]:
    """The header by which a server that asks for a password knows us."""
    password = environ.get(PASSWORD) or environ.get(PASSWORD_OF_SERVER)
    return {"Authorization": f"Basic {base64.b64encode(password.encode()).decode()}"} if password else {}
