"""What pg_dump leaves out: roles without passwords, memberships, settings, and the database's own properties.

Read from pg_catalog by any role: pg_dumpall wants a superuser for the passwords, which we do not want at all.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from wedsync_db.errors import BackupError
from wedsync_db.postgres.queries import query


@dataclass(frozen=True, slots=True)
class Role:
    """A role as pg_roles has it, without its password. `valid_until` is the server's text, None for ever."""

    name: str
    superuser: bool
    inherit: bool
    createrole: bool
    createdb: bool
    login: bool
    replication: bool
    bypassrls: bool
    connections: int
    valid_until: str | None


@dataclass(frozen=True, slots=True)
class Membership:
    """`member` is in `role`. `inherit` and `set` are None before 16, where they follow from the member."""

    role: str
    member: str
    admin: bool
    inherit: bool | None
    set: bool | None


@dataclass(frozen=True, slots=True)
class Setting:
    """One ALTER … SET: of a role (None: all), in this database only or on the whole server."""

    role: str | None
    in_database: bool
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class DatabaseProperties:
    """What a new database has to be created with to be like the source. A grantee None is PUBLIC."""

    encoding: str
    provider: str  # "libc", "icu" or "builtin"
    collate: str
    ctype: str
    locale: str | None
    owner: str
    comment: str | None
    has_public: bool
    grants: tuple[tuple[str | None, str, bool], ...]
    extensions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Globals:
    """Everything of a database that lives outside it."""

    roles: tuple[Role, ...]
    memberships: tuple[Membership, ...]
    settings: tuple[Setting, ...]
    database: DatabaseProperties

    @property
    def superusers(self) -> frozenset[str]:
        """Roles that were superusers of the source; they never are on a copy."""
        return frozenset(r.name for r in self.roles if r.superuser)


def read_globals(connection: psycopg.Connection) -> Globals:
    """Read them, as any role, from the database the session is in."""

    def rows(name: str) -> list[tuple[Any, ...]]:
        return connection.execute(query("globals", name)).fetchall()

    database = [*rows("database")[0], tuple(rows("database_grants")), tuple(rows("extensions"))]
    return Globals(
        tuple(Role(*row) for row in rows("roles")),
        tuple(Membership(*row) for row in rows("memberships")),
        tuple(Setting(*row) for row in rows("settings")),
        DatabaseProperties(*database),
    )


def dump_globals(values: Globals) -> str:
    """As JSON text."""
    return json.dumps(asdict(values), indent=1, ensure_ascii=False) + "\n"


def load_globals(text: str) -> Globals:
    """From JSON text.

    Raises:
        BackupError: something is missing in it.
    """
    try:
        body = json.loads(text)
        database = body["database"]
        pairs = {key: tuple(map(tuple, database[key])) for key in ("grants", "extensions")}
        return Globals(
            tuple(Role(**one) for one in body["roles"]),
            tuple(Membership(**one) for one in body["memberships"]),
            tuple(Setting(**one) for one in body["settings"]),
            DatabaseProperties(**{**database, **pairs}),
        )
    except (ValueError, KeyError, TypeError):
        raise BackupError("the backup's roles and settings cannot be read", hint="Use another backup.") from None
