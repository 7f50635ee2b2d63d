"""Reverting one committed migration: it is undone completely, or nothing happens and what is at risk is said."""

from __future__ import annotations

import pytest

from tests.support.case import database
from tests.support.deployed import Deployed
from tests.support.majors import every_major
from wedsync_db.errors import Displaced, LockTimeout, PersonNeeded
from wedsync_db.migrate import journal
from wedsync_db.migrate.undo import SessionLost, revert_migration
from wedsync_db.model import Licence
from wedsync_db.postgres.session import session
from wedsync_db.settings import LockSettings

TABLE = "create table public.made (id int primary key, note text);"
COLUMN = "alter table public.base add column note text;"
DROP_COLUMN = "alter table public.base drop column note;"


@pytest.fixture
def target(address, tmp_path) -> Deployed:
    with session(address, "test") as connection:
        connection.execute("create table public.base (id int primary key, name varchar(20) not null)")
        connection.execute("insert into public.base select n, 'name ' || n from generate_series(1, 50) as n")
    return Deployed(address, tmp_path / "migrations")


def revert(target: Deployed, *, accept_loss: bool = False, **run) -> None:
    name = target.applied()[-1]
    migration = next(m for m in target.migrations if m.id == name)
    with session(target.address, "revert") as connection:
        revert_migration(connection, target.run(**run), migration, target.proofs.get(name), accept_loss=accept_loss)


def reverted(target: Deployed) -> None:
    revert(target)
    assert target.applied() == []
    assert target.before.change_to(target.catalog()).objects == {}


def refused(target: Deployed) -> str:
    applied, catalog = target.applied(), target.catalog()
    with pytest.raises(PersonNeeded) as caught:
        revert(target)
    assert target.applied() == applied, "the ledger must be as it was"
    assert catalog.change_to(target.catalog()).objects == {}
    assert caught.value.exit_code == 4
    return "; ".join(caught.value.at_risk)


def deployed(target: Deployed, deploy: str, undo: str | None, **more) -> Deployed:
    target.add("0001_x", deploy, undo, **more)
    target.deploy()
    return target


# -- (a) tables that go ------------------------------------------------------------------------------------------------
@every_major
def test_an_empty_table_goes(target):
    reverted(deployed(target, TABLE, "drop table public.made;"))


@every_major
def test_a_table_goes_with_the_rows_the_migration_made(target):
    reverted(deployed(target, TABLE + "insert into public.made values (1, 'a'), (2, 'b');", "drop table public.made;"))


@every_major
def test_a_table_with_new_rows_stays(target):
    deployed(target, TABLE, "drop table public.made;")
    target.sql("insert into public.made select n, 'x' from generate_series(1, 18) as n")
    assert refused(target) == "18 rows in public.made"
    assert target.sql("select count(*) from public.made") == [(18,)]


def test_a_table_whose_made_row_was_changed_stays(target):
    deployed(target, TABLE + "insert into public.made values (1, 'a');", "drop table public.made;")
    target.sql("update public.made set note = 'precious'")
    assert refused(target) == "1 row in public.made"


def test_rows_of_a_partition_count(target):
    deployed(
        target,
        "create table public.p (id int primary key) partition by range (id);"
        'create table public."P 1" partition of public.p for values from (0) to (10);',
        "drop table public.p;",
    )
    target.sql("insert into public.p values (1)")
    assert refused(target) == '1 row in public."P 1"'


def test_a_whole_schema_goes_only_empty(target):
    deployed(target, "create schema app; create table app.t (id int);", "drop schema app cascade;")
    target.sql("insert into app.t values (1)")
    assert refused(target) == "1 row in app.t"
    target.sql("delete from app.t")
    reverted(target)


# -- (b) columns that go -----------------------------------------------------------------------------------------------
@every_major
def test_a_column_nobody_wrote_to_goes(target):
    reverted(deployed(target, COLUMN, DROP_COLUMN))


@every_major
def test_values_in_a_new_column_keep_it(target):
    deployed(target, COLUMN, DROP_COLUMN)
    target.sql("update public.base set note = 'precious' where id <= 3")
    assert refused(target) == "3 values in public.base.note"


@every_major
@pytest.mark.parametrize(
    ("kind", "default"),
    [
        ("bigint", "0"),
        ("text", "'it''s'"),
        ("varchar(5)", "'new'"),
        ("jsonb", "'{}'"),
        ("int[]", "'{}'"),
        ("numeric(6,2)", "1"),
        ("boolean", "(not true)"),
        ("timestamptz", "'2026-06-06 12:00+00'"),
    ],
)
def test_a_constant_default_is_nobodys_value(target, kind, default):
    deployed(target, f"alter table public.base add column note {kind} not null default {default};", DROP_COLUMN)
    target.sql("insert into public.base values (51, 'new')")
    reverted(target)


@every_major
def test_values_other_than_the_default_are_counted(target):
    deployed(target, "alter table public.base add column note int default 5;", DROP_COLUMN)
    target.sql("update public.base set note = 6 where id <= 2")
    target.sql("update public.base set note = null where id = 3")  # somebody said: nothing
    assert refused(target) == "3 values in public.base.note"


@every_major
@pytest.mark.parametrize("default", ["now()", "current_user", "gen_random_uuid()", "nextval('public.numbers')"])
def test_a_default_that_varies_hides_what_was_written(target, default):
    target.sql("create sequence public.numbers")
    deployed(target, f"alter table public.base add column note text default {default};", DROP_COLUMN)
    assert refused(target) == "50 values in public.base.note"


def test_an_identity_hides_what_was_written(target):
    deployed(target, "alter table public.base add column note int generated always as identity;", DROP_COLUMN)
    assert refused(target) == "50 values in public.base.note"


def test_a_generated_column_holds_nothing_of_its_own(target):
    reverted(
        deployed(
            target,
            "alter table public.base add column note text generated always as (upper(name)) stored;",
            DROP_COLUMN,
        )
    )


# -- (c), (d) what stays -----------------------------------------------------------------------------------------------
WIDEN = "alter table public.base alter column name type text;"


@every_major
def test_a_widened_type_goes_back_when_all_fits(target):
    reverted(deployed(target, WIDEN, "alter table public.base alter column name type varchar(20);"))


@every_major
def test_a_longer_value_would_be_cut(target):
    deployed(target, WIDEN, "alter table public.base alter column name type varchar(20) using left(name, 20);")
    target.sql("update public.base set name = repeat('long', 10) where id = 7")
    assert refused(target) == "values in public.base.name would not survive"
    assert target.sql("select name from public.base where id = 7") == [("long" * 10,)]


@every_major
def test_a_revert_that_fails_says_so(target):
    deployed(target, WIDEN, "alter table public.base alter column name type varchar(20);")
    target.sql("update public.base set name = repeat('long', 10) where id = 7")
    risk = refused(target)
    assert "cannot be run" in risk
    assert "22001" in risk
    assert "longlong" not in risk


def test_rows_that_would_be_deleted_keep_it(target):
    deployed(target, "insert into public.base values (51, 'seed');", "delete from public.base where id > 50;")
    assert "51 rows in public.base, where 50 would be left" in refused(target)


def test_a_rename_back_and_a_rewrite_lose_nothing(target):
    reverted(
        deployed(
            target,
            "alter table public.base rename column name to title; alter table public.base rename to heading;"
            "alter table public.heading alter column id type bigint;",
            "alter table public.heading rename to base; alter table public.base rename column title to name;"
            "alter table public.base alter column id type int;",
        )
    )


def test_two_columns_swapped_are_seen(target):
    target.sql("alter table public.base add column other varchar(20) default 'x'")
    deployed(target, "comment on table public.base is 'c';",
             "comment on table public.base is null; update public.base set name = other, other = name;")  # fmt: skip
    assert refused(target) == (
        "values in public.base.name would not survive; values in public.base.other would not survive"
    )


@every_major
def test_a_truncate_is_seen(target):
    deployed(target, COLUMN, DROP_COLUMN + "truncate public.base;")
    assert "50 rows in public.base, where 0 would be left" in refused(target)


# -- other things that hold values -------------------------------------------------------------------------------------
@every_major
def test_a_sequence_that_was_drawn_from_stays(target):
    deployed(target, "create sequence public.invoice;", "drop sequence public.invoice;")
    target.sql("select nextval('public.invoice')")
    assert "public.invoice" in refused(target)


def test_a_sequence_nobody_drew_from_goes(target):
    reverted(deployed(target, "create sequence public.invoice;", "drop sequence public.invoice;"))


def test_a_sequence_may_not_be_set_back(target):
    target.sql("create sequence public.invoice; select nextval('public.invoice') from generate_series(1, 5)")
    deployed(target, "comment on sequence public.invoice is 'c';",
             "comment on sequence public.invoice is null; alter sequence public.invoice restart;")  # fmt: skip
    assert "public.invoice, which would go back" in refused(target)
    assert target.sql("select nextval('public.invoice')") == [(6,)]


def test_setval_is_refused_before_it_runs(target):
    target.sql("create sequence public.invoice; select nextval('public.invoice') from generate_series(1, 5)")
    deployed(target, TABLE, "drop table public.made; select setval('public.invoice', 1);")
    assert "setval" in refused(target)
    assert target.sql("select nextval('public.invoice')") == [(6,)]


@every_major
def test_large_objects_cannot_be_compared(target):
    target.sql("select lo_from_bytea(4711, 'precious')")
    deployed(target, TABLE, "drop table public.made; select lo_unlink(4711);")
    assert "large objects" in refused(target)
    assert target.sql("select lo_get(4711)") == [(b"precious",)]


def test_an_attribute_inside_other_tables_cannot_be_counted(target):
    target.sql("create type public.place as (street text); create table public.at (p public.place)")
    deployed(
        target,
        "alter type public.place add attribute city text;",
        "alter type public.place drop attribute city;",
    )
    assert "attributes of public.place" in refused(target)


# -- the author's better answer ----------------------------------------------------------------------------------------
@every_major
def test_lossless_zero_replaces_the_count(target):
    deployed(target, COLUMN + "update public.base set note = upper(name);", DROP_COLUMN,
             lossless="select count(*) from public.base where note <> upper(name);")  # fmt: skip
    reverted(target)


@every_major
@pytest.mark.parametrize(
    ("lossless", "said"),
    [
        ("select 3;", "3 rows or values"),
        ("select null::int;", "did not answer"),
        ("select 'none';", "did not answer"),
        ("select 1/0;", "it failed, division by zero (SQLSTATE 22012)"),
        ("with gone as (delete from public.base returning 1) select count(*) - 50 from gone;", "25006"),
    ],
)
def test_any_other_answer_keeps_it(target, lossless, said):
    deployed(target, COLUMN, DROP_COLUMN, lossless=lossless)
    assert said in refused(target)


def test_lossless_does_not_speak_for_what_stays(target):
    deployed(target, COLUMN, DROP_COLUMN + "update public.base set name = 'gone' where id = 1;", lossless="select 0;")
    assert refused(target) == "values in public.base.name would not survive"


# -- more than the migration did ---------------------------------------------------------------------------------------
@every_major
def test_a_cascade_beyond_the_migration_is_seen(target):
    deployed(target, TABLE, "drop table public.made cascade;")
    target.sql("create view public.theirs as select id from public.made")
    assert "public.theirs" in refused(target)


def test_a_change_by_somebody_else_elsewhere_is_left_alone(target):
    deployed(target, TABLE, "drop table public.made;")
    target.sql("create table public.theirs (id int)")
    revert(target)
    assert target.applied() == []
    assert target.sql("select to_regclass('public.theirs') is not null") == [(True,)]


def test_a_revert_that_leaves_something_is_seen(target):
    deployed(target, TABLE + COLUMN, "drop table public.made;")
    assert "public.base" in refused(target)


# -- licences ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("proof", "said"),
    [
        ({"licence": Licence.WEAKER, "reasons": ("an index differs",)}, "an index differs"),
        ({"revert_sha256": "0" * 64}, "not the one that was rehearsed"),
        ({"change": None}, "not known"),
    ],
)
def test_without_an_exact_licence_nothing_runs(target, proof, said):
    target.add("0001_x", TABLE, "drop table public.made;")
    target.deploy(**proof)
    assert said in refused(target)


def test_without_a_script_nothing_runs_even_with_a_persons_word(target):
    deployed(target, TABLE, None)
    assert "no revert.sql" in refused(target)
    with pytest.raises(PersonNeeded):
        revert(target, accept_loss=True)


@every_major
def test_a_person_may_accept_the_loss(target):
    deployed(target, COLUMN, DROP_COLUMN + "update public.base set name = 'x' where id = 1;")
    target.sql("update public.base set note = 'precious'")
    target.proofs = {}
    revert(target, accept_loss=True)
    assert target.applied() == []
    assert any("50 values in public.base.note" in line for line in target.said)
    assert any("values in public.base would not survive" in line for line in target.said)


# -- an ordinary role --------------------------------------------------------------------------------------------------
@pytest.fixture
def ordinary(cluster, address, tmp_path) -> Deployed:
    """A target whose deployer owns the database and its schema, and nothing else."""
    with database(cluster, f"{address.dbname}_owned") as owned:
        with session(owned, "test") as connection:
            connection.execute("create table public.base (id int primary key, name varchar(20) not null)")
            connection.execute("insert into public.base values (1, 'one')")
        yield Deployed(owned, tmp_path / "migrations")


@every_major
def test_the_owner_reverts_without_being_superuser(ordinary):
    reverted(deployed(ordinary, TABLE + COLUMN + WIDEN, "alter table public.base alter column name type varchar(20);"
                      + DROP_COLUMN + "drop table public.made;"))  # fmt: skip


@every_major
def test_rows_a_policy_would_hide_from_the_owner_cannot_be_overlooked(cluster, ordinary):
    deployed(ordinary, TABLE + "alter table public.made enable row level security;"
             "alter table public.made force row level security;", "drop table public.made;")  # fmt: skip
    ordinary.sql("create policy none on public.made using (false)")
    with session(cluster.address(ordinary.address.dbname), "admin") as admin:
        admin.execute("insert into public.made values (1, 'precious')")
    assert refused(ordinary)
    with session(cluster.address(ordinary.address.dbname), "admin") as admin:
        assert admin.execute("select count(*) from public.made").fetchone() == (1,)


# -- fences and locks --------------------------------------------------------------------------------------------------
def test_a_displaced_runner_reverts_nothing(target):
    deployed(target, TABLE, "drop table public.made;")
    with session(target.address, "other") as connection:
        journal.raise_epoch(connection, target.deployment)
    with pytest.raises(Displaced):
        revert(target)
    assert target.applied() == ["0001_x"]


def test_a_runner_without_the_target_reverts_nothing(target):
    deployed(target, TABLE, "drop table public.made;")
    with session(target.address, "other") as connection:
        pid = connection.info.backend_pid
    with pytest.raises(Displaced):
        revert(target, lock_pid=pid)
    assert target.applied() == ["0001_x"]


@every_major
def test_a_lock_not_to_be_had_changes_nothing(target):
    deployed(target, TABLE, "drop table public.made;")
    with session(target.address, "reader", autocommit=False) as reader:
        reader.execute("select from public.made")
        with pytest.raises(LockTimeout):
            revert(target, locks=LockSettings(poll_seconds=0.05, lock_timeout_ms=20, attempts=1))
    assert target.applied() == ["0001_x"]
    reverted(target)


def test_a_session_that_is_ended_is_lost_and_nothing_is_changed(target):
    deployed(target, TABLE, "drop table public.made; select pg_terminate_backend(pg_backend_pid());")
    with pytest.raises(SessionLost):
        revert(target)
    assert target.applied() == ["0001_x"]


def test_reverting_twice_is_reverting_once(target):
    deployed(target, TABLE, "drop table public.made;")
    migration = target.migrations[0]
    with session(target.address, "revert") as connection:
        for _ in range(2):
            revert_migration(connection, target.run(), migration, target.proofs[migration.id])
    assert target.applied() == []


def test_a_journal_step_tells_of_it(target):
    deployed(target, TABLE, "drop table public.made;")
    revert(target)
    with session(target.address, "test") as connection:
        steps = journal.steps(connection, target.deployment.id)
    assert [(s.direction, s.status) for s in steps] == [("deploy", "done"), ("revert", "done")]


def test_settings_of_the_script_do_not_disturb_the_checks(target):
    deployed(
        target,
        COLUMN,
        DROP_COLUMN + "set local search_path = ''; set local datestyle = 'German'; set role pg_monitor;",
    )
    reverted(target)
