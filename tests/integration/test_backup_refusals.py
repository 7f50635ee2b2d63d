"""What must not become a backup: hidden rows, a failed dump, a full disk, an interruption, a queue of readers."""

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.support.majors import every_major
from tests.support.processes import started_with
from tests.support.slow_dump import slow_programs
from wedsync_db.backup import snapshot
from wedsync_db.backup.dump import create_backup
from wedsync_db.backup.store import list_backups
from wedsync_db.errors import BackupError
from wedsync_db.postgres.programs import client_programs
from wedsync_db.postgres.server import server_facts
from wedsync_db.postgres.session import Address, session

PASSWORD = r"pa:ss\wo rd's"


@pytest.fixture
def reader(address, db):
    """A role that may read everything and bypasses nothing, logging in with a password."""
    db.execute("drop role if exists backup_reader")
    db.execute("create role backup_reader login in role pg_read_all_data")
    db.execute("select set_config('x.p', %s, false)", (PASSWORD,))
    db.execute("do $$ begin execute format('alter role backup_reader password %L', current_setting('x.p')); end $$")
    yield Address(address.host, address.port, address.dbname, "backup_reader", PASSWORD)
    db.execute("drop owned by backup_reader; drop role backup_reader")


def partials(folder):
    return [path.name for path in folder.glob(".partial-*")]


def back_up(address, folder, **options):
    return create_backup(address, folder, environment="demo", **options)


@every_major
def test_a_reader_from_whom_policies_hide_rows_is_refused(db, reader, tmp_path):
    db.execute(
        "create table tenants (x int); insert into tenants values (1); alter table tenants enable row level security"
    )
    with pytest.raises(BackupError, match=r"role backup_reader does not see all rows of public\.tenants"):
        back_up(reader, tmp_path)
    assert list_backups(tmp_path) == ()
    assert partials(tmp_path) == []


@every_major
def test_an_owner_under_force_is_refused_and_without_force_is_not(db, reader, tmp_path):
    db.execute(
        "create table tenants (x int); insert into tenants values (1); alter table tenants enable row level security"
    )
    db.execute("alter table tenants owner to backup_reader")
    backup = back_up(reader, tmp_path)
    assert [(one.relation, one.rows) for one in backup.manifest.relations] == [("public.tenants", 1)]
    db.execute("alter table tenants force row level security")
    with pytest.raises(BackupError, match=r"backup_reader.*public\.tenants"):
        back_up(reader, tmp_path)
    db.execute("alter role backup_reader bypassrls")
    back_up(reader, tmp_path)


@pytest.mark.parametrize(
    ("objects", "named"),
    [
        ("create table t (x int)", r"may not read public\.t"),
        ("create sequence s", r"may not read public\.s"),
        ("create schema s; create table s.t (x int)", r"may not use the schema of s\.t"),
    ],
)
def test_a_role_that_may_not_read_something_is_refused(db, reader, tmp_path, objects, named):
    db.execute("revoke pg_read_all_data from backup_reader")
    db.execute(objects)
    with pytest.raises(BackupError, match=named):
        back_up(reader, tmp_path)


def test_the_password_is_in_no_argument_and_no_file(db, reader, tmp_path, monkeypatch):
    db.execute("create table t as select md5(g::text) from generate_series(1, 200000) g")
    private = tmp_path / "tmp"
    private.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(private))
    seen = {"arguments": [], "modes": set()}

    def look():
        seen["arguments"] += started_with("")
        seen["modes"] |= {oct(path.stat().st_mode & 0o777) for path in private.glob("*/password")}

    slow = slow_programs(tmp_path, server_facts(db).major)
    backup = back_up(reader, tmp_path / "backups", check=look, programs=slow)
    assert any(b"pg_dump" in line for line in seen["arguments"])
    assert not any(PASSWORD.encode() in line for line in seen["arguments"])
    assert seen["modes"] == {"0o600"}
    assert list(private.iterdir()) == []
    files = [path.read_bytes() for path in backup.path.rglob("*") if path.is_file()]
    assert not any(PASSWORD.encode() in content for content in files)
    assert "backup_reader" in (backup.path / "roles.sql").read_text()
    assert oct(backup.path.stat().st_mode & 0o777) == "0o700"


def test_a_failing_pg_dump_says_why_and_leaves_nothing(address, db, tmp_path):
    earlier = back_up(address, tmp_path)
    # as if pg_dump met a damaged page: an aggregate's final function that fails only when it is read
    db.execute("create function boom(int) returns int language plpgsql immutable as 'begin return 1; end'")
    db.execute("create table t (x int); create index on t (boom(x))")
    db.execute("delete from pg_proc where proname = 'boom'")
    with pytest.raises(BackupError) as caught:
        back_up(address, tmp_path)
    assert "cache lookup failed" in caught.value.message
    assert "\n" not in caught.value.message
    assert list_backups(tmp_path) == (earlier,)
    assert partials(tmp_path) == []
    assert_no_sessions(db)


def assert_no_sessions(db):
    """A session that was closed takes the server a moment to end."""
    query = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    deadline = time.monotonic() + 10
    while (left := db.execute(query).fetchone()[0]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == 0


class Stop(BaseException):
    """What a signal's handler raises."""


@pytest.mark.parametrize("at", [1, 2])
def test_an_interruption_ends_program_sessions_and_debris(address, db, tmp_path, at):
    db.execute("create table t as select g, repeat(md5(g::text), 9) from generate_series(1, 1000) g")
    slow = slow_programs(tmp_path, server_facts(db).major)
    calls = []

    def interrupt():
        calls.append(1)
        if len(calls) == at:
            raise Stop

    with pytest.raises(Stop):
        back_up(address, tmp_path / "backups", check=interrupt, programs=slow)
    assert_no_sessions(db)
    assert partials(tmp_path / "backups") == []
    assert not started_with(tmp_path)


def test_ddl_with_readers_behind_it_ends_the_backup(address, db, tmp_path):
    db.execute("create table t (x int); insert into t values (1)")
    waited = []

    def in_a_session(purpose, statement):
        with session(address, purpose, lock_timeout_ms=0) as connection:
            begun = time.monotonic()
            connection.execute(statement)
            waited.append(time.monotonic() - begun)

    ddl = threading.Thread(target=in_a_session, args=("careless-ddl", "alter table t add column y int"))
    reader = threading.Thread(target=in_a_session, args=("reader", "select * from t"))

    def queue_up():
        if not ddl.ident:
            ddl.start()
        elif not reader.ident and _waiting(db, "careless-ddl"):
            reader.start()

    # a program that holds the backup up for as long as the test needs: pg_dump would be through at once
    slow = tmp_path / "pg_dump"
    slow.write_text("#!/bin/sh\nsleep 60\n")
    slow.chmod(0o755)
    programs = replace(client_programs(db.info.server_version // 10000, need_ssl=False), pg_dump=slow)
    with pytest.raises(BackupError, match=r"gave way: pid \d+ \(wedsync-db/careless-ddl, user wedsync\)"):
        back_up(address, tmp_path / "backups", check=queue_up, programs=programs)
    ddl.join()
    reader.join()
    assert len(waited) == 2


def _waiting(db, purpose):
    query = "select count(*) from pg_stat_activity where application_name = %s and wait_event_type = 'Lock'"
    return db.execute(query, (f"wedsync-db/{purpose}",)).fetchone()[0]


def test_a_table_held_exclusively_is_not_waited_for_forever(address, db, tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot, "LOCK_WAIT_MS", 200)
    db.execute("create table t (x int)")
    with session(address, "holder", autocommit=False) as holder:
        holder.execute("lock table t in access exclusive mode")
        with pytest.raises(BackupError, match="holds a table exclusively"):
            back_up(address, tmp_path)


def test_a_full_disk_is_said_and_leaves_older_backups(address, db, tmp_path, monkeypatch):
    earlier = back_up(address, tmp_path)
    monkeypatch.setattr("wedsync_db.backup.store.os.fsync", _full)
    with pytest.raises(BackupError, match="No space left on device"):
        back_up(address, tmp_path)
    monkeypatch.undo()
    assert list_backups(tmp_path) == (earlier,)
    assert partials(tmp_path) == []


def _full(_):
    raise OSError(28, "No space left on device")


def test_two_of_the_same_second_do_not_overwrite_each_other(address, db, tmp_path):
    first = back_up(address, tmp_path, token=lambda: "same", clock=_noon)
    with pytest.raises(BackupError, match="could not be written"):
        back_up(address, tmp_path, token=lambda: "same", clock=_noon)
    assert list_backups(tmp_path) == (first,)


def _noon():
    return datetime(2026, 6, 6, 12, tzinfo=UTC)


def test_progress_rises_to_one(address, db, tmp_path):
    db.execute("create table t as select g, repeat(md5(g::text), 9) from generate_series(1, 250000) g; analyze t")
    shares = []
    back_up(address, tmp_path, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert all(0 <= share <= 1 for share in shares)


@every_major
def test_a_large_object_that_may_not_be_read_is_named(db, reader, tmp_path):
    db.execute("select lo_from_bytea(70001, 'x'), lo_from_bytea(70002, 'y')")
    db.execute("grant select on large object 70001 to backup_reader")
    with pytest.raises(BackupError, match="role backup_reader may not read large object 70002"):
        back_up(reader, tmp_path)
    db.execute("grant select on large object 70002 to public")
    assert back_up(reader, tmp_path).manifest.large_objects == 2
