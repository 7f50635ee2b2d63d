"""What a pgbouncer of ours is told: where the server is, who may come in, how many. Pure.

Its clients log in with a secret made for this one start; the server's password is only in its own private file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wedsync_db.errors import Refused
from wedsync_db.postgres.session import SERVER_SILENCE, Address

PORT, INI = 6432, "pgbouncer.ini"
CLIENT = DATABASE = "load"  # what its clients call themselves, and what they ask for
_SPARE_CLIENTS = 100  # connections that are closing, and those that look at it
_BACKLOG = 4096  # where it is full a client on a socket is turned away at once, it does not wait
_FILES = {"sslrootcert": "server_tls_ca_file", "sslcert": "server_tls_cert_file", "sslkey": "server_tls_key_file"}
# of libpq itself, and of no use to a pooler on the same machine as its clients
_NOT_NEEDED = frozenset({"sslmode", "connect_timeout", "application_name", "gssencmode", "tcp_user_timeout"})


@dataclass(frozen=True, slots=True)
class Told:
    """The files of one start by their names, and the address its clients use."""

    files: Mapping[str, str]
    address: Address


def told(address: Address, folder: Path, secret: str, *, pool: int, clients: int, statement_timeout_ms: int) -> Told:
    """Everything it has to know.

    Args:
        address: The server's database, and who logs in there.
        folder: Where its files and its socket are.
        secret: Its clients' password.
        pool: How many connections to the server it may have.
        clients: How many of its own clients it has to take.
        statement_timeout_ms: For each statement; pgbouncer hands on no client's settings.

    Raises:
        Refused: the address asks for what pgbouncer cannot do.
    """
    _require_plain(address)
    copies = {key: folder / f"{key}.pem" for key in _FILES if address.parameters.get(key)}
    files = {f"{key}.pem": Path(address.parameters[key]).read_text(encoding="utf-8") for key in copies}
    settings: dict[str, str | int | Path] = {
        "listen_addr": "",  # no TCP
        "listen_port": PORT,
        "listen_backlog": _BACKLOG,
        "unix_socket_dir": folder,
        "auth_type": "md5",  # SCRAM takes milliseconds of CPU for each of thousands of clients; the socket is private
        "auth_file": folder / "users",
        "stats_users": CLIENT,
        "pool_mode": "transaction",
        "default_pool_size": pool,
        "max_client_conn": clients + _SPARE_CLIENTS,
        "ignore_startup_parameters": "options,extra_float_digits",
        "log_connections": 0,
        "log_disconnections": 0,
        "log_stats": 0,
        "server_tls_sslmode": _tls(address),
        **{_FILES[key]: path for key, path in copies.items()},
    }
    lines = ["[databases]", _database(address, statement_timeout_ms), "[pgbouncer]"]
    lines += [f"{name} = {value}" for name, value in settings.items()]
    files |= {INI: "\n".join([*lines, ""]), "users": f'"{CLIENT}" "{secret}"\n'}
    return Told(files, Address(str(folder), PORT, DATABASE, CLIENT, secret))


def _database(address: Address, statement_timeout_ms: int) -> str:
    session = {
        "statement_timeout": str(statement_timeout_ms),
        "client_connection_check_interval": "1000",  # ms; ends the backend of a pooler that was killed
        **SERVER_SILENCE,
    }
    calls = ", ".join(f"pg_catalog.set_config('{name}', '{value}', false)" for name, value in session.items())
    given = {
        "host": address.host,
        "port": str(address.port),
        "dbname": address.dbname,
        "user": address.user,
        **({"password": address.password} if address.password else {}),
        "connect_query": f"select {calls}",
    }
    return f"{DATABASE} = " + " ".join(f"{name}='{_quoted(value)}'" for name, value in given.items())


def _quoted(value: str) -> str:
    return value.replace("'", "''")


def _tls(address: Address) -> str:
    """As libpq would do it: what can be had, unless the address says more."""
    return "disable" if address.host.startswith("/") else address.parameters.get("sslmode", "prefer")


def _require_plain(address: Address) -> None:
    """Make sure that pgbouncer reaches the server as we would.

    Raises:
        Refused: it cannot.
    """
    unknown = {
        key for key in address.parameters if key not in {*_FILES, *_NOT_NEEDED} and not key.startswith("keepalives")
    }
    if "," in address.host:
        unknown.add("several hosts")
    if address.parameters.get("sslrootcert") == "system":
        unknown.add("sslrootcert=system")
    if unknown:
        raise Refused(
            f"a pgbouncer cannot be told {', '.join(sorted(unknown))}",
            hint='Give the load test an address without, or connections = "direct".',
        )
    if any(
        "\n" in text or "\r" in text for text in (address.host, address.dbname, address.user, address.password or "")
    ):
        raise Refused("a pgbouncer takes no line breaks in an address or a password", hint="Use another password.")
