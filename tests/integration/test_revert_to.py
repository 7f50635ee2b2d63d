"""The operator's revert: as careful as an unattended one, unless a person accepts the loss."""

from __future__ import annotations

import pytest

from tests.support.deployed import QUICK, Deployed
from tests.support.majors import every_major
from wedsync_db.errors import LockTimeout, PersonNeeded, Refused, UsageError
from wedsync_db.migrate import journal
from wedsync_db.migrate.revert_to import revert_to
from wedsync_db.model import DeploymentStatus
from wedsync_db.postgres.session import session
from wedsync_db.settings import LockSettings


@pytest.fixture
def target(address, tmp_path) -> Deployed:
    made = Deployed(address, tmp_path / "migrations")
    for n in (1, 2, 3):
        made.add(f"000{n}_t{n}", f"create table public.t{n} (id int primary key);", f"drop table public.t{n};")
    made.deploy()
    with session(address, "test") as connection:
        journal.finish(connection, made.deployment, DeploymentStatus.DONE, "", None)
    return made


def revert(target: Deployed, to: str, *, locks: LockSettings = QUICK, **more) -> tuple[str, ...]:
    return revert_to(target.address, target.migrations, to, locks=locks, say=target.said.append, **more)


def ends(target: Deployed) -> list[str]:
    return [s for (s,) in target.sql("select status from wedsync_db.deployment order by started_at")]


@every_major
def test_what_is_above_goes_newest_first(target):
    assert revert(target, "0001_t1") == ("0003_t3", "0002_t2")
    assert target.applied() == ["0001_t1"]
    assert ends(target) == ["done", "done"]


def test_zero_reverts_everything_and_the_newest_nothing(target):
    assert revert(target, "0003_t3") == ()
    assert revert(target, "0") == ("0003_t3", "0002_t2", "0001_t1")
    assert target.before.change_to(target.catalog()).objects == {}
    assert revert(target, "0") == ()


def test_an_unknown_one_is_a_usage_error(target):
    with pytest.raises(UsageError) as caught:
        revert(target, "0007_x")
    assert "0003_t3" in caught.value.hint


def test_files_that_are_gone_are_a_usage_error(target):
    with pytest.raises(UsageError):
        revert_to(target.address, target.migrations[:2], "0001_t1", locks=QUICK, say=print)


@every_major
def test_a_risk_needs_a_persons_word(target):
    target.sql("insert into public.t2 values (1)")
    with pytest.raises(PersonNeeded) as caught:
        revert(target, "0")
    assert caught.value.at_risk == ("1 row in public.t2",)
    assert target.applied() == ["0001_t1", "0002_t2"]
    assert ends(target) == ["done", "person_needed"]
    assert revert(target, "0", accept_loss=True) == ("0002_t2", "0001_t1")
    assert any("1 row in public.t2" in line for line in target.said)


def test_without_a_proof_nothing_is_reverted(target):
    target.sql("update wedsync_db.deployment set proofs = '[]'")
    with pytest.raises(PersonNeeded) as caught:
        revert(target, "0")
    assert len(caught.value.at_risk) == 3
    assert ends(target) == ["done"]
    assert revert(target, "0", accept_loss=True)


def test_locks_not_to_be_had_close_it(target):
    with session(target.address, "reader", autocommit=False) as reader:
        reader.execute("select from public.t2")
        with pytest.raises(LockTimeout):
            revert(target, "0", locks=LockSettings(poll_seconds=0.05, lock_timeout_ms=20, attempts=1))
    assert target.applied() == ["0001_t1", "0002_t2"]
    assert ends(target) == ["done", "person_needed"]


def test_an_interrupted_deployment_comes_first(target):
    target.sql("update wedsync_db.deployment set status = 'running', finished_at = null")
    with pytest.raises(Refused):
        revert(target, "0")
    assert len(target.applied()) == 3
