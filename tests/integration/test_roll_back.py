"""The ladder after a failed deployment: the lowest rung that applies, and the truth about how it ended."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from tests.support.deployed import QUICK, Deployed
from tests.support.majors import every_major
from wedsync_db.errors import Displaced, MigrationFailed, PersonNeeded, Unreachable
from wedsync_db.migrate import journal
from wedsync_db.migrate import roll_back as rolling_back
from wedsync_db.migrate.roll_back import roll_back
from wedsync_db.model import DeploymentStatus, Licence, RolledBack
from wedsync_db.postgres.session import session
from wedsync_db.settings import LockSettings

TABLES = [
    (f"000{n}_t{n}", f"create table public.t{n} (id int primary key);", f"drop table public.t{n};") for n in (1, 2, 3)
]
CONCURRENT = "-- transaction: none\ncreate index concurrently made on public.base (name);"
APART = "drop index concurrently public.made;"


@pytest.fixture
def target(address, tmp_path) -> Deployed:
    with session(address, "test") as connection:
        connection.execute("create table public.base (id int primary key, name text not null)")
        connection.execute("insert into public.base select n, 'name ' || n % 40 from generate_series(1, 50) as n")
    return Deployed(address, tmp_path / "migrations")


def undo(target: Deployed, **more) -> RolledBack:
    return roll_back(
        target.address, target.deployment, target.migrations, tuple(target.proofs.values()),
        **{"locks": QUICK, "say": target.said.append, "before": target.before, **more},
    )  # fmt: skip


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def three(target: Deployed, only: int) -> None:
    for name, deploy, revert in TABLES:
        target.add(name, deploy, revert)
    target.deploy(only=only)


def as_before(target: Deployed, done: RolledBack) -> None:
    assert done.fingerprints_equal
    assert "exactly as before" in done.message
    assert target.before.change_to(target.catalog()).objects == {}
    assert target.applied() == []
    assert target.status() == "rolled_back"


@every_major
def test_nothing_committed_is_an_abort(target):
    three(target, only=0)
    done = undo(target)
    assert (done.rung, done.reverted) == ("abort", ())
    as_before(target, done)


def test_a_change_by_somebody_else_is_named(target):
    three(target, only=0)
    target.sql("create table public.theirs (id int)")
    done = undo(target)
    assert done.rung == "abort"
    assert not done.fingerprints_equal
    assert "somebody else changed it" in done.message
    assert "public.theirs" in done.message
    assert "(" not in undo(target, before=None).message, "what recover says: it knows the earlier catalog's digest only"


@every_major
def test_committed_migrations_go_newest_first(target):
    three(target, only=2)
    done = undo(target)
    assert (done.rung, done.reverted) == ("reverted", ("0002_t2", "0001_t1"))
    as_before(target, done)


def test_one_transaction_of_several_is_reverted_one_by_one(target):
    for name, deploy, revert in TABLES:
        target.add(name, deploy, revert)
    target.deploy(atomic="deployment")
    done = undo(target)
    assert done.reverted == ("0003_t3", "0002_t2", "0001_t1")
    as_before(target, done)


def test_earlier_deployments_stay(target):
    target.add(*TABLES[0])
    target.deploy()
    with session(target.address, "test") as connection:
        journal.finish(connection, target.deployment, DeploymentStatus.DONE, "", "")
    first = target.applied()
    target.folder = target.folder.parent / "later"
    target.add(*TABLES[1])
    target.deploy()
    assert undo(target).reverted == ("0002_t2",)
    assert target.applied() == first


@every_major
def test_a_missing_licence_stops_before_anything_is_reverted(target):
    three(target, only=3)
    target.proofs["0001_t1"] = replace(target.proofs["0001_t1"], licence=Licence.WEAKER, reasons=("an index differs",))
    with pytest.raises(PersonNeeded) as caught:
        undo(target)
    assert "an index differs" in caught.value.at_risk[0]
    assert "0001_t1, 0002_t2, 0003_t3 is still applied" in caught.value.message
    assert target.applied() == ["0001_t1", "0002_t2", "0003_t3"]
    assert target.status() == "person_needed"


@every_major
def test_a_risk_stops_there_and_says_what_is_reverted(target):
    three(target, only=3)
    target.sql("insert into public.t2 values (1)")
    with pytest.raises(PersonNeeded) as caught:
        undo(target)
    assert caught.value.at_risk == ("1 row in public.t2",)
    assert "of this deployment 0001_t1, 0002_t2 is still applied, 0003_t3 is reverted" in caught.value.message
    assert target.applied() == ["0001_t1", "0002_t2"]
    assert target.sql("select * from public.t2") == [(1,)]
    assert target.status() == "person_needed"


def test_a_persons_word_goes_on(target):
    three(target, only=3)
    target.sql("insert into public.t2 values (1)")
    target.proofs.pop("0001_t1")
    as_before(target, undo(target, approved=True))
    assert any("1 row in public.t2" in line for line in target.said)
    assert any("not rehearsed" in line for line in target.said)


def test_files_that_are_gone_need_a_person(target):
    three(target, only=1)
    with pytest.raises(PersonNeeded) as caught:
        roll_back(target.address, target.deployment, (), (), locks=QUICK, say=print)
    assert "not there any more" in caught.value.at_risk[0]
    assert target.status() == "person_needed"


def test_gone_files_stop_a_persons_word_too(target):
    three(target, only=1)
    with pytest.raises(PersonNeeded):
        roll_back(target.address, target.deployment, (), (), locks=QUICK, say=print, approved=True)
    assert target.applied() == ["0001_t1"]


@every_major
def test_locks_not_to_be_had_leave_it_open_for_recover(target):
    three(target, only=1)
    with session(target.address, "reader", autocommit=False) as reader:
        reader.execute("select from public.t1")
        with pytest.raises(PersonNeeded) as caught:
            undo(target, locks=LockSettings(poll_seconds=0.05, lock_timeout_ms=20, attempts=1, roll_back_seconds=0))
    assert caught.value.at_risk == ()
    assert "waits for locks" in caught.value.message
    assert target.status() == "running"
    as_before(target, undo(target))


def test_a_deadlock_leaves_it_open_for_recover_too(target, monkeypatch):
    def deadlock(*_, **__):
        raise MigrationFailed("deadlock detected", sqlstate="40P01")

    three(target, only=1)
    monkeypatch.setattr(rolling_back, "revert_in_session", deadlock)
    with pytest.raises(PersonNeeded, match="0001_t1 is still applied"):
        undo(target)
    assert target.status() == "running"


def test_a_displaced_runner_rolls_nothing_back(target):
    three(target, only=1)
    with session(target.address, "other") as connection:
        journal.raise_epoch(connection, target.deployment)
    with pytest.raises(Displaced):
        undo(target)
    assert target.applied() == ["0001_t1"]


def test_rolling_back_twice_is_rolling_back_once(target):
    three(target, only=2)
    first, second = undo(target), undo(target)
    assert first == second


# -- files that ran outside a transaction ------------------------------------------------------------------------------
@every_major
def test_a_concurrent_index_is_reverted(target):
    target.add("0001_x", CONCURRENT, APART)
    target.deploy()
    done = undo(target)
    assert done.reverted == ("0001_x",)
    as_before(target, done)


def test_a_concurrent_revert_goes_on_where_it_was(target):
    target.add("0001_x", CONCURRENT, "set lock_timeout = 0;" + APART)
    target.deploy()
    with session(target.address, "test") as connection:
        migration = target.migrations[0]
        sha = sha256(migration.revert.statements[1].sql)
        journal.start_step(connection, target.deployment, "0001_x", direction="revert", statement=1, sql_sha256=sha)
        connection.execute("drop index public.made")
    as_before(target, undo(target))


def test_what_cannot_be_checked_outside_a_transaction_needs_a_person(target):
    target.add("0001_x", CONCURRENT, APART + "delete from public.base where id = 1;")
    target.deploy()
    with pytest.raises(PersonNeeded) as caught:
        undo(target)
    assert "outside a transaction" in caught.value.at_risk[0]
    assert target.sql("select count(*) from public.base") == [(50,)]


def test_a_concurrent_revert_that_undoes_too_little_needs_a_person(target):
    target.add("0001_x", CONCURRENT + "create index concurrently more on public.base (id);", APART)
    target.deploy()
    with pytest.raises(PersonNeeded) as caught:
        undo(target)
    assert "public.more" in caught.value.at_risk[0]
    assert target.applied() == ["0001_x"]


@every_major
def test_an_invalid_index_is_cleaned_up(target):
    target.add("0001_x", "-- transaction: none\ncreate unique index concurrently made on public.base (name);", APART)
    target.deploy_failing()
    assert target.sql("select indisvalid from pg_index where indexrelid = 'public.made'::regclass") == [(False,)]
    done = undo(target)
    assert done.rung == "cleaned"
    assert "public.made" in done.message
    as_before(target, done)


@every_major
def test_a_finished_index_of_a_half_done_file_is_cleaned_up(target):
    target.add("0001_x", CONCURRENT + "create unique index concurrently twice on public.base (name);", APART)
    target.deploy_failing()
    done = undo(target)
    assert done.rung == "cleaned"
    as_before(target, done)


def test_an_index_that_was_there_before_stays(target):
    target.sql("create index made on public.base (name)")
    target.add("0001_x", CONCURRENT, APART)
    target.deploy_failing()
    done = undo(target)
    assert done.rung == "abort"
    as_before(target, done)


@pytest.mark.parametrize("there", [True, False])
def test_if_not_exists_takes_back_only_what_it_made(target, there):
    if there:
        target.sql("create index made on public.base (name)")
    target.add(
        "0001_x",
        CONCURRENT.replace("concurrently", "concurrently if not exists")
        + "create unique index concurrently twice on public.base (name);",
        APART,
    )
    target.deploy_failing()
    done = undo(target)
    assert ("public.made" in done.message) is not there
    as_before(target, done)


def test_what_an_earlier_version_did_not_note_stays(target):
    target.add("0001_x", CONCURRENT + "create unique index concurrently twice on public.base (name);", APART)
    target.deploy_failing()
    target.sql("update wedsync_db.step set there_before = null")
    with pytest.raises(PersonNeeded) as caught:
        undo(target)
    assert "unless it was there before" in caught.value.at_risk[0]
    assert target.sql("select to_regclass('public.made') is not null") == [(True,)]


def test_a_committed_statement_of_a_half_done_file_needs_a_person(target):
    target.add(
        "0001_x",
        "-- transaction: none\nupdate public.base set name = upper(name);"
        "create unique index concurrently made on public.base (name);",
        "update public.base set name = lower(name);",
    )
    target.deploy_failing()
    with pytest.raises(PersonNeeded) as caught:
        undo(target)
    assert "UpdateStmt is committed" in caught.value.at_risk[0]
    assert target.status() == "person_needed"


def test_a_half_done_file_that_was_edited_since_needs_a_person(target):
    target.add("0001_x", "-- transaction: none\ncreate unique index concurrently made on public.base (name);", APART)
    target.deploy_failing()
    target.add("0001_x", "-- transaction: none\ncreate unique index concurrently made on public.base (id);", APART)
    with pytest.raises(PersonNeeded) as caught:
        undo(target)
    assert "not there any more" in caught.value.at_risk[0]


@every_major
def test_what_an_interrupted_reindex_left_is_cleaned_up(target):
    target.sql("create index old on public.base (name)")
    target.add("0001_x", "-- transaction: none\nreindex index concurrently public.old;", "select 1;")
    target.deploy(only=0)
    statement = target.migrations[0].deploy.statements[0].sql
    with session(target.address, "test") as connection:
        sha = sha256(statement)
        journal.start_step(connection, target.deployment, "0001_x", direction="deploy", statement=0, sql_sha256=sha)
        connection.execute("create index old_ccnew on public.base (name)")
        connection.execute("update pg_index set indisvalid = false where indexrelid = 'public.old_ccnew'::regclass")
    done = undo(target)
    as_before(target, done)


@every_major
def test_a_session_that_is_lost_once_is_opened_again(target):
    target.sql("create sequence public.tries")
    end = "perform pg_terminate_backend(pg_backend_pid())"
    lose = f"do $$ begin if nextval('public.tries') = 1 then {end}; end if; end $$;"
    target.add("0001_t1", TABLES[0][1], TABLES[0][2] + lose)
    target.deploy()
    as_before(target, undo(target))
    assert any("not there" in line for line in target.said)


def test_a_server_that_stays_away_is_left_to_recover(target, monkeypatch):
    three(target, only=1)
    monkeypatch.setattr("wedsync_db.migrate.roll_back._RECONNECT_SECONDS", 0.1)
    target.address = replace(target.address, port=target.address.port + 1)
    with pytest.raises(Unreachable) as caught:
        undo(target)
    assert "recover" in caught.value.hint


def test_a_file_that_was_reverted_is_not_half_done(target):
    target.add(*TABLES[0])
    target.add(
        "0002_x",
        "-- transaction: none\nupdate public.base set name = name;\n"
        "create index concurrently made on public.base (name);",
        "drop index public.made;",
    )
    target.deploy()
    with session(target.address, "reader", autocommit=False) as reader:
        reader.execute("select from public.t1")
        with pytest.raises(PersonNeeded):
            undo(target, locks=LockSettings(poll_seconds=0.05, lock_timeout_ms=20, attempts=1, roll_back_seconds=0))
    assert target.applied() == ["0001_t1"]
    as_before(target, undo(target))
