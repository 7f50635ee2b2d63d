"""An interrupted deployment is finished or undone, however often and wherever it is interrupted again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.support.deployed import QUICK, Deployed
from tests.support.majors import every_major
from wedsync_db.errors import Displaced, MigrationFailed, PersonNeeded, TargetHeld
from wedsync_db.migrate import journal
from wedsync_db.migrate.decisions import begin_rung
from wedsync_db.migrate.foretell import what_if_cancelled
from wedsync_db.migrate.recover import Recovery, recover
from wedsync_db.model import DeploymentStatus, Licence
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.session import session


@pytest.fixture
def target(address, tmp_path) -> Deployed:
    made = Deployed(address, tmp_path / "migrations")
    for n in (1, 2, 3):
        made.add(f"000{n}_t{n}", f"create table public.t{n} (id int primary key);", f"drop table public.t{n};")
    return made


def again(target: Deployed, **more) -> tuple[Recovery, ...]:
    values = {"locks": QUICK, "say": target.said.append, "clock": lambda: datetime.now(UTC), **more}
    return recover(target.address, target.migrations, **values)


def foretold(target: Deployed) -> str:
    with session(target.address, "test") as connection:
        return what_if_cancelled(connection, target.migrations)


def test_an_empty_database_has_nothing_to_recover(target):
    assert again(target) == ()
    assert "nothing to cancel" in foretold(target)
    assert target.sql("select to_regnamespace('wedsync_db')") == [(None,)], "looking must not create anything"


@every_major
def test_nothing_committed_is_closed_as_before(target):
    target.deploy(only=0)
    assert "loses nothing" in foretold(target)
    (done,) = again(target)
    assert done.ended is DeploymentStatus.ROLLED_BACK
    assert "exactly as before" in done.message
    assert target.status() == "rolled_back"


@every_major
def test_a_part_committed_is_undone(target):
    target.deploy(only=2)
    assert "2 of 3 migrations are committed; recover would revert them" in foretold(target)
    (done,) = again(target)
    assert done.ended is DeploymentStatus.ROLLED_BACK
    assert target.applied() == []
    assert target.before.change_to(target.catalog()).objects == {}


@every_major
def test_all_committed_is_finished(target):
    target.deploy()
    assert "finish it" in foretold(target)
    (done,) = again(target)
    assert done.ended is DeploymentStatus.DONE
    assert target.status() == "done"
    assert target.applied() == ["0001_t1", "0002_t2", "0003_t3"]


def test_all_committed_and_a_catalog_not_as_rehearsed_is_undone(target):
    target.deploy()
    target.sql("create table public.theirs (id int)")
    (done,) = again(target)
    assert done.ended is DeploymentStatus.ROLLED_BACK
    assert "somebody else changed it" in done.message
    assert target.applied() == []


def test_all_committed_without_a_rehearsal_is_finished(target):
    target.deploy(prove=False)
    assert again(target)[0].ended is DeploymentStatus.DONE


def test_recovering_twice_changes_nothing(target):
    target.deploy(only=1)
    assert len(again(target)) == 1
    assert again(target) == ()


def test_what_would_be_lost_needs_a_person(target):
    target.deploy(only=2)
    target.sql("insert into public.t1 values (1)")
    with pytest.raises(PersonNeeded) as caught:
        again(target)
    assert caught.value.at_risk == ("1 row in public.t1",)
    assert "0001_t1 is still applied, 0002_t2 is reverted" in caught.value.message
    assert target.status() == "person_needed"
    assert again(target) == (), "what waits for a person is not touched again"


def test_what_is_not_proven_is_foretold(target):
    target.deploy(only=1, licence=Licence.WEAKER)
    assert "a person would have to decide about 0001_t1" in foretold(target)


def test_statements_outside_transactions_are_foretold(target):
    target.add("0004_x", "-- transaction: none\ncreate index concurrently t1_x on public.t1 (id);\nselect 1 / 0;")
    target.deploy_failing()
    assert "1 statement of 0004_x ran outside a transaction; recover would take away what is left" in foretold(target)
    target.sql("update wedsync_db.step set statement = 1, status = 'done' where statement is not null")
    assert "a person would have to decide about 0004_x/deploy.sql:3:1 (SelectStmt)" in foretold(target)
    (target.folder / "0004_x" / "deploy.sql").write_text("select 1;")
    assert "a person would have to decide about 0004_x, whose file is not there" in foretold(target)


def test_a_roll_back_under_way_is_foretold(target):
    target.deploy(only=2)
    with session(target.address, "reader", autocommit=False) as reader:
        reader.execute("select from public.t1")
        with pytest.raises(PersonNeeded):
            again(target)
    assert "its roll back is under way (0002_t2 reverted); a cancel leaves it to recover" in foretold(target)
    again(target)
    assert "nothing to cancel" in foretold(target)


def test_what_an_earlier_version_began_is_recovered_and_foretold(target):
    target.deploy(only=2)
    target.sql(
        "alter table wedsync_db.step drop column there_before;"
        "alter table wedsync_db.deployment drop column rolling_back_since; drop table wedsync_db.decision;"
        "delete from wedsync_db.version where number > 2"
    )
    assert "2 of 3 migrations are committed" in foretold(target)
    assert again(target)[0].ended is DeploymentStatus.ROLLED_BACK
    assert target.applied() == []


def test_a_living_runner_holds_the_target(target):
    target.deploy(only=1)
    with target_lock(target.address, "deployment", wait_seconds=0, say=print):
        with pytest.raises(TargetHeld):
            again(target, wait_seconds=0)
    assert target.applied() == ["0001_t1"]


@every_major
def test_the_old_backend_is_ended_and_the_old_runner_displaced(target):
    target.deploy(only=1)
    with session(target.address, "old-runner") as old:
        journal.attach(old, target.deployment)
        old.execute("begin")
        journal.hold(old, target.deployment)
        old.execute("create table public.late (id int)")
        assert again(target)[0].ended is DeploymentStatus.ROLLED_BACK
        assert target.sql("select to_regclass('public.late')") == [(None,)]
        assert target.sql("select epoch from wedsync_db.deployment") == [(2,)]
    with pytest.raises((Displaced, MigrationFailed)):
        target.apply(target.migrations[1:2])
    assert target.applied() == []


def test_a_restored_copy_is_inert(target):
    target.deploy(only=1)
    target.sql("update wedsync_db.deployment set database_oid = 1")
    assert again(target) == ()
    assert target.applied() == ["0001_t1"]


@every_major
def test_a_recovery_interrupted_between_two_reverts_goes_on(target):
    target.deploy(only=3)
    target.sql("create table public.theirs (id int)")  # so that there is something to undo
    blocked = "public.t2"
    with session(target.address, "reader", autocommit=False) as reader:
        reader.execute(f"select from {blocked}")
        with pytest.raises(PersonNeeded) as caught:
            again(target)
    assert "waits for locks" in caught.value.message
    assert target.applied() == ["0001_t1", "0002_t2"]
    assert target.status() == "running"
    (done,) = again(target)
    assert "reverted 0003_t3, 0002_t2, 0001_t1" in done.message
    assert target.applied() == []


def test_an_interrupted_revert_of_an_operator_is_closed(target):
    target.deploy()
    again(target)
    with session(target.address, "test") as connection:
        target.deployment, _ = begin_rung(connection, "reverted to 0", reason="a test", by="a test")
    target.sql("create table public.theirs (id int)")
    assert "a person's revert or repair; what it has committed stays" in foretold(target)
    (done,) = again(target)
    assert done.ended is DeploymentStatus.DONE
    assert target.applied() == ["0001_t1", "0002_t2", "0003_t3"]
