"""Connection URLs as libpq understands them, several hosts, sockets and service files too; never shown to anybody."""

from __future__ import annotations

import configparser
import getpass
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from wedsync_db.errors import Refused, UsageError
from wedsync_db.postgres.session import Address

_DEFAULT_PORT = "5432"
_IN_ADDRESS = ("host", "port", "dbname", "user", "password", "service")


def address_from_url(url: str, variable: str, environ: Mapping[str, str]) -> Address:
    """The address a URL or a `key=value` connection string means.

    Several hosts mean the one that accepts writes, unless the URL says otherwise. Settings of a service file are read
    here, since every program we start gets the address in parts.

    Raises:
        UsageError: it cannot be read, or names no host or no database. The message shows nothing of it.
    """
    try:
        given = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    except psycopg.Error:
        raise UsageError(
            f"the variable {variable} does not hold a PostgreSQL URL",
            hint="postgresql://user:password@host:5432/database?sslmode=verify-full, with @ in a password as %40",
        ) from None
    given = {**service_settings(given.get("service"), environ), **given}
    for key, name in (("host", "host"), ("dbname", "database")):
        if not (given.get(key) or (key == "host" and given.get("hostaddr"))):
            raise UsageError(f"the variable {variable} names no {name}")
    if not all(port.isdecimal() or not port for port in given.get("port", "").split(",")):
        raise UsageError(f"the variable {variable} has a port that is not a number")
    return _address(given, environ)


def _address(given: Mapping[str, str], environ: Mapping[str, str]) -> Address:
    host = given.get("host") or given["hostaddr"]
    ports = [port or _DEFAULT_PORT for port in given.get("port", "").split(",")]
    rest = {key: value for key, value in given.items() if key not in _IN_ADDRESS}
    if len(set(ports)) > 1:
        rest["port"] = ",".join(ports)
    if "," in host:
        rest.setdefault("target_session_attrs", "read-write")
    return Address(
        host=host,
        port=int(ports[0]),
        dbname=given["dbname"],
        user=given.get("user") or environ.get("PGUSER") or getpass.getuser(),
        password=given.get("password"),
        parameters=rest,
    )


def require_tls(address: Address, variable: str) -> Address:
    """The same address, safe to send secrets to: encrypted, and only to who proves to be the host named.

    Raises:
        Refused: it asks for less, or goes through a socket, where there is no TLS whatever it asks for.
    """
    mode = address.parameters.get("sslmode", "prefer")
    if mode != "verify-full":
        raise Refused(
            f"{variable} asks for sslmode={mode}; this environment requires verify-full",
            hint="Add ?sslmode=verify-full&sslrootcert=system, or the path of your provider's root certificate.",
        )
    if any(host.startswith(("/", "@")) for host in address.host.split(",")):
        raise Refused(f"{variable} leads to a Unix socket, which has no TLS; this environment requires it")
    # a Kerberos-encrypted session would come first and skip what verify-full checks
    return replace(address, parameters={**address.parameters, "gssencmode": "disable"})


def service_settings(service: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    """What the service file says: $PGSERVICEFILE or ~/.pg_service.conf, then pg_service.conf in $PGSYSCONFDIR.

    Raises:
        UsageError: no file knows the service.
    """
    if service is None:
        return {}
    files = [Path(environ.get("PGSERVICEFILE") or Path.home() / ".pg_service.conf")]
    if environ.get("PGSYSCONFDIR"):
        files.append(Path(environ["PGSYSCONFDIR"]) / "pg_service.conf")
    for file in files:
        parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
        with suppress(configparser.Error, OSError, UnicodeDecodeError):
            parser.read_string(file.read_text(encoding="utf-8"))
            if parser.has_section(service):
                return dict(parser.items(service))
    raise UsageError(f"no service file knows the service {service}", hint="Set PGSERVICEFILE to the file that does.")
