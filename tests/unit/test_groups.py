"""Which migrations commit together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.applying import migration, proof
from wedsync_db.migrate.apply import groups
from wedsync_db.migrate.groups import as_held
from wedsync_db.model import Plan

TABLE = "create table t (id int primary key);"
LOCK = ("public.t", "AccessExclusiveLock")


def ids(plan: Plan, *args) -> list[list[str]]:
    return [[m.id for m in group] for group in groups(plan, *args)]


def planned(*kinds: bool) -> Plan:
    return Plan(tuple(migration(f"{n:04}_m", TABLE, transactional=k) for n, k in enumerate(kinds, 1)), ())


def test_a_deployment_without_migrations_has_no_groups():
    assert groups(Plan((), ()), (), "deployment", 10.0) == ()


def test_consecutive_transactional_migrations_commit_together():
    plan = planned(True, True, False, False, True)
    assert ids(plan, (), "deployment", 10.0) == [["0001_m", "0002_m"], ["0003_m"], ["0004_m"], ["0005_m"]]


def test_atomic_migration_gives_each_its_own_transaction():
    assert ids(planned(True, True), (), "migration", 10.0) == [["0001_m"], ["0002_m"]]


@pytest.mark.parametrize(("seconds", "together"), [(5.0, True), (5.1, False)])
def test_the_rehearsed_hold_of_the_whole_run_has_to_fit_the_budget(seconds, together):
    proofs = (proof("0001_m", LOCK, seconds=seconds), proof("0002_m", seconds=5.0))
    assert (len(groups(planned(True, True), proofs, "deployment", 10.0)) == 1) is together


def test_what_locks_nothing_that_was_there_may_take_its_time():
    proofs = (proof("0001_m", seconds=100.0), proof("0002_m", seconds=100.0))
    assert len(groups(planned(True, True), proofs, "deployment", 10.0)) == 1


@pytest.mark.parametrize(("atomic", "held"), [("deployment", [8.0, 8.0]), ("migration", [5.0, 3.0])])
def test_locks_are_held_from_the_begin_of_their_transaction_to_its_end(atomic, held):
    """They are taken before its first statement: whoever reads waits for what comes before the ALTER TABLE, too."""
    short = (replace(proof("0001_m", LOCK), seconds_up=5.0), replace(proof("0002_m", LOCK), seconds_up=3.0))
    seconds = [lock.seconds for p in as_held(planned(True, True), short, atomic, 10.0) for lock in p.locks]
    assert seconds == held


def test_a_statement_outside_of_a_transaction_holds_its_lock_while_it_runs():
    alone = replace(proof("0001_m", LOCK, seconds=0.5), seconds_up=5.0)
    (after,) = as_held(planned(False), (alone,), "deployment", 10.0)
    assert [lock.seconds for lock in after.locks] == [0.5]


def test_a_run_that_would_fill_the_lock_table_is_cut():
    plan = planned(*[True] * 1000)
    sizes = [len(group) for group in groups(plan, (), "deployment", 10.0)]
    assert sizes == [640, 360]


def test_one_migration_too_large_for_the_lock_table_is_still_one_transaction():
    plan = Plan((migration("0001_m", TABLE * 700), migration("0002_m", TABLE)), ())
    assert ids(plan, (), "deployment", 10.0) == [["0001_m"], ["0002_m"]]


@given(st.lists(st.booleans(), max_size=12), st.sampled_from(["deployment", "migration"]))
def test_groups_keep_order_lose_nothing_and_never_mix(kinds, atomic):
    plan = planned(*kinds)
    found = groups(plan, (), atomic, 10.0)
    assert tuple(m for group in found for m in group) == plan.pending
    assert all(len(group) == 1 or all(m.transactional for m in group) for group in found)


@pytest.mark.parametrize(
    ("adding", "using", "together"),
    [
        ("alter type e add value 'new'", "insert into t values ('new')", False),
        ("alter type e add value 'it''s'", "insert into t values ('it''s')", False),
        ("alter type e add value 'new'", "insert into t values ('old')", True),
        ("alter type e rename value 'old' to 'new'", "insert into t values ('new')", True),
    ],
)
def test_a_new_enum_value_is_committed_before_it_is_used(adding, using, together):
    plan = Plan((migration("0001_m", TABLE), migration("0002_m", adding), migration("0003_m", using)), ())
    cut = [["0001_m", "0002_m", "0003_m"]] if together else [["0001_m", "0002_m"], ["0003_m"]]
    assert ids(plan, (), "deployment", 10.0) == cut
