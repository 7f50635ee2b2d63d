"""Restores a backup: every file is checked before the first row, and nothing that exists is ever restored over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from wedsync_db.backup.client import CONNECTION, programs_for, running
from wedsync_db.backup.prepare import (
    require_capable,
    require_empty,
    require_other,
    settle,
    silence,
    undisturbed,
    with_roles,
)
from wedsync_db.backup.readable import require_plain
from wedsync_db.backup.server_globals import DatabaseProperties, load_globals
from wedsync_db.backup.store import DATA, GLOBALS, check_files
from wedsync_db.backup.verify import verify_content
from wedsync_db.errors import BackupError
from wedsync_db.model import Backup
from wedsync_db.postgres.programs import Programs
from wedsync_db.postgres.server import server_facts
from wedsync_db.postgres.session import Address, session

Say = Callable[[str], None]
_PURPOSE = "restore"
_LOCALE_OPTION = {"icu": "icu_locale", "builtin": "builtin_locale"}


def _quiet(_: str) -> None:
    pass


def restore_backup(
    backup: Backup,
    address: Address,
    programs: Programs | None = None,
    *,
    jobs: int = 2,
    roles_login: bool = False,
    whole_server: bool = True,
    analyze: bool = False,
    say: Say = _quiet,
) -> None:
    """Restore into the empty database at `address`, as a superuser of its server. The content is not compared yet.

    Jobs, subscriptions and logins of foreign servers are left out or stopped, so that a copy acts on nothing outside.

    Args:
        backup: what to restore; an encrypted one as `readable` gives it.
        address: an existing, empty database; `create_database` makes one like the source.
        programs: the client programs; found on this machine by default.
        jobs: tables restored at the same time.
        roles_login: whether created roles may log in as they could at the source (without a password still).
        whole_server: the server is ours alone: settings of all roles are taken over, too.
        analyze: collect planner statistics afterwards.
        say: gets a line for each thing left out.

    Raises:
        BackupError: a file is damaged, the database is the source or not empty, or pg_restore failed.
        Inconclusive: this server or these programs cannot hold or read the backup.
    """
    check_files(backup)
    require_plain(backup)
    values = load_globals((backup.path / GLOBALS).read_text(encoding="utf-8"))
    with _explained(), session(address, _PURPOSE, statement_timeout_ms=0) as connection:
        facts = server_facts(connection)
        require_other(backup.manifest, facts)
        require_empty(connection, facts.database)
        chosen = programs or programs_for(address, facts.major)
        require_capable(connection, backup.manifest, values, facts, chosen)
        if not values.database.has_public:
            connection.execute("drop schema if exists public")
        settings = undisturbed(facts)
        with with_roles(connection, values, facts, login=roles_login, whole_server=whole_server):
            _pg_restore(backup.path / DATA, address, chosen, jobs, settings)
        for name, value in settings.items():
            connection.execute("select pg_catalog.set_config(%s, %s, false)", (name, value))
        silence(connection, say)
        if analyze:
            connection.execute("analyze")
        settle(connection, values, facts.database)


def restore_new(
    backup: Backup, server: Address, database: str, *, jobs: int = 2, roles_login: bool = True, say: Say = _quiet
) -> Address:
    """Restore into a new database on a server, and compare it with the manifest; on failure it is dropped again.

    `server` is any database of that server, as a role that may create databases and roles.

    Raises:
        BackupError: the backup is damaged, the database exists, or what was restored is not what was backed up.
        Inconclusive: this server or these programs cannot hold or read the backup.
    """
    check_files(backup)
    address = create_database(backup, server, database, say=say)
    try:
        restore_backup(backup, address, jobs=jobs, roles_login=roles_login, whole_server=False, analyze=True, say=say)
        verify_content(backup, address, jobs=jobs, same_roles=False, say=say)
    except BaseException:
        with session(server, _PURPOSE) as connection:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(database)))
        raise
    return address


def restore_alone(
    backup: Backup, server: Address, *, any_locale: bool = False, jobs: int = 2, say: Say = _quiet
) -> Address:
    """Restore on a fresh server of our own, under the database's own name, as its superuser. Not compared yet.

    Raises:
        BackupError: a file is damaged, pg_restore failed, or the locale is not installed and `any_locale` not given.
        Inconclusive: this server or these programs cannot hold or read the backup.
    """
    name = backup.manifest.server.database
    address = server  # `postgres` is there, and empty
    if name != server.dbname:
        address = create_database(backup, server, name, any_locale=any_locale, say=say)
    restore_backup(backup, address, jobs=jobs, analyze=True, say=say)
    return address


def create_database(
    backup: Backup, server: Address, database: str, *, any_locale: bool = False, say: Say = _quiet
) -> Address:
    """Create an empty database with the source's encoding and locale.

    Args:
        backup: whose source it shall be like.
        server: any database of the server it is created on.
        database: its name.
        any_locale: take the server's own locale, and say so, where the source's is not installed. Text then sorts
            differently; for rehearsals.
        say: gets that line.

    Raises:
        BackupError: there is one of that name, or the locale is not installed on that server.
    """
    require_plain(backup)
    properties = load_globals((backup.path / GLOBALS).read_text(encoding="utf-8")).database
    with _explained(), session(server, _PURPOSE, statement_timeout_ms=0) as connection:
        try:
            connection.execute(_create(database, properties, locale=True))
        except (psycopg.errors.WrongObjectType, psycopg.errors.InvalidParameterValue) as error:
            if not any_locale:
                raise
            say(f"another locale than the source's {properties.collate}: {error.diag.message_primary}")
            connection.execute(_create(database, properties, locale=False))
    return server.with_database(database)


def _create(database: str, properties: DatabaseProperties, *, locale: bool) -> sql.Composed:
    # template0: whatever somebody put into template1 is none of the source's
    statement = sql.SQL("create database {} template template0 encoding {}").format(
        sql.Identifier(database), properties.encoding
    )
    if not locale:
        return statement
    statement += sql.SQL(" locale_provider {} lc_collate {} lc_ctype {}").format(
        sql.SQL(properties.provider), properties.collate, properties.ctype
    )
    if option := _LOCALE_OPTION.get(properties.provider):
        statement += sql.SQL(f" {option} {{}}").format(properties.locale)
    return statement


def _pg_restore(data: Path, address: Address, programs: Programs, jobs: int, settings: Mapping[str, str]) -> None:
    command: list[str | Path] = [
        programs.pg_restore,
        "--exit-on-error",
        "--no-password",
        "--no-subscriptions",  # a copy must not take the slot of the original
        "--no-tablespaces",  # they are folders of the source's machine
        f"--jobs={jobs}",
        *([f"--role={address.role}"] if address.role else []),
        f"--dbname={CONNECTION}",
        data,
    ]
    with running(command, address, f"wedsync-db/{_PURPOSE}", settings=settings) as client:
        client.wait()


@contextmanager
def _explained() -> Iterator[None]:
    """Turn the server's errors into ours, without DETAIL."""
    try:
        yield
    except psycopg.Error as error:
        said = error.diag.message_primary or type(error).__name__
        raise BackupError(f"the backup could not be restored: {said}", sqlstate=error.sqlstate) from None
