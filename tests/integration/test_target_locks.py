"""The target lock and the announcement: held by a session, polled for, and telling who has them."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from tests.support.majors import every_major
from wedsync_db.errors import Displaced, TargetHeld
from wedsync_db.postgres.locks import announce, announced, held_by, holder, target_lock
from wedsync_db.postgres.session import session


def quiet(_: str) -> None:
    """Says nothing."""


@every_major
def test_a_held_target_names_its_holder_and_is_free_afterwards(address, db):
    assert holder(db) is None
    with target_lock(address, "backup", wait_seconds=0, say=quiet) as lock:
        lock.check()
        assert held_by(db, lock.pid)
        who = holder(db)
        assert who is not None
        assert (who.pid, who.application_name, who.user) == (lock.pid, "wedsync-db/backup", address.user)
        assert who.since is not None
        with pytest.raises(TargetHeld) as caught:
            with target_lock(address, "deploy", wait_seconds=0, say=quiet):
                pytest.fail("two hold the target")
    assert f"wedsync-db/backup (pid {lock.pid}, user {address.user}) since 2" in str(caught.value)
    assert caught.value.exit_code == 3
    assert not held_by(db, lock.pid)
    with target_lock(address, "deploy", wait_seconds=1, say=quiet):
        pass


def test_two_databases_of_one_server_do_not_exclude_each_other(address, cluster):
    with target_lock(address, "a", wait_seconds=0, say=quiet):
        with target_lock(cluster.address(), "b", wait_seconds=0, say=quiet):
            with session(cluster.address(), "test") as connection:
                who = holder(connection)
                assert who is not None
                assert who.application_name == "wedsync-db/b"


def test_a_waiter_says_for_whom_it_waits_and_gets_its_turn(address):
    said, has_it, let_go = [], threading.Event(), threading.Event()

    def hold():
        with target_lock(address, "backup", wait_seconds=0, say=quiet):
            has_it.set()
            let_go.wait(10)

    def say(line):
        said.append(line)
        let_go.set()

    thread = threading.Thread(target=hold)
    thread.start()
    assert has_it.wait(10)
    with target_lock(address, "deploy", wait_seconds=20, say=say):
        thread.join()
    assert len(said) == 1
    assert "wedsync-db/backup" in said[0]


def test_a_waiter_holds_no_snapshot_that_an_index_build_would_wait_for(address, db):
    """In pg_advisory_lock it would, and CREATE INDEX CONCURRENTLY would not end before the waiter does."""
    db.execute("create table t (id int)")
    db.execute("set statement_timeout = '10s'")
    waiting = threading.Event()

    def wait():
        with target_lock(address, "second", wait_seconds=30, say=lambda _: waiting.set()):
            pass

    thread = threading.Thread(target=wait)
    with target_lock(address, "first", wait_seconds=0, say=quiet):
        thread.start()
        assert waiting.wait(10)
        db.execute("create index concurrently i on t (id)")
    thread.join()


@every_major
def test_a_runner_whose_lock_session_was_ended_is_displaced(address, db):
    with target_lock(address, "deploy", wait_seconds=0, say=quiet) as lock:
        db.execute("select pg_terminate_backend(%s, 5000)", [lock.pid])
        assert not held_by(db, lock.pid)
        with pytest.raises(Displaced):
            lock.check()


@every_major
def test_an_announcement_is_seen_by_long_jobs_and_excludes_a_second_deployment(address, db):
    assert announced(db) is None
    with announce(address):
        who = announced(db)
        assert who is not None
        assert who.application_name == "wedsync-db/deployment"
        assert holder(db) is None, "it is another key than the target's"
        with target_lock(address, "maintain", wait_seconds=0, say=quiet):
            pass
        with pytest.raises(TargetHeld, match="another deployment is under way: wedsync-db/deployment"):
            with announce(address):
                pytest.fail("two deployments at once")
    assert announced(db) is None


def test_asking_leaves_role_and_transaction_as_they_are(address, db):
    role = f"asker_{db.info.dbname}"
    db.execute(f"create role {role}")
    try:
        with session(replace(address, role=role), "test", autocommit=False) as connection:
            with target_lock(address, "deploy", wait_seconds=0, say=quiet):
                connection.execute("select 1")
                who = holder(connection)
                assert who is not None
                assert who.since is not None, "seen with the login's rights"
                assert connection.execute("select current_user").fetchone() == (role,)
    finally:
        db.execute(f"drop role {role}")


def test_the_lock_session_outlives_the_servers_idle_limits(address, cluster):
    with session(cluster.address(), "test") as admin:
        admin.execute(f"alter database {address.dbname} set idle_session_timeout = '50ms'")
    with target_lock(address, "deploy", wait_seconds=0, say=quiet) as lock:
        with session(cluster.address(), "test") as elsewhere:
            elsewhere.execute("select pg_sleep(0.2)")
        lock.check()
