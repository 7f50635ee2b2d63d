"""How a pool logs in: to the server itself with its settings, or to a pooler without any."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from wedsync_db.postgres.connect_errors import explain
from wedsync_db.postgres.server import is_pooled
from wedsync_db.postgres.session import SERVER_SILENCE, SERVER_UNACKNOWLEDGED_MS, Address
from wedsync_db.redact import register_secret


def stands_behind_a_pooler(address: Address, application: str) -> bool:
    """Whether a pooler answers there; asked with a connection that is closed at once.

    Raises:
        Unreachable: nobody answers, or does not let us in.
    """
    try:
        with psycopg.connect(plain(address, application), autocommit=True, prepare_threshold=None) as connection:
            return is_pooled(connection)
    except psycopg.OperationalError as error:
        raise explain(str(error), str(address)) from None


def plain(address: Address, application: str) -> str:
    """How to log in with no settings, which a pooler does not take."""
    if address.password:
        register_secret(address.password)
    return address.conninfo(application_name=application)


def with_settings(address: Address, application: str, settings: Mapping[str, str]) -> str:
    """How to log in to the server itself. Settings given at the start are what a reset comes back to."""
    options = {
        "client_connection_check_interval": "1000",
        **SERVER_SILENCE,
        "tcp_user_timeout": str(SERVER_UNACKNOWLEDGED_MS),
        **settings,
    }
    packed = " ".join(f"-c {name}={_escape(value)}" for name, value in options.items())
    own = address.parameters.get("options", "")
    plain(address, application)
    return address.conninfo(application_name=application, options=f"{own} {packed}".strip())


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
