"""The verbs of one deployment on its target: confirm, verify, close, prove."""

from __future__ import annotations

import getpass
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.support.broken import lay_base
from tests.support.deployed import Deployed
from wedsync_db.backup.dump import create_backup
from wedsync_db.errors import Displaced, Inconclusive, Refused, VerifyFailed
from wedsync_db.migrate import deployment, journal
from wedsync_db.migrate.prove import deployer_settings, prove, prove_folder
from wedsync_db.model import Change, Licence, Opened, Rehearsal
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.session import session


def say(_line):
    pass


def rehearsed(change: Change) -> Rehearsal:
    return Rehearsal("", None, 0, "", change, (), (), 0.0)


@pytest.fixture
def opened(case) -> Opened:
    lay_base(case)
    environment = case.installation.environment("case")
    plan = deployment.read_plan(case.address, environment)
    return deployment.open_deployment(case.address, environment, plan, rehearsed(Change({})), None)


def test_change_as_rehearsed_is_verified(case, opened):
    with session(case.address, "test") as connection:
        connection.execute("create table public.a (id int)")
    expected = opened.before.change_to(deployment.take_fingerprint(case.address))
    after = deployment.verify(case.address, opened, rehearsed(expected))
    assert after.digest == deployment.take_fingerprint(case.address).digest


@pytest.mark.parametrize(("count", "shown"), [(1, "did not change as rehearsed: "), (9, ", …")])
def test_other_change_than_rehearsed_is_named(case, opened, count, shown):
    with session(case.address, "test") as connection:
        for number in range(count):
            connection.execute(f"create table public.a{number} (id int)".encode())
    with pytest.raises(VerifyFailed) as caught:
        deployment.verify(case.address, opened, rehearsed(Change({})))
    assert shown in caught.value.message
    assert "a0" in caught.value.message
    assert len(caught.value.message.splitlines()) == 1


def test_missing_change_is_a_surprise_too():
    expected = Change({"table:x": (None, "{}")})
    assert deployment.surprises(Change({}), expected) == ("table:x",)
    assert deployment.surprises(expected, expected) == ()


def test_plan_and_catalog_are_still_those(case):
    lay_base(case)
    environment = case.installation.environment("case")
    plan, before = deployment.read_plan(case.address, environment), deployment.take_fingerprint(case.address).digest
    assert deployment.is_unchanged(case.address, environment, plan, before)
    with session(case.address, "test") as connection:
        connection.execute("create table public.unforeseen (id int)")
    assert not deployment.is_unchanged(case.address, environment, plan, before)
    case.migration("0002_more", "select 1;", "select 1;")
    after = deployment.take_fingerprint(case.address).digest
    assert not deployment.is_unchanged(case.address, environment, plan, after)


@pytest.mark.parametrize("somebody_else", ["create table public.unforeseen (id int)", "delete from wedsync_db.ledger"])
def test_what_changed_since_the_rehearsal_is_not_deployed_on(case, opened, somebody_else):
    environment = case.installation.environment("case")
    plan = deployment.read_plan(case.address, environment)
    deployment.migrate(
        case.address, environment, plan, rehearsed(Change({})), opened.deployment, None, between=lambda: None, say=say
    )
    deployment.close_deployment(case.address, opened.deployment, deployment.take_fingerprint(case.address))
    plan, backup = deployment.read_plan(case.address, environment), back_up(case)
    with session(case.address, "test") as connection:
        connection.execute(somebody_else.encode())
    with pytest.raises(Refused, match="changed by somebody else"):
        deployment.open_deployment(case.address, environment, plan, rehearsed(Change({})), backup)
    assert case.rows("select status from wedsync_db.deployment") == [("done",)]


def test_closing_is_fenced(case, opened):
    after = deployment.take_fingerprint(case.address)
    with session(case.address, "test") as connection:
        journal.raise_epoch(connection, opened.deployment)
    with pytest.raises(Displaced):
        deployment.close_deployment(case.address, opened.deployment, after)


def test_a_journal_that_cannot_be_told_says_that_all_is_applied(case, opened):
    after = deployment.take_fingerprint(case.address)
    for address in (replace(case.address, host=str(case.folder)), case.address.with_database("postgres")):
        with pytest.raises(Inconclusive, match="everything is applied"):
            deployment.close_deployment(address, opened.deployment, after)


def test_closing(case, opened):
    deployment.close_deployment(case.address, opened.deployment, deployment.take_fingerprint(case.address))
    assert case.rows("select status from wedsync_db.deployment") == [("done",)]


def test_migrating_commits_the_plan(case, opened):
    environment = case.installation.environment("case")
    plan = deployment.read_plan(case.address, environment)
    with target_lock(case.address, "deploy", wait_seconds=0, say=say) as lock:
        applied = deployment.migrate(
            case.address, environment, plan, rehearsed(Change({})), opened.deployment, lock.pid,
            between=lambda: None, say=say,
        )  # fmt: skip
    assert applied.migrations == ("0001_base",)


def test_runner_is_named_even_without_a_name(monkeypatch):
    assert deployment.runner_name().startswith(f"{getpass.getuser()}@")

    def nameless():
        raise KeyError("uid")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert deployment.runner_name().split("@")[0].isdigit()


# -- proving -----------------------------------------------------------------------------------------------------------
def back_up(case):
    return create_backup(
        case.address, case.installation.home.backups("case"), environment="case", clock=lambda: datetime.now(UTC),
        jobs=1, say=say, progress=lambda _: None,
    )  # fmt: skip


def prove_case(case, **settings):
    environment = case.installation.environment("case")
    plan = deployment.read_plan(case.address, environment)
    return prove(
        case.address, environment, plan, back_up(case), scratch_parent=case.installation.home.scratch,
        clock=lambda: datetime.now(UTC), say=say, progress=lambda _: None,
    )  # fmt: skip


def test_proof_runs_with_the_deployers_rights_and_settings(case):
    with session(case.admin, "test") as connection:
        connection.execute(f"alter database {case.address.dbname} set timezone = 'Asia/Tokyo'".encode())
    assert deployer_settings(case.address)["TimeZone"] == "Asia/Tokyo"
    case.migration(
        "0001_who",
        "create table public.who (name text, zone text);\n"
        "do $$ begin if current_user <> 'case_deployer' or current_setting('TimeZone') <> 'Asia/Tokyo' then "
        "raise 'other rights or settings'; end if; end $$;",
        "drop table public.who;",
    )
    assert [p.licence for p in prove_case(case).proofs] == [Licence.EXACT]


def test_data_that_may_not_be_copied_is_not_proven_on(case):
    lay_base(case)
    path = case.folder / "environments.toml"
    path.write_text(path.read_text().replace("allow_data_copy = true", "allow_data_copy = false"))
    with pytest.raises(Refused, match="does not allow its data"):
        prove_case(case)
    assert list(case.installation.home.scratch.iterdir()) == []


def test_folder_is_proven_from_empty(case):
    folder = Deployed(case.address, case.folder / "migrations")
    folder.add("0001_a", "create table public.a (id int);", "drop table public.a;")
    plan = deployment.read_plan(case.address, case.installation.environment("case"))
    proof = prove_folder(plan, 18, case.installation.home.scratch, clock=lambda: datetime.now(UTC), say=say)
    assert (proof.complete, proof.backup_id) == (False, None)
