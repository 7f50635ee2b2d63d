"""What a statement outside a transaction leaves half done: ours is finished or taken away, others' is left and told."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.support.applying import QUICK
from tests.support.deployed import Deployed
from tests.support.half_done import Begins, holding, leave
from tests.support.majors import every_major
from wedsync_db.errors import LockTimeout, MigrationFailed, PersonNeeded
from wedsync_db.migrate import journal
from wedsync_db.migrate.apply import apply
from wedsync_db.migrate.roll_back import roll_back
from wedsync_db.model import Plan
from wedsync_db.postgres.session import session

ALONE = "-- transaction: none\n"
UNIQUE = "create unique index concurrently t_ux on public.t (n)"
DETACH = "alter table public.p detach partition public.p1 concurrently"
ATTACH = "alter table public.p attach partition public.p1 for values in (1);"
READ_P = "select * from public.p"
READ_T = "select * from public.t"


@pytest.fixture
def target(address, tmp_path) -> Deployed:
    made = Deployed(address, tmp_path / "migrations")
    made.sql("create table public.t (id int primary key, n int, wide text)")
    made.sql("insert into public.t values (1, 1), (2, 2)")
    made.sql("create table public.p (a int, b int) partition by list (a)")
    made.sql("create table public.p1 partition of public.p for values in (1)")
    made.sql("create table public.p2 partition of public.p for values in (2)")
    made.sql("create index p_b on public.p (b)")
    return made


def go_on(target: Deployed, **more) -> None:
    given = {"locks": QUICK, "lock_pid": None, "between": lambda: None, "say": target.said.append, **more}
    pending = tuple(m for m in target.migrations if m.id not in target.applied())
    apply(target.address, Plan(pending, ()), target.deployment, proofs=(), atomic="deployment", **given)


def undo(target: Deployed):
    return roll_back(
        target.address, target.deployment, target.migrations, (), locks=QUICK, say=target.said.append,
        before=target.before,
    )  # fmt: skip


def state(target: Deployed) -> str:
    """How far p1 is detached."""
    found = target.sql("select inhdetachpending from pg_inherits where inhrelid = 'public.p1'::regclass")
    return {(): "detached", (True,): "pending", (False,): "attached"}[found[0] if found else ()]


def indexes(target: Deployed) -> dict[str, bool]:
    return dict(
        target.sql("select c.relname, indisvalid from pg_index i join pg_class c on c.oid = indexrelid"
                   " where indrelid in ('public.t'::regclass, 'public.p1'::regclass)")
    )  # fmt: skip


def interrupted(target: Deployed, sql: str) -> None:
    """A deployment that was killed in its first statement."""
    target.add("0001_x", f"{ALONE}{sql};", ATTACH)
    target.deploy(only=0, prove=False)
    statement = target.migrations[0].deploy.statements[0]
    with session(target.address, "test") as connection:
        from wedsync_db.migrate.alone import _sha256
        from wedsync_db.migrate.reconcile import there_before

        journal.start_step(
            connection, target.deployment, "0001_x", direction="deploy", statement=0, sql_sha256=_sha256(statement),
            there_before=there_before(connection, statement),
        )  # fmt: skip


# -- DETACH PARTITION CONCURRENTLY -------------------------------------------------------------------------------------
@every_major
@pytest.mark.parametrize("before", ["attached", "pending", "detached"])
def test_a_partition_in_doubt_is_settled_by_the_catalog(target, before):
    interrupted(target, DETACH)
    if before == "pending":
        leave(target.address, DETACH, READ_P)
    if before == "detached":
        target.sql(DETACH)
    assert state(target) == before
    go_on(target)
    assert state(target) == "detached"
    assert target.applied() == ["0001_x"]


@every_major
def test_a_detaching_that_timed_out_is_finished_by_the_next_try(target, address):
    target.add("0001_x", f"{ALONE}{DETACH};", ATTACH)
    target.deploy(only=0, prove=False)
    with ExitStack() as stack, pytest.raises(MigrationFailed):
        go_on(target, locks=replace(QUICK, statement_timeout_ms=300), watch=Begins(stack, address, READ_P))
    assert state(target) == "pending"
    go_on(target)
    assert state(target) == "detached"


@every_major
def test_what_somebody_else_half_detached_is_left_to_them(target):
    leave(target.address, DETACH, READ_P)
    target.add("0001_x", f"{ALONE}{DETACH};", ATTACH)
    target.deploy(only=0, prove=False)
    with pytest.raises(MigrationFailed, match=r"public\.p1 is half detached from public\.p, and not by us") as caught:
        go_on(target)
    assert "alter table public.p detach partition public.p1 finalize" in caught.value.hint
    assert undo(target).rung == "abort"
    assert state(target) == "pending"


def test_rolling_back_a_half_detached_partition_needs_a_person_who_is_told_how(target):
    interrupted(target, DETACH)
    leave(target.address, DETACH, READ_P)
    with pytest.raises(PersonNeeded) as caught:
        undo(target)
    assert "alter table public.p detach partition public.p1 finalize" in caught.value.at_risk[0]
    assert state(target) == "pending"


def test_a_detaching_that_did_nothing_is_rolled_back_by_itself(target):
    interrupted(target, DETACH)
    assert undo(target).rung == "abort"
    assert state(target) == "attached"


@pytest.mark.parametrize("dropped", ["no", "half", "all"])
def test_rolling_back_an_interrupted_drop_asks_the_catalog(target, dropped):
    target.sql("create index t_n on public.t (n)")
    drop = "drop index concurrently public.t_n"
    interrupted(target, drop)
    if dropped == "half":
        leave(target.address, drop, READ_T)
        assert indexes(target)["t_n"] is False
    if dropped == "all":
        target.sql(drop)
    if dropped == "no":
        assert undo(target).rung == "abort"
        return
    with pytest.raises(PersonNeeded) as caught:
        undo(target)
    said = "public.t_n is half dropped and invalid" if dropped == "half" else "DropStmt is committed"
    assert said in caught.value.at_risk[0]


# -- invalid indexes ---------------------------------------------------------------------------------------------------
@every_major
def test_an_invalid_index_of_somebody_else_survives_roll_back_and_the_next_deployment(target):
    target.sql("insert into public.t values (9, 1)")
    with pytest.raises(Exception, match="could not create unique index"):
        target.sql(UNIQUE)
    target.sql("delete from public.t where id = 9")
    target.add("0001_x", f"{ALONE}{UNIQUE};", "drop index public.t_ux;")
    for _ in range(2):
        target.deploy(only=0, prove=False)
        with pytest.raises(MigrationFailed, match="not of our making"):
            go_on(target)
        assert undo(target).rung == "abort"
        assert indexes(target)["t_ux"] is False


def test_a_valid_index_of_that_name_survives_a_roll_back_after_a_kill(target):
    target.sql(UNIQUE)
    interrupted(target, UNIQUE)
    assert undo(target).rung == "abort"
    assert indexes(target)["t_ux"] is True
    interrupted(target, UNIQUE)
    with pytest.raises(MigrationFailed, match="already exists"):
        go_on(target)


@every_major
@pytest.mark.parametrize(("what", "partition"), [("table public.t", False), ("index public.p_b", True)])
def test_only_our_own_leftovers_of_a_reindex_go(target, what, partition):
    """Somebody's failed first, ours was killed after: each left an index of the same pattern."""
    index = "p1_b_idx" if partition else "t_n"
    if not partition:
        target.sql("create index t_n on public.t (n)")
    reindex = f"reindex index concurrently public.{index}"
    write = f"insert into public.{'p1' if partition else 't'} values (1{'' if partition else '00'}, 1)"
    leave(target.address, reindex, write)
    interrupted(target, f"reindex {what.replace(' ', ' concurrently ')}")
    leave(target.address, reindex, write)
    assert indexes(target)[f"{index}_ccnew"] is indexes(target)[f"{index}_ccnew1"] is False
    go_on(target)
    found = indexes(target)
    assert found[f"{index}_ccnew"] is False
    assert f"{index}_ccnew1" not in found
    assert found[index] is True
    assert any(f"invalid index public.{index}_ccnew was there before" in line for line in target.said)


@every_major
def test_a_reindexed_toast_table_leaves_nothing(target):
    interrupted(target, "reindex table concurrently public.t")
    leave(target.address, "reindex table concurrently public.t", "insert into public.t values (100, 1)")
    invalid = "select count(*) from pg_index where not indisvalid"
    assert target.sql(invalid)[0][0] > 1  # the key's, and TOAST's
    go_on(target)
    assert target.sql(invalid) == [(0,)]


def test_names_are_found_by_the_search_path_of_the_file(target):
    target.sql("create schema app; create table app.only_there (n int)")
    target.add(
        "0001_x",
        f"{ALONE}set search_path = app;\ncreate index concurrently made on only_there (n);\nselect 1 / 0;",
        "drop index app.made;",
    )
    target.deploy_failing()
    done = undo(target)
    assert done.rung == "cleaned"
    assert done.fingerprints_equal


# -- who is in the way -------------------------------------------------------------------------------------------------
@every_major
@pytest.mark.parametrize(
    ("sql", "held"),
    [
        (UNIQUE, "update public.t set n = n"),
        (UNIQUE, "declare c cursor for select 1"),  # a snapshot is enough
        ("drop index concurrently public.t_n", READ_T),
        ("reindex table concurrently public.t", READ_T),
        (DETACH, READ_P),
        (DETACH, "select * from public.p1"),
    ],
)
def test_whoever_would_be_waited_for_is_named_before_it_starts(target, address, sql, held):
    target.sql("create index t_n on public.t (n)")
    target.add("0001_x", f"{ALONE}{sql};", ATTACH)
    target.deploy(only=0, prove=False)
    with holding(address, held, "forgetful") as holder:
        pid = holder.info.backend_pid
        with pytest.raises(LockTimeout) as caught:
            go_on(target)
    assert f"not started, it would wait for wedsync-db/forgetful (pid {pid}, user " in caught.value.message
    assert " in a transaction since 2" in caught.value.message
    assert f"pg_terminate_backend({pid})" in caught.value.hint
    assert target.sql("select count(*) from wedsync_db.step") == [(0,)]
    assert (state(target), False in indexes(target).values()) == ("attached", False)
    go_on(target)
    assert target.applied() == ["0001_x"]


@every_major
def test_a_prepared_transaction_is_named_and_so_is_what_ends_it(target):
    target.add("0001_x", f"{ALONE}{UNIQUE};", "drop index public.t_ux;")
    target.deploy(only=0, prove=False)
    target.sql("begin; update public.t set n = n; prepare transaction 'it''s left'")
    try:
        with pytest.raises(LockTimeout) as caught:
            go_on(target)
    finally:
        target.sql("rollback prepared 'it''s left'")
    assert 'would wait for transaction "it\'s left" of ' in caught.value.message
    assert "rollback prepared or commit prepared 'it''s left'" in caught.value.hint
    assert "t_ux" not in indexes(target)


def test_whoever_ends_in_time_is_waited_for(target, address):
    target.add("0001_x", f"{ALONE}{UNIQUE};", "drop index public.t_ux;")
    target.deploy(only=0, prove=False)
    with holding(address, "update public.t set n = n") as holder:

        def say(line: str) -> None:
            assert "not started yet, it would wait for" in line
            holder.rollback()

        go_on(target, say=say)
    assert indexes(target)["t_ux"] is True


# -- enum values -------------------------------------------------------------------------------------------------------
@every_major
@pytest.mark.parametrize("header", ["", ALONE], ids=["transaction", "alone"])
def test_an_enum_value_is_used_later_in_the_same_deployment(target, header):
    target.sql("create type public.mood as enum ('sad'); create table public.moods (m public.mood)")
    target.add("0001_value", f"{header}alter type public.mood add value 'happy';", "select 1;")
    target.add("0002_use", "insert into public.moods values ('happy');", "delete from public.moods;")
    target.deploy(only=0, prove=False)
    go_on(target)
    assert target.applied() == ["0001_value", "0002_use"]
