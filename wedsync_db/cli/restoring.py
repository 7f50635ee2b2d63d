"""The verb restore: a backup beside what is there, after a person has read what is not in it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg

from wedsync_db.cli.answer import Answer
from wedsync_db.cli.backups import choose
from wedsync_db.cli.confirm import confirm
from wedsync_db.cli.terminal import say
from wedsync_db.errors import BackupError, Refused, Unreachable, UsageError
from wedsync_db.home import Home
from wedsync_db.installation import Installation
from wedsync_db.model import Backup
from wedsync_db.postgres.session import Address, session

# SQLSTATEs
_DUPLICATE_DATABASE = "42P04"
_INSUFFICIENT_PRIVILEGE = "42501"
_MAINTENANCE = "postgres"  # to log in to where the database itself is gone
_RECORDS = 3  # from this version on the journal keeps decisions


def restore(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Restore into a new database beside the source, and compare it with the manifest.

    Under the source's own name only where the source is gone: nothing is ever restored over anything.
    """
    from wedsync_db.backup.since import since, since_lines

    environment = installation.environment(arguments.environment)
    chosen = choose(arguments.backup, installation, environment.name)
    with installation.target(environment.name) as address:
        server = _server(address)
        lines = since_lines(since(chosen, address))
        stays = f"{address.dbname} stays as it is" if server == address else f"{address.dbname} is not there any more"
        risks = (f"{chosen.id} goes into the new database {arguments.database}; {stays}", *lines)
        reason = confirm(environment.name, arguments.confirm, arguments.reason, risks=risks, option="--confirm")
        what = f"restored {chosen.id} into {arguments.database}"
        kept = _record(address, installation.home, environment.name, what, reason, lines)
        with installation.readable(environment, chosen) as plain:
            restored = _restored(plain, server, arguments.database)
    return Answer(
        f"{chosen.id} restored into {restored.dbname}; rows and content are those of the manifest; recorded in {kept}",
        {"backup": chosen.id, "database": restored.dbname, "at_risk": lines, "recorded": kept},
    )


def _server(address: Address) -> Address:
    """A database to create another one from: the target itself, or where it is gone the server's own.

    Raises:
        Unreachable: the server is not there, or does not let us in.
    """
    try:
        with session(address, "restore"):
            return address
    except Unreachable as error:
        if not _is_gone(address):
            raise error from None
    return address.with_database(_MAINTENANCE)


def _is_gone(address: Address) -> bool:
    """Whether the server is there, and has no such database."""
    try:
        with session(address.with_database(_MAINTENANCE), "restore") as connection:
            asked = "select not exists (select from pg_catalog.pg_database where datname = %s)"
            return bool(connection.execute(asked, [address.dbname]).fetchall()[0][0])
    except Unreachable:
        return False


def _record(address: Address, home: Home, environment: str, what: str, reason: str, at_risk: Sequence[str]) -> str:
    """Write down who restores what and why: in the target's journal, else in a file among the reports; says where."""
    from wedsync_db.migrate import decisions, ledger
    from wedsync_db.migrate.deployment import runner_name

    try:
        with session(address, "restore") as connection:
            if ledger.require_known(connection) >= _RECORDS:
                decisions.record(connection, "rung", what, reason=reason, by=runner_name(), at_risk=at_risk)
                return "the journal"
    except (Unreachable, Refused, psycopg.Error) as error:
        say(f"the journal of {environment} could not be written: {type(error).__name__}")
    values = {"what": what, "reason": reason, "decided_by": runner_name(), "at_risk": list(at_risk)}
    return str(_write(home.ensure().reports / f"{environment}-{what.replace(' ', '-')}.json", values))


def _write(path: Path, values: Mapping[str, object]) -> Path:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def _restored(chosen: Backup, server: Address, database: str) -> Address:
    from wedsync_db.backup.restore import restore_new

    try:
        return restore_new(chosen, server, database, say=say)
    except BackupError as error:
        if error.sqlstate == _DUPLICATE_DATABASE:
            raise UsageError(
                f"there is a database {database} already; nothing is ever restored over one",
                hint="Give --database a new name.",
                sqlstate=error.sqlstate,
            ) from None
        if error.sqlstate == _INSUFFICIENT_PRIVILEGE and not error.hint:
            error.hint = "It takes a role that may create databases and roles: a superuser's URL in the variable."
        raise
