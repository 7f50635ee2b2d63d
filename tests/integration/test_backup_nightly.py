"""The backup of a night: made, read back, registered, pruned; and nothing of that depends on the history store."""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from flows.__main__ import main
from tests.support.broken import lay_base
from wedsync_db.backup import nightly
from wedsync_db.backup.dump import create_backup
from wedsync_db.backup.nightly import nightly_backup, rebuild_registry, verify
from wedsync_db.backup.proven import Proof, note, proven
from wedsync_db.backup.prune import pinned
from wedsync_db.backup.store import in_use, list_backups
from wedsync_db.errors import BackupError, TargetHeld, Unreachable
from wedsync_db.history.store import open_history
from wedsync_db.installation import CHECKOUT, Installation
from wedsync_db.migrate import journal
from wedsync_db.migrate.deployment import read_plan
from wedsync_db.model import DeploymentStatus
from wedsync_db.postgres.session import session

MIGRATION = CHECKOUT / "migrations" / "0016_administration" / "deploy.sql"
NOW = datetime(2026, 6, 7, 3, 0, tzinfo=UTC)


@pytest.fixture
def history(cluster, monkeypatch, case):
    """The history store in a database of the test's server; its address."""
    name = f"{case.address.dbname}_history"
    with session(cluster.address(), "test") as admin:
        admin.execute(f"create database {name}")
    address = cluster.address(name)

    @contextmanager
    def opened(_self, **_):
        yield address

    monkeypatch.setattr(Installation, "history", opened)
    yield address
    with session(cluster.address(), "test") as admin:
        admin.execute(f"drop database {name} with (force)")


def environment(case):
    return case.installation.environment("case")


def night(case, now=NOW, **options):
    return nightly_backup(case.installation, environment(case), case.address, clock=lambda: now, **options)


def folder(case):
    return case.installation.home.backups("case")


def old(case, days, *, verified=True):
    """A backup of so many days ago."""
    then = NOW - timedelta(days=days)
    made = create_backup(case.address, folder(case), environment="case", clock=lambda: then)
    if verified:
        note(made, "verified", Proof(good=True, at=then))
    return made


def registered(address):
    """Each backup's state in the registry, and why it was deleted."""
    with open_history(address) as connection:
        rows = connection.execute("select id, state, deleted_because from history.backup order by created_at, id")
        return {name: because or state for name, state, because in rows}


def test_a_night(case, history):
    with session(case.address, "test") as connection:
        connection.execute("create table t as select g from generate_series(1, 10) g")
    deployments = old(case, 1, verified=False)
    ancient = old(case, 16)
    done = night(case)
    assert done.problems == ()
    assert done.damaged == ()
    assert {b.id: proven(b).progress for b in list_backups(folder(case))} == {
        deployments.id: "verified",
        done.backup.id: "verified",
        ancient.id: "verified",
    }
    assert registered(history) == dict.fromkeys((ancient.id, deployments.id, done.backup.id), "verified")
    with open_history(history) as connection:
        row = connection.execute(
            "select relations, rows, stored_bytes > 0, verified_at, problem from history.backup where id = %s",
            [done.backup.id],
        ).fetchone()
    assert row == (1, 10, True, NOW, "")


def test_what_retention_lets_go_goes_with_its_reason(case, history):
    kept = [old(case, days) for days in (1, 20)]
    victim = old(case, 21)
    settings = case.folder / "environments.toml"
    retention = "\n[environments.case.retention]\nkeep_weeks = 1\nkeep_months = 1\n"
    settings.write_text(settings.read_text() + retention)
    note(kept[1], "drilled", Proof(good=True, at=NOW))
    with in_use(victim):
        done = night(case)
        assert done.pruned.deleted == ()
        assert f"{victim.id} stays for now: somebody reads it" in done.problems[0]
    done = night(case, NOW + timedelta(hours=1))
    assert done.pruned.deleted == (victim.id,)
    assert victim.id not in {one.id for one in list_backups(folder(case))}
    assert registered(history)[victim.id].startswith("older than 14 days")
    assert registered(history)[kept[1].id] == "restored"


def test_a_failed_night_is_registered_and_no_backup_is_touched(case, history):
    kept = old(case, 400)

    def stop():
        raise BackupError("gave way")

    with pytest.raises(BackupError, match="gave way"):
        night(case, check=stop)
    assert list(registered(history).values()) == ["verified", "failed"]
    assert list_backups(folder(case)) == (kept,)


def test_a_backup_that_does_not_read_back_fails_the_night(case, history, monkeypatch):
    def damaged(backup, _check):
        raise BackupError(f"backup {backup.id} is damaged: data/1.dat is missing")

    monkeypatch.setattr(nightly, "check_files", damaged)
    with pytest.raises(BackupError, match="missing"):
        night(case)
    (made,) = list_backups(folder(case))
    assert proven(made).problem.endswith("data/1.dat is missing")
    assert registered(history) == {made.id: "failed"}
    monkeypatch.undo()
    verify(case.installation, environment(case), made, clock=lambda: NOW)
    assert proven(made).progress == "verified"


def test_an_older_backup_that_does_not_read_back_is_said(case, history):
    bad = old(case, 2, verified=False)
    (bad.path / "globals.json").write_text("{}")
    done = night(case)
    assert done.damaged == (bad.id,)
    assert registered(history)[bad.id] == "failed"


def test_a_lost_history_store_fails_no_backup(case, monkeypatch):
    @contextmanager
    def lost(_self, **_):
        raise Unreachable("history is gone")
        yield

    monkeypatch.setattr(Installation, "history", lost)
    done = night(case)
    assert proven(done.backup).progress == "verified"
    assert done.problems == ("the registry of backups could not be written: history is gone",)


def test_the_registry_is_made_again_from_what_lies_beside_the_backups(case, history):
    done = night(case)
    drilled = old(case, 1)
    note(drilled, "drilled", Proof(good=True, at=NOW, seconds=12.5, data_age=90.0))
    with open_history(history) as connection:
        connection.execute("delete from history.backup")
        connection.execute(
            "insert into history.backup (environment, id, state, created_at)"
            " values ('case', 'killed', 'started', %s), ('case', 'vanished', 'verified', %s)",
            [NOW, NOW],
        )
    (folder(case) / ".partial-killed").mkdir()  # nobody is at it any more
    entries, problems = rebuild_registry(case.installation, environment(case))
    assert problems == []
    assert {one.id: one.state for one in entries} == {
        drilled.id: "restored", done.backup.id: "verified", "killed": "failed",
    }  # fmt: skip
    assert registered(history)["vanished"] == "not in its folder"
    (entry,) = [one for one in entries if one.id == drilled.id]
    assert (entry.drilled_at, entry.recovery_seconds, entry.data_age_seconds) == (NOW, 12.5, 90.0)
    assert entry.finished_at >= entry.created_at


def test_the_target_is_told_where_it_has_the_table(case, history, cluster):
    with session(case.address, "test") as connection:
        connection.execute("create schema ops")
        connection.execute(re.search(r"create table ops\.backup_records .*?\n\);", MIGRATION.read_text(), re.DOTALL)[0])
    done = night(case)
    assert case.rows("select id, kind, status, verified_at, length(sha256) from ops.backup_records") == [
        (done.backup.id, "logical", "verified", None, 64)
    ]
    note(done.backup, "drilled", Proof(good=True, at=NOW))
    later = night(case, NOW + timedelta(days=1))
    assert case.rows("select id, status from ops.backup_records order by finished_at") == [
        (done.backup.id, "restored"), (later.backup.id, "verified"),
    ]  # fmt: skip
    with session(case.address, "test") as connection:
        connection.execute("alter table ops.backup_records drop column location")
    (problem,) = night(case, NOW + timedelta(days=2)).problems
    assert problem == "the target could not be told of its backups: UndefinedColumn"


def test_a_note_about_another_manifest_or_a_damaged_one_proves_nothing(case, history):
    made = night(case).backup
    other = old(case, 1, verified=False)
    shutil.copy(made.path / "verified.json", other.path / "verified.json")
    assert proven(other).progress == "complete"
    (made.path / "verified.json").write_text('{"good": tr')
    assert proven(made).progress == "complete"


def opened(case, backup_id):
    """A deployment on a backup, in the journal."""
    case.migration("0002_more", "create table public.more (id int);")
    with session(case.address, "journal") as connection:
        return journal.begin(
            connection, plan=read_plan(case.address, environment(case)), atomic="deployment", fingerprint_before="x",
            backup_id=backup_id, runner="test", rehearsal=None,
        )  # fmt: skip


def test_what_an_open_deployment_may_need_is_pinned(case):
    from tests.support.cutting import apply_unrehearsed

    assert pinned(case.address) == frozenset()
    lay_base(case)
    apply_unrehearsed(case.address, environment(case))
    assert pinned(case.address) == frozenset()
    deployment = opened(case, "b1")
    assert pinned(case.address) == {"b1"}
    with session(case.address, "journal") as connection:
        journal.finish(connection, deployment, DeploymentStatus.PERSON_NEEDED, "", None)
    assert pinned(case.address) == {"b1"}  # a person may want to repair from it
    deployment = opened(case, "b2")
    with session(case.address, "journal") as connection:
        journal.finish(connection, deployment, DeploymentStatus.DONE, "", None)
    assert pinned(case.address) == frozenset()
    assert pinned(replace(case.address, password="not-the-one-7c", dbname="no_such_database")) is None


def test_the_verb_prunes_says_why_and_deletes_nothing_while_the_target_is_away(case, history, capsys, monkeypatch):
    settings = case.folder / "environments.toml"
    retention = "\n[environments.case.retention]\nkeep_weeks = 1\nkeep_months = 1\n"
    settings.write_text(settings.read_text() + retention)
    newest, victim = old(case, 0), old(case, 50)
    with monkeypatch.context() as patch:
        patch.delenv("WEDSYNC_CASE_URL")
        assert main(["backups", "case", "--prune"]) == 5
    assert "cannot be asked" in capsys.readouterr().out
    assert main(["backups", "case", "--prune", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert f"{victim.id}  would go: older than 14 days" in out
    assert f"{newest.id}  stays: the newest that is verified" in out
    assert len(list_backups(folder(case))) == 2
    assert main(["backups", "case", "--prune"]) == 0
    assert f"{victim.id}  deleted: older than" in capsys.readouterr().out
    assert list_backups(folder(case)) == (newest,)
    assert main(["backups", "case", "--rebuild"]) == 0
    assert capsys.readouterr().out == f"{newest.id}  verified\n"
    assert main(["backups", "case", "--dry-run"]) == 2


def test_who_wants_the_target_ends_the_reading_too_and_the_backup_is_not_called_damaged(case):
    made = create_backup(case.address, folder(case), environment="case", clock=lambda: NOW)

    def wanted():
        raise TargetHeld("a deployment wants the target")

    with pytest.raises(TargetHeld):
        verify(case.installation, environment(case), made, clock=lambda: NOW, check=wanted)
    assert proven(made).progress == "complete"
