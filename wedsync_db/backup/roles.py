"""Roles, memberships and settings as statements: for our own restore, and as a file for psql."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from psycopg import sql

from wedsync_db.backup.server_globals import DatabaseProperties, Globals, Membership, Role, Setting

# Their stored value is a list of quoted names and must be set as a list again: pg_dump knows the same six.
_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)
_LIST_ITEM = re.compile(r'"((?:[^"]|"")*)"|([^,\s]+)')
_ATTRIBUTES = ("inherit", "createrole", "createdb", "replication", "bypassrls")
_MEMBERSHIP_OPTIONS_SINCE = 16  # INHERIT and SET


def create_role(role: Role, *, superuser: bool, login: bool) -> sql.Composed:
    """CREATE ROLE with the recorded attributes; logging in only if both it and `login` say so. No password."""
    flags = [name.upper() if getattr(role, name) else f"NO{name.upper()}" for name in _ATTRIBUTES]
    flags.append("SUPERUSER" if superuser else "NOSUPERUSER")
    flags.append("LOGIN" if login and role.login else "NOLOGIN")
    until = sql.SQL(" VALID UNTIL {}").format(role.valid_until) if role.valid_until else sql.SQL("")
    return sql.SQL("CREATE ROLE {} WITH {} CONNECTION LIMIT {}{}").format(
        sql.Identifier(role.name), sql.SQL(" ".join(flags)), role.connections, until
    )


def grant_membership(membership: Membership, major: int) -> sql.Composed:
    """GRANT role TO member, with the options the server knows (16 and later: INHERIT and SET)."""
    grant = sql.SQL("GRANT {} TO {}").format(sql.Identifier(membership.role), sql.Identifier(membership.member))
    if major < _MEMBERSHIP_OPTIONS_SINCE:
        return grant + sql.SQL(" WITH ADMIN OPTION" if membership.admin else "")
    options = {"ADMIN": membership.admin, "INHERIT": membership.inherit, "SET": membership.set}
    told = ", ".join(f"{name} {str(value).upper()}" for name, value in options.items() if value is not None)
    return grant + sql.SQL(f" WITH {told}")


def apply_setting(setting: Setting, database: str) -> sql.Composed:
    """ALTER ROLE or ALTER DATABASE … SET, here with `database` in the source's place."""
    name = sql.Identifier(setting.name)
    value = sql.SQL(", ").join(map(sql.Literal, _items(setting)))
    if setting.role is None and setting.in_database:
        return sql.SQL("ALTER DATABASE {} SET {} TO {}").format(sql.Identifier(database), name, value)
    role = sql.SQL("ALL") if setting.role is None else sql.Identifier(setting.role)
    where = sql.SQL(" IN DATABASE {}").format(sql.Identifier(database)) if setting.in_database else sql.SQL("")
    return sql.SQL("ALTER ROLE {}{} SET {} TO {}").format(role, where, name, value)


def apply_properties(properties: DatabaseProperties, database: str) -> Iterator[sql.Composed]:
    """Owner, comment and grants of the database, with `database` in the source's place."""
    name = sql.Identifier(database)
    yield sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, sql.Identifier(properties.owner))
    if properties.comment is not None:
        yield sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, properties.comment)
    yield sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name)
    for grantee, privilege, grantable in properties.grants:
        who = sql.SQL("PUBLIC") if grantee is None else sql.Identifier(grantee)
        option = sql.SQL(" WITH GRANT OPTION" if grantable else "")
        yield sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(sql.SQL(privilege), name, who, option)


def roles_script(values: Globals, database: str, major: int) -> str:
    """Everything as a file for psql, before pg_restore: what this program does, for a day without it.

    Roles get no password and no superuser rights; what a role had beyond that stands in a comment.
    """
    statements: list[sql.Composed] = [create_role(role, superuser=False, login=True) for role in values.roles]
    statements += [grant_membership(one, major) for one in values.memberships]
    statements += [apply_setting(one, database) for one in values.settings]
    statements += apply_properties(values.database, database)
    lost = [f"-- was a superuser: {name!r}" for name in sorted(values.superusers)]
    return _script(lost, statements)


def _script(comments: Iterable[str], statements: Iterable[sql.Composed]) -> str:
    head = [
        "-- Roles without passwords, memberships and settings of a backup by wedsync-db. For psql, without",
        "-- ON_ERROR_STOP: a role that exists already stays as it is. The data: pg_restore --dbname=… data/",
    ]
    return "\n".join([*head, *comments, *(f"{one.as_string(None)};" for one in statements), ""])


def _items(setting: Setting) -> list[str]:
    """The values to set: one, or each of a list's names without its quotes."""
    if setting.name not in _LISTS:
        return [setting.value]
    found = _LIST_ITEM.findall(setting.value)
    return [quoted.replace('""', '"') or plain for quoted, plain in found]
