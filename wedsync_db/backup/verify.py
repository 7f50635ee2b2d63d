"""Compares a restored copy with the manifest: rows and content of every table, sequences, and the whole catalog."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial

import psycopg

from wedsync_db.backup.parallel import spread
from wedsync_db.backup.prepare import NOT_ON_A_COPY
from wedsync_db.backup.server_globals import load_globals
from wedsync_db.backup.store import FINGERPRINT, GLOBALS
from wedsync_db.errors import BackupError, Inconclusive
from wedsync_db.model import Backup, Fingerprint, Manifest, RelationContent
from wedsync_db.postgres.content import METHOD, PINNED, measure_large_objects, measure_pinned, tables
from wedsync_db.postgres.fingerprint import take
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.server import server_facts
from wedsync_db.postgres.session import Address, session

_NAMED = 5  # differences that an error names; the rest is counted
_SERVER_WIDE = ("role", "membership", "setting")


def verify_content(
    backup: Backup,
    address: Address,
    *,
    jobs: int = 2,
    same_roles: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Compare the restored database at `address` with the manifest.

    Args:
        backup: what was restored.
        address: where, as a role that sees all rows; nobody else writes there.
        jobs: tables measured at the same time.
        same_roles: roles have to be equal, too; False on a server that has roles of its own.
        say: gets what could not be compared or may differ.

    Raises:
        BackupError: the copy differs; naming the first relations or catalog objects.
        Inconclusive: the manifest was made by a method this program does not know, or the copy could not be read.
    """
    if unknown := {one.method for one in backup.manifest.relations} - {METHOD}:
        raise Inconclusive(f"the manifest was made by {', '.join(sorted(unknown))}, this program knows {METHOD}")
    try:
        problems = list(_differences(backup, address, jobs, same_roles=same_roles, say=say))
    except psycopg.Error as error:
        said = error.diag.message_primary or type(error).__name__
        raise Inconclusive(f"the restored copy could not be read: {said}", sqlstate=error.sqlstate) from None
    if problems:
        more = f", and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
        raise BackupError(
            f"the restored copy of {backup.id} is not what was backed up: {'; '.join(problems[:_NAMED])}{more}",
            hint="Do not rely on this backup; make a new one and find out what happened to this.",
        )


def _differences(
    backup: Backup, address: Address, jobs: int, *, same_roles: bool, say: Callable[[str], None]
) -> Iterator[str]:
    with ExitStack() as stack:
        connections = [
            stack.enter_context(session(address, "verify", statement_timeout_ms=0, lock_timeout_ms=0, settings=PINNED))
            for _ in range(max(1, jobs))
        ]
        first = connections[0]
        tasks = [partial(measure_pinned, relation=name) for name in tables(first)]
        futures = stack.enter_context(spread(connections, tasks))
        found = {one.relation: one for one in (future.result() for future in futures)}
        yield from content_differences(backup.manifest.relations, found)
        yield from _sequences_behind(backup.manifest.sequences, first)
        yield from _large_object_differences(backup.manifest, measure_large_objects(first))
        yield from _catalog_differences(backup, first, same_roles=same_roles, say=say)


def content_differences(recorded: Iterable[RelationContent], found: Mapping[str, RelationContent]) -> Iterator[str]:
    """What is not as recorded, relation by relation."""
    expected = {one.relation: one for one in recorded}
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            yield f"{name} is missing"
        elif name not in expected:
            yield f"{name} was not there"
        elif found[name].rows != expected[name].rows:
            yield f"{name} has {found[name].rows} rows instead of {expected[name].rows}"
        elif found[name] != expected[name]:
            yield f"{name} has other content in its {found[name].rows} rows"


def _sequences_behind(recorded: Mapping[str, int], connection: psycopg.Connection) -> Iterator[str]:
    """Sequences do not belong to a snapshot: the copy may be ahead of what was recorded, never behind."""
    rows = connection.execute(query("restore", "sequences"))
    found = {name: (value, rising, cycles) for name, value, rising, cycles in rows}
    for name, last in recorded.items():
        if name not in found:
            yield f"sequence {name} is missing"
            continue
        value, rising, cycles = found[name]
        if not cycles and (value < last if rising else value > last):
            yield f"sequence {name} is at {value}, it had reached {last}"


def _large_object_differences(manifest: Manifest, found: RelationContent) -> Iterator[str]:
    if found.rows != manifest.large_objects:
        yield f"there are {found.rows} large objects instead of {manifest.large_objects}"
    elif manifest.large_object_hash not in (None, found.hash):
        yield f"the {found.rows} large objects have other content"


def _catalog_differences(
    backup: Backup, connection: psycopg.Connection, *, same_roles: bool, say: Callable[[str], None]
) -> Iterator[str]:
    major = server_facts(connection).major
    if major != backup.manifest.server.major:
        say(f"catalog not compared: the backup is of PostgreSQL {backup.manifest.server.major}, the copy is on {major}")
        return
    text = (backup.path / FINGERPRINT).read_text(encoding="utf-8")
    superusers = load_globals((backup.path / GLOBALS).read_text(encoding="utf-8")).superusers
    changed = Fingerprint(json.loads(text)).change_to(take(connection)).objects
    for identity, (before, after) in changed.items():
        if is_expected(identity, before, after, superusers):
            continue
        kind = identity.partition(":")[0]
        if kind == "extension" and before and after:
            say(f"{identity} has another version or schema on the copy")
        elif before and after and only_reordered(before, after):
            say(f"{identity} has its columns in another order on the copy: pg_dump puts inherited ones first")
        elif kind in _SERVER_WIDE and not same_roles and "in this database" not in identity:
            say(f"{identity} is not as at the source; this server's own was left alone")
        else:
            yield f"{identity} {'is missing' if after is None else 'was not there' if before is None else 'differs'}"


def only_reordered(before: str, after: str) -> bool:
    """Whether two definitions of an inheritance child differ in nothing but the order of the columns."""
    one, other = json.loads(before), json.loads(after)
    orders = one.pop("columns", None), other.pop("columns", None)
    return one == other and "inherits" in one and None not in orders and sorted(orders[0]) == sorted(orders[1])


def is_expected(identity: str, before: str | None, after: str | None, superusers: Iterable[str]) -> bool:
    """Whether a copy differs here because we made it so: no superusers, no logins abroad, no libraries of the source.

    A superuser of the source is none of the fingerprint's roles there, but an ordinary one on the copy.
    """
    kind, _, rest = identity.partition(":")
    if kind == "user mapping":
        return after is None
    if kind == "setting" and rest.rpartition(" ")[2] in NOT_ON_A_COPY:
        return after is None
    if before is None and kind in _SERVER_WIDE:
        spellings = [text for name in superusers for text in (name, '"' + name.replace('"', '""') + '"')]
        return any(rest == name or rest.startswith(f"{name} ") for name in spellings)
    return False
