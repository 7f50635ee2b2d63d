"""Ledger and journal in the target: installed once, refused when newer, fenced by epoch, inert in a copy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.applying import Target, proof
from tests.support.majors import every_major
from wedsync_db.errors import Displaced, Refused, TargetHeld
from wedsync_db.migrate import journal, ledger
from wedsync_db.model import Change, DeploymentStatus
from wedsync_db.postgres.session import session


@pytest.fixture
def target(address, tmp_path) -> Target:
    target = Target(address, tmp_path / "migrations")
    target.write("0001_a", "create table a (id int);")
    target.write("0002_b", "create table b (id int);")
    return target


@pytest.fixture
def deployer(address, db):
    """An ordinary role that owns the database and logs in with a password."""
    name = f"deployer_{db.info.dbname}"
    db.execute(f"create role {name} login password 'pw'")
    db.execute(f"alter database {db.info.dbname} owner to {name}")
    yield replace(address, user=name, password="pw")
    db.execute(f"reassign owned by {name} to current_user")
    db.execute(f"drop role {name}")


@every_major
def test_where_nothing_is_installed_there_is_nothing_and_reading_creates_nothing(db):
    assert ledger.installed_version(db) == 0
    assert ledger.entries(db) == ()
    assert journal.unfinished(db) == ()
    assert db.execute("select to_regnamespace('wedsync_db')").fetchone() == (None,)


@every_major
def test_an_ordinary_owner_installs_and_only_it_may_read(deployer, address, db):
    with session(deployer, "test") as connection:
        ledger.install(connection)
        ledger.install(connection)
        assert ledger.installed_version(connection) == ledger.known_version()
    granted = db.execute(
        "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) a "
        "where nspname = 'wedsync_db' and a.grantee = 0"
    ).fetchone()
    assert granted == (0,)
    db.execute(f"create role stranger_{db.info.dbname}")
    try:
        with session(replace(address, session_authorization=f"stranger_{db.info.dbname}"), "test") as stranger:
            with pytest.raises(Refused, match="may not read"):
                ledger.entries(stranger)
    finally:
        db.execute(f"drop role stranger_{db.info.dbname}")


def test_a_role_that_may_not_create_the_schema_is_told_so(deployer, db):
    db.execute(f"alter database {db.info.dbname} owner to current_user")
    with session(deployer, "test") as connection, pytest.raises(Refused) as caught:
        ledger.install(connection)
    assert "permission denied for database" in str(caught.value)
    assert "CREATE on the database" in caught.value.hint


def test_a_schema_newer_than_the_program_is_refused(target, db):
    ledger.install(db)
    db.execute("insert into wedsync_db.version (number) values (999)")
    for use in (ledger.install, ledger.entries, journal.unfinished):
        with pytest.raises(Refused, match="newer than this program"):
            use(db)


@every_major
def test_ledger_positions_go_on_and_a_migration_is_recorded_once(target, db):
    ledger.install(db)
    first, second = target.plan().pending
    ledger.record(db, [first], "d1")
    ledger.record(db, [second], "d2")
    assert [(e.id, e.position, e.deployment_id) for e in ledger.entries(db)] == [
        ("0001_a", 1, "d1"),
        ("0002_b", 2, "d2"),
    ]
    with pytest.raises(Exception, match="ledger_pkey"):
        ledger.record(db, [first], "d3")
    assert ledger.forget(db, "0001_a")
    assert not ledger.forget(db, "0001_a")


@every_major
def test_a_deployment_reads_back_as_it_began(target, db):
    change = Change({"table:public.a": (None, "columns"), "table:public.b": ("x", None)})
    held = proof("0001_a", ("public.a", "ShareLock"), seconds=1.5)
    told = replace(held, reasons=("r",), created_content={"public.a": (2, "h")}, change=change, revert_sha256="s")
    deployment = target.begin((told, proof("0002_b")))
    assert journal.unfinished(db) == (deployment,)
    assert journal.read(db, deployment.id) == deployment
    assert journal.read(db, "nobody") is None
    assert journal.migrations(db, deployment.id) == ("0001_a", "0002_b")
    assert journal.proofs(db, deployment.id) == (told, proof("0002_b"))


def test_a_second_deployment_waits_for_the_first_to_be_finished(target, db):
    deployment = target.begin()
    with pytest.raises(Refused, match="unfinished") as caught:
        target.begin()
    assert "recover" in caught.value.hint
    journal.finish(db, deployment, DeploymentStatus.DONE, "", "after")
    assert journal.unfinished(db) == ()
    assert target.begin().id != deployment.id


@every_major
def test_a_copy_of_the_database_has_nothing_unfinished(target, db, address, cluster):
    deployment = target.begin()
    copy = f"{address.dbname}_copy"
    db.close()
    with session(cluster.address(), "test") as admin:
        admin.execute(f"create database {copy} template {address.dbname}")
        try:
            with session(address.with_database(copy), "test") as connection:
                assert journal.unfinished(connection) == ()
                assert journal.steps(connection, deployment.id) == ()
                twin = replace(target, address=address.with_database(copy)).begin()
                assert twin.id != deployment.id
        finally:
            admin.execute(f"drop database {copy} with (force)")


@every_major
def test_after_raising_the_epoch_the_older_one_can_do_nothing(target, db):
    old = target.begin()
    new = journal.raise_epoch(db, old, runner="second")
    assert (new.epoch, new.runner, new.id) == (old.epoch + 1, "second", old.id)
    step = {"direction": "deploy", "statement": 0, "sql_sha256": "x"}
    for use in (
        lambda: journal.hold(db, old),
        lambda: journal.attach(db, old),
        lambda: journal.raise_epoch(db, old),
        lambda: journal.start_step(db, old, "0001_a", **step),
        lambda: journal.finish(db, old, DeploymentStatus.DONE, "", None),
    ):
        with pytest.raises(Displaced, match="took over"):
            use()
    journal.hold(db, new)
    journal.attach(db, new)
    journal.finish(db, new, DeploymentStatus.ROLLED_BACK, "it failed", None)
    with pytest.raises(Displaced):
        journal.hold(db, new)


def test_the_epoch_is_not_raised_under_a_transaction_that_holds_it(target, db, address):
    deployment = target.begin()
    with session(address, "old", autocommit=False) as old:
        journal.hold(old, deployment)
        db.execute("set lock_timeout = '30ms'")
        with pytest.raises(TargetHeld, match="still in a transaction"):
            journal.raise_epoch(db, deployment)


@every_major
def test_the_migrating_backend_is_ended_and_only_that(target, db, address):
    deployment = target.begin()
    assert journal.end_backend(db, deployment) is False, "nobody attached yet"
    with session(address, "migrate") as migrating, session(address, "other") as other:
        journal.attach(migrating, deployment)
        assert journal.end_backend(db, deployment) is True
        assert journal.end_backend(db, deployment) is False
        other.execute("select 1")
        with pytest.raises(Exception, match=r"terminat|closed"):
            migrating.execute("select 1")


def test_another_backend_with_the_same_pid_is_left_alone(target, db, address):
    deployment = target.begin()
    with session(address, "innocent") as innocent:
        journal.attach(innocent, deployment)
        db.execute("update wedsync_db.deployment set backend_start = backend_start - interval '1 hour'")
        assert journal.end_backend(db, deployment) is False
        innocent.execute("select 1")


@every_major
def test_a_displaced_runner_does_not_end_the_backend_of_the_one_who_took_over(target, db, address):
    old = target.begin()
    new = journal.raise_epoch(db, old, runner="second")
    with session(address, "migrate") as migrating:
        journal.attach(migrating, new)
        assert journal.end_backend(db, old) is False
        migrating.execute("select 1")


@every_major
def test_an_ordinary_deployer_that_inherits_nothing_of_its_role_finds_its_backend(deployer, db, tmp_path):
    owner = f"owner_{db.info.dbname}"
    db.execute(f"create role {owner}")
    db.execute(f"alter role {deployer.user} noinherit")
    db.execute(f"grant {owner} to {deployer.user}")
    db.execute(f"grant create on database {db.info.dbname} to {owner}")
    try:
        address = replace(deployer, role=owner)
        target = Target(address, tmp_path / "other")
        target.write("0001_a", "select 1;")
        deployment = target.begin()
        with session(address, "migrate") as migrating, session(address, "recover") as connection:
            journal.attach(migrating, deployment)
            assert journal.end_backend(connection, deployment) is True
            assert connection.execute("select current_user").fetchone() == (owner,)
    finally:
        db.execute(f"drop owned by {owner} cascade")
        db.execute(f"drop role {owner}")


def test_steps_are_started_finished_and_started_again(target, db):
    deployment = target.begin()
    step = {"direction": "deploy", "statement": 3}
    journal.start_step(db, deployment, "0001_a", sql_sha256="x", **step)
    journal.finish_step(db, deployment, "0001_a", status="failed", **step)
    assert target.steps() == [("0001_a", 3, "failed")]
    journal.start_step(db, deployment, "0001_a", sql_sha256="y", **step)
    assert target.steps() == [("0001_a", 3, "started")]
    journal.finish_step(db, deployment, "0001_a", **step)
    journal.done_steps(db, deployment, target.plan().pending, "deploy")
    journal.done_steps(db, deployment, target.plan().pending, "deploy")
    assert target.steps() == [("0001_a", 3, "done"), ("0001_a", None, "done"), ("0002_b", None, "done")]
