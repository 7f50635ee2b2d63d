"""The whole rehearsal: a real backup in a scratch server, an ordinary deployer, and nothing left behind."""

from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql

from tests.support.majors import MAJORS, every_major
from wedsync_db.backup.dump import create_backup
from wedsync_db.errors import BackupError, Inconclusive, RehearsalFailed
from wedsync_db.migrate import apply, journal, ledger
from wedsync_db.migrate.files import read_migrations
from wedsync_db.migrate.plan import make_plan, require_sound
from wedsync_db.migrate.rehearse import rehearse, require_licences
from wedsync_db.model import Licence
from wedsync_db.postgres.fingerprint import take
from wedsync_db.postgres.pg_ctl import SUPERUSER
from wedsync_db.postgres.session import session
from wedsync_db.settings import LockSettings

DEPLOYER = "whole_deployer"
NEW_ROLE = "whole_reader"

BASE = """
create schema app;
create table app.org (id bigint generated always as identity primary key, name text not null);
create table app.guest (id int primary key, org_id bigint not null references app.org, at timestamptz default now());
insert into app.org (name) select 'o' || g from generate_series(1, 10) g;
insert into app.guest select g, 1 + g % 10 from generate_series(1, 1000) g;
"""

MIGRATIONS = {
    "0001_reader": (
        f"""create role {NEW_ROLE} nologin; grant usage on schema app to {NEW_ROLE};
        create table app.note (id int primary key, text text); insert into app.note values (1, 'a')""",
        f"drop table app.note; revoke usage on schema app from {NEW_ROLE}; drop role {NEW_ROLE}",
    ),
    "0002_time": (
        "alter table app.guest alter at type timestamp",
        "alter table app.guest alter at type timestamptz",
    ),
    "0003_index": (
        "-- transaction: none\ncreate index concurrently guest_org on app.guest (org_id);",
        "drop index app.guest_org",
    ),
}


@pytest.fixture
def source(cluster, address):
    """A database that belongs to an ordinary role, with data."""
    deployer = sql.Identifier(DEPLOYER)
    with session(cluster.address(), "test-admin") as admin:
        admin.execute(sql.SQL("create role {} createrole").format(deployer))
        admin.execute(sql.SQL("alter database {} owner to {}").format(sql.Identifier(address.dbname), deployer))
        with session(replace(address, session_authorization=DEPLOYER), "test") as connection:
            connection.execute(BASE)
        yield address
        with session(address, "test-admin") as inside:
            for role in (NEW_ROLE, DEPLOYER):
                if inside.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
                    name = sql.Identifier(role)
                    inside.execute(sql.SQL("reassign owned by {} to wedsync").format(name))
                    inside.execute(sql.SQL("drop owned by {}; drop role {}").format(name, name))


@pytest.fixture
def backup(source, tmp_path):
    return create_backup(source, tmp_path / "backups", environment="test", clock=now)


def now():
    return datetime.now(UTC)


@pytest.fixture
def plan(tmp_path):
    """Write migrations and read them as the plan of a database without any."""

    def write(migrations):
        for name, (deploy, revert) in migrations.items():
            folder = tmp_path / "migrations" / name
            folder.mkdir(parents=True)
            (folder / "deploy.sql").write_text(deploy)
            (folder / "revert.sql").write_text(revert)
        found = make_plan(*read_migrations(tmp_path / "migrations"), ())
        require_sound(found)
        return found

    return write


@pytest.fixture
def run(home, major):
    """Rehearse with the policies of a test."""

    def go(plan, backup, *, deployer=DEPLOYER, say=lambda _: None, server_major=major, **settings):
        return rehearse(
            plan,
            backup=backup,
            server_major=server_major,
            deployer=deployer,
            settings={"TimeZone": "Europe/London", "search_path": '"$user", public'} | settings,
            scratch_parent=home.scratch,
            atomic="deployment",
            locks=LockSettings(),
            clock=now,
            say=say,
            progress=lambda _: None,
        )

    yield go
    assert list(home.scratch.iterdir()) == []


@every_major
def test_the_target_changes_exactly_as_the_rehearsal_says(source, backup, plan, run):
    pending = plan(MIGRATIONS)
    said = []
    rehearsal = run(pending, backup, say=said.append)
    assert [p.licence for p in rehearsal.proofs] == [Licence.EXACT] * 3, [p.reasons for p in rehearsal.proofs]
    require_licences(rehearsal, pending, require_exact=True)
    assert (rehearsal.complete, rehearsal.backup_id, rehearsal.plan_hash) == (True, backup.id, pending.hash)
    assert rehearsal.fingerprint_before == backup.manifest.fingerprint
    assert rehearsal.proofs[0].created_content["app.note"][0] == 1
    assert [(lock.relation, lock.mode) for lock in rehearsal.proofs[1].locks] == [("app.guest", "AccessExclusiveLock")]
    assert {s.migration: s.rewrites for s in rehearsal.statements}["0002_time"] == ("app.guest",)
    assert [line for line in said if line.startswith("0003_index")]
    assert deploy(source, pending, rehearsal) == rehearsal.expected
    assert f"role:{NEW_ROLE}" in rehearsal.expected.objects


def deploy(source, plan, rehearsal):
    """Apply for real, with the deployer's rights; the change of the catalog."""
    deployer = replace(source, session_authorization=DEPLOYER)
    with session(source, "test") as look:
        before = take(look)
        with session(deployer, "test") as connection:
            ledger.install(connection)
            deployment = journal.begin(
                connection,
                plan=plan,
                atomic="deployment",
                fingerprint_before=before.digest,
                backup_id=None,
                runner="test",
                rehearsal=rehearsal,
            )
            assert journal.proofs(connection, deployment.id) == rehearsal.proofs
        apply.apply(
            deployer,
            plan,
            deployment,
            proofs=rehearsal.proofs,
            atomic="deployment",
            locks=LockSettings(),
            lock_pid=None,
            between=lambda: None,
            say=lambda _: None,
        )
        return before.change_to(take(look))


def test_settings_of_the_target_decide_what_a_statement_does(backup, plan, run):
    pending = plan({"0002_time": MIGRATIONS["0002_time"]})
    (statement,) = run(pending, backup, TimeZone="UTC").statements
    assert statement.rewrites == ()


@pytest.mark.parametrize("major", [m for m in MAJORS if m == 15], indirect=True)
def test_on_another_major_there_are_no_licences(backup, plan, run):
    pending = plan({"0002_time": MIGRATIONS["0002_time"]})
    rehearsal = run(pending, backup, server_major=18)
    assert [p.licence for p in rehearsal.proofs] == [Licence.NONE]
    assert (rehearsal.complete, rehearsal.server_version // 10_000) == (False, 18)
    assert "another major" in rehearsal.notes[0]


def test_a_damaged_backup_is_found_before_anything_runs(backup, plan, run):
    victim = next(path for path in sorted((backup.path / "data").iterdir()) if path.name != "toc.dat")
    victim.write_bytes(b"")
    with pytest.raises(BackupError):
        run(plan({"0002_time": MIGRATIONS["0002_time"]}), backup)


def test_a_migration_beyond_the_deployers_rights_fails(backup, plan, run):
    with pytest.raises(RehearsalFailed, match=r"^0001_it/deploy.sql:1:1: permission denied .*42501"):
        run(plan({"0001_it": (f"alter role {SUPERUSER} nologin", "select 1")}), backup)


def test_an_index_that_is_not_valid_afterwards_fails(plan, run):
    deploy = """create table t (id int) partition by range (id);
                create table t1 partition of t for values from (1) to (9);
                create index half on only t (id)"""
    with pytest.raises(RehearsalFailed, match=r"not valid: index:public\.half"):
        run(plan({"0001_half": (deploy, "drop table t")}), None)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, psycopg.OperationalError])
def test_an_interruption_leaves_nothing(plan, run, failure):
    def say(line):
        if line.startswith("0001_"):
            raise failure

    with pytest.raises((KeyboardInterrupt, Inconclusive)):
        run(plan({"0001_it": ("select 1", "select 1"), "0002_it": ("select 2", "select 2")}), None, say=say)


def test_from_empty_it_proves_reverts_and_nothing_about_data(plan, run, home):
    (home.scratch / "wedsync-scratch-left").mkdir()
    deploy = f"create schema app; {MIGRATIONS['0001_reader'][0]}"
    revert = f"{MIGRATIONS['0001_reader'][1]}; drop schema app"
    pending = plan({"0001_reader": (deploy, revert), "0002_index": ("create index n on app.note (text)", "select 1")})
    rehearsal = run(pending, None)
    assert [p.licence for p in rehearsal.proofs] == [Licence.EXACT, Licence.WEAKER]
    assert not rehearsal.complete
    assert "empty database" in rehearsal.notes[0]
    with pytest.raises(RehearsalFailed, match=r"0002_index .*index app\.n is left over"):
        require_licences(rehearsal, pending, require_exact=True)


def test_a_deployer_called_like_the_scratch_superuser_is_refused(plan, run):
    with pytest.raises(Inconclusive, match=SUPERUSER):
        run(plan({"0001_it": ("select 1", "select 1")}), None, deployer=SUPERUSER)
