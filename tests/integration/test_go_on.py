"""Deploying again goes on with half a file that only a person could undo; and leaves alone what is not the same."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from tests.support.deployed import QUICK, Deployed
from tests.support.majors import every_major
from wedsync_db.errors import PersonNeeded, Refused
from wedsync_db.migrate import journal
from wedsync_db.migrate.recover import recover
from wedsync_db.model import DeploymentStatus
from wedsync_db.postgres.session import session

HALF = "-- transaction: none\ncreate table public.one (id int);\ncreate table public.two (id int);"


@pytest.fixture
def target(address, tmp_path) -> Deployed:
    """A deployment whose runner died after the first of two statements."""
    made = Deployed(address, tmp_path / "migrations")
    made.add("0001_half", HALF, "drop table public.two;\ndrop table public.one;")
    made.add("0002_after", "create table public.after (id int);", "drop table public.after;")
    made.deploy(only=0)
    statement = made.migrations[0].deploy.statements[0]
    with session(address, "test") as connection:
        connection.execute(statement.sql)
        step = {"direction": "deploy", "statement": 0}
        sha256 = hashlib.sha256(statement.sql.encode()).hexdigest()
        journal.start_step(connection, made.deployment, "0001_half", **step, sql_sha256=sha256)
        journal.finish_step(connection, made.deployment, "0001_half", **step)
    return made


def again(target: Deployed, going_on=lambda: None):
    return recover(
        target.address, target.migrations, locks=QUICK, say=target.said.append, clock=lambda: datetime.now(UTC),
        going_on=going_on,
    )  # fmt: skip


@every_major
def test_what_is_left_is_done_once_and_verified(target):
    (done,) = again(target)
    assert done.ended is DeploymentStatus.DONE
    assert target.applied() == ["0001_half", "0002_after"]
    assert any("going on with 0001_half" in line for line in target.said)


def test_nobody_asked_to_go_on(target):
    with pytest.raises(PersonNeeded):
        again(target, going_on=None)
    assert target.applied() == []


def test_a_file_that_was_changed_is_not_gone_on_with(target):
    target.add("0002_after", "create table public.other (id int);")
    with pytest.raises(PersonNeeded):
        again(target)
    assert target.applied() == []


def test_a_guard_that_refuses_leaves_it_open(target):
    def refuse() -> None:
        raise Refused("not now")

    with pytest.raises(Refused):
        again(target, refuse)
    assert (target.status(), target.applied()) == ("running", [])
    (done,) = again(target)
    assert done.ended is DeploymentStatus.DONE


def test_a_statement_that_fails_needs_a_person(target):
    target.sql("create table public.two (id int)")
    with pytest.raises(PersonNeeded):
        again(target)
    assert target.status() == "person_needed"
    assert any("0001_half/deploy.sql:3" in line for line in target.said)


def test_a_catalog_that_is_not_as_rehearsed_is_not_called_done(target):
    target.sql("create table public.theirs (id int)")
    (done,) = again(target)
    assert done.ended is DeploymentStatus.ROLLED_BACK
    assert target.applied() == []


def test_a_roll_back_that_has_begun_is_not_turned_round(target):
    with session(target.address, "test") as connection:
        journal.roll_back(connection, target.deployment)
    with pytest.raises(PersonNeeded):
        again(target)
    assert target.applied() == []
