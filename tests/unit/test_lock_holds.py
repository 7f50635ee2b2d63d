"""How long a migration holds which lock, from its traced statements; and how rows of a new release are made up."""

from pathlib import Path

import pytest
from psycopg import sql

from wedsync_db.migrate.holds import changes_rows, held, written
from wedsync_db.migrate.newrows import Column, values
from wedsync_db.model import HeldLock, LockSeen, Migration, Script, TracedStatement

SCRIPT = Script(Path("0001_a/deploy.sql"), "", "", "", ())
TABLES = frozenset({"app.a", "app.b"})


def migration(*, transactional=True):
    return Migration("0001_a", 1, (), transactional, None, SCRIPT, None, None, None)


def statement(seconds, *locks):
    seen = tuple(LockSeen(relation, f"{mode}Lock", preexisting=relation != "app.new") for relation, mode in locks)
    return TracedStatement("0001_a", 0, 1, "X", "x", seconds, 0, 0, seen)


def test_a_lock_is_held_from_its_statement_to_the_end():
    traced = [statement(1, ("app.a", "Share")), statement(2, ("app.b", "AccessExclusive")), statement(4)]
    assert held(migration(), traced, 8, TABLES) == (
        HeldLock("app.a", "ShareLock", 15),
        HeldLock("app.b", "AccessExclusiveLock", 14),
    )


def test_the_strongest_mode_counts_from_where_it_is_taken():
    traced = [statement(1, ("app.a", "RowExclusive")), statement(2, ("app.a", "AccessExclusive")), statement(4)]
    assert held(migration(), traced, 0, TABLES) == (HeldLock("app.a", "AccessExclusiveLock", 6),)


def test_modes_that_add_up_to_a_stronger_one_count_from_the_first():
    traced = [statement(1, ("app.a", "Share")), statement(2, ("app.a", "RowExclusive"))]
    assert held(migration(), traced, 0, TABLES) == (HeldLock("app.a", "ShareRowExclusiveLock", 3),)


def test_outside_of_a_transaction_a_lock_goes_with_its_statement():
    traced = [statement(1, ("app.a", "ShareUpdateExclusive")), statement(4, ("app.b", "ShareUpdateExclusive"))]
    assert [lock.seconds for lock in held(migration(transactional=False), traced, 8, TABLES)] == [1, 4]


@pytest.mark.parametrize(
    "lock", [("app.new", "AccessExclusive"), ("app.a", "AccessShare"), ("app.a_idx", "AccessExclusive")]
)
def test_new_tables_readers_and_indexes_do_not_count(lock):
    assert held(migration(), [statement(1, lock)], 0, TABLES) == ()


def test_rows_may_have_changed_where_a_lock_allows_it():
    assert written([statement(1, ("app.a", "RowShare"), ("app.b", "RowExclusive"))]) == {"app.b"}
    assert changes_rows("AccessExclusiveLock")
    assert not changes_rows("AccessShareLock")


def column(name, kind="text", category="S", **more):
    known = {
        "labels": None,
        "not_null": False,
        "has_default": False,
        "generated": False,
        "fresh_by_default": False,
        "key": False,
        "unique": False,
        "references": None,
    }
    return Column(name, kind, category, **(known | more))


@pytest.mark.parametrize(
    ("one", "added", "expected"),
    [
        (column("a"), False, 's."a"'),
        (column("a"), True, "'new'::text"),
        (column("a", generated=True), True, None),
        (column("a", "uuid", "U", fresh_by_default=True, unique=True), False, None),
        (column("a", "integer", "N", unique=True), False, '(select coalesce(max("a"), 0) + 1 from app.t)'),
        (column("a", unique=True), False, "('new-' || pg_catalog.gen_random_uuid())::text"),
        (column("a", "uuid", "U", unique=True), False, "pg_catalog.gen_random_uuid()::uuid"),
        (column("a", "date", "D", unique=True), False, 's."a"'),
        (column("a", "bigint", "N", unique=True, references="app.o|id"), False, 's."a"'),
        (column("a", "bigint", "N", references="app.o|id"), True, "(select id from app.o limit 1)"),
        (column("a", "app.mood", "E", labels=("sad", "ok")), True, "'ok'::app.mood"),
        (column("a", "numeric(8,2)", "N", not_null=True), False, 'coalesce(s."a", 1::numeric(8,2))'),
        (column("a", "point", "G"), True, "NULL"),
    ],
)
def test_a_new_row_gets_a_fitting_value(one, added, expected):
    chosen = values([one], "app.t", {"a"} if added else set())
    assert {name: part.as_string(None) for name, part in chosen.items()} == ({"a": expected} if expected else {})
    assert all(isinstance(part, sql.Composable) for part in chosen.values())
