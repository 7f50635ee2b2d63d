"""Before and after pg_restore: is this the right place, who are its roles, and what must not run on a copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import sql

from wedsync_db.backup.roles import apply_properties, apply_setting, create_role, grant_membership
from wedsync_db.backup.server_globals import Globals
from wedsync_db.errors import BackupError, Inconclusive
from wedsync_db.model import Manifest, ServerFacts
from wedsync_db.postgres.programs import Programs
from wedsync_db.postgres.queries import query

# With a library that is not on this server nobody could open a session any more.
NOT_ON_A_COPY: Final = frozenset({"local_preload_libraries", "session_preload_libraries"})
_EVENT_TRIGGERS_SINCE = 17  # the setting that turns them off
_CODEC_OF_SUFFIX = {".zst": "zstd", ".lz4": "lz4", ".gz": "gzip"}


def require_other(manifest: Manifest, facts: ServerFacts) -> None:
    """Make sure that this is not the database the backup was made of.

    Raises:
        BackupError: it is.
    """
    source = manifest.server
    if (facts.system_identifier, facts.database_oid) == (source.system_identifier, source.database_oid):
        raise BackupError(
            f"database {facts.database} is the one backup {manifest.id} was made of; it is never restored over",
            hint="Restore into a new database, and switch over to it when you have looked at it.",
        )


def require_empty(connection: psycopg.Connection, database: str) -> None:
    """Make sure that nobody has put anything into the database.

    Raises:
        BackupError: somebody has; naming one such object.
    """
    found = connection.execute(query("restore", "occupied")).fetchone()
    if found:
        raise BackupError(f"database {database} is not empty: it has {found[0]}", hint="Restore into a new database.")


def require_capable(
    connection: psycopg.Connection, manifest: Manifest, values: Globals, facts: ServerFacts, programs: Programs
) -> None:
    """Make sure that server and programs can hold and read this backup.

    Raises:
        Inconclusive: they cannot; which says nothing about the backup.
    """
    if facts.major < manifest.server.major:
        raise Inconclusive(f"the backup is of PostgreSQL {manifest.server.major}, this server is {facts.major}")
    suffixes = {name[name.rfind(".") :] for name in manifest.files}
    codecs = {codec for suffix, codec in _CODEC_OF_SUFFIX.items() if suffix in suffixes}
    if missing := sorted(codecs - programs.codecs):
        raise Inconclusive(
            f"the pg_restore here was built without {', '.join(missing)}, which the backup is compressed with",
            hint=f"apt-get install postgresql-client-{programs.major}",
        )
    available = {name for (name,) in connection.execute(query("restore", "extensions"))}
    if missing := sorted({name for name, _ in values.database.extensions} - available):
        raise Inconclusive(
            f"this server lacks extensions that the backup needs: {', '.join(missing)}",
            hint="Install their packages there, or use another server.",
        )


@contextmanager
def with_roles(
    connection: psycopg.Connection, values: Globals, facts: ServerFacts, *, login: bool, whole_server: bool
) -> Iterator[None]:
    """Create the roles that are missing here, with memberships and settings; roles that exist are left alone.

    No role is a superuser in the end. Those that were have to be one while the dump is read: an event trigger goes to
    nobody else.
    """
    existing = {name for (name,) in connection.execute(query("restore", "role_names"))}
    missing = [role for role in values.roles if role.name not in existing]
    created = {role.name for role in missing}
    risen = [role.name for role in missing if role.superuser and facts.is_superuser]
    try:
        for role in missing:
            connection.execute(create_role(role, superuser=role.name in risen, login=login))
        for one in values.memberships:
            if one.member in created and one.role in existing | created:
                connection.execute(grant_membership(one, facts.major))
        for setting in values.settings:
            ours = whole_server if setting.role is None else setting.role in created
            if ours and not setting.in_database and setting.name not in NOT_ON_A_COPY:
                connection.execute(apply_setting(setting, facts.database))
        yield
    finally:
        for name in risen:
            connection.execute(sql.SQL("alter role {} nosuperuser").format(sql.Identifier(name)))


def undisturbed(facts: ServerFacts) -> Mapping[str, str]:
    """Settings under which no event trigger of the copy fires: it would judge our DDL, in whatever order it came."""
    if not facts.is_superuser:
        return {}
    return (
        {"event_triggers": "off"} if facts.major >= _EVENT_TRIGGERS_SINCE else {"session_replication_role": "replica"}
    )


def silence(connection: psycopg.Connection, say: Callable[[str], None]) -> None:
    """Stop what would act on the outside from a copy: jobs of pg_cron, and the logins of foreign servers."""
    for server, user in connection.execute(query("restore", "user_mappings")).fetchall():
        who = sql.SQL("public") if user == "public" else sql.Identifier(user)
        connection.execute(sql.SQL("drop user mapping for {} server {}").format(who, sql.Identifier(server)))
        say(f"left out on the copy: the login of {user} at foreign server {server}")
    if connection.execute(query("restore", "cron")).fetchall()[0][0]:
        stopped = connection.execute(query("restore", "stop_cron")).rowcount
        say(f"stopped on the copy: {stopped} jobs of pg_cron")


def settle(connection: psycopg.Connection, values: Globals, database: str) -> None:
    """Give the database its owner, grants and settings: last, as they bear on every session that comes after."""
    for statement in apply_properties(values.database, database):
        connection.execute(statement)
    for setting in values.settings:
        if setting.in_database and setting.name not in NOT_ON_A_COPY:
            connection.execute(apply_setting(setting, database))
