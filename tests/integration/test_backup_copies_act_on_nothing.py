"""A copy acts on nothing outside, needs a server that can hold it, and its programs end with their run."""

import fcntl
import os
import subprocess
import time
from dataclasses import replace

import pytest

from tests.support.majors import every_major
from wedsync_db.backup.client import CONNECTION, running
from wedsync_db.backup.dump import create_backup
from wedsync_db.backup.prepare import silence
from wedsync_db.backup.restore import create_database, restore_backup, restore_new
from wedsync_db.backup.verify import verify_content
from wedsync_db.errors import BackupError, Inconclusive
from wedsync_db.filelock import try_alone
from wedsync_db.postgres.programs import client_programs
from wedsync_db.postgres.session import session


@every_major
def test_logins_at_foreign_servers_and_subscriptions_are_left_out(address, db, cluster, tmp_path):
    db.execute("create foreign data wrapper w; create server far foreign data wrapper w; create role backup_mapped")
    db.execute("create user mapping for public server far; create user mapping for backup_mapped server far")
    db.execute(
        "create subscription s connection 'dbname=nowhere' publication p with (connect = false, slot_name = none)"
    )
    said = []
    copy = restore_new(
        create_backup(address, tmp_path, environment="demo"),
        cluster.address(),
        f"{address.dbname}_copy",
        say=said.append,
    )
    try:
        with session(copy, "test") as connection:
            assert connection.execute("select count(*) from pg_user_mappings").fetchone() == (0,)
            query = (
                "select count(*) from pg_subscription where subdbid = (select oid from pg_database where datname = %s)"
            )
            assert connection.execute(query, (copy.dbname,)).fetchone() == (0,)
        assert len(said) == 2
    finally:
        db.execute(f"drop database {copy.dbname} with (force)")
        db.execute("drop subscription s; drop server far cascade; drop role backup_mapped")


def test_jobs_of_pg_cron_are_stopped(db):
    db.execute("create schema cron; create table cron.job (active bool)")
    db.execute("insert into cron.job values (true), (false), (true)")
    said = []
    silence(db, said.append)
    assert db.execute("select bool_or(active) from cron.job").fetchone() == (False,)
    assert said == ["stopped on the copy: 2 jobs of pg_cron"]


@every_major
def test_an_event_trigger_that_forbids_ddl_does_not_stop_the_restore(address, db, cluster, tmp_path):
    db.execute("create function no() returns event_trigger language plpgsql as 'begin raise exception ''no''; end'")
    db.execute("create materialized view m as select 1 as x")
    db.execute("create event trigger forbid on ddl_command_end execute function no()")
    copy = restore_new(
        create_backup(address, tmp_path, environment="demo"), cluster.address(), f"{address.dbname}_copy"
    )
    with session(copy, "test") as connection:
        assert connection.execute("select evtenabled::text from pg_event_trigger").fetchone() == ("O",)
    db.execute(f"drop database {copy.dbname} with (force)")


def test_programs_that_cannot_read_the_codec_are_inconclusive(address, db, cluster, tmp_path):
    db.execute("create table t as select 1 as x")
    backup = create_backup(address, tmp_path, environment="demo")
    target = create_database(backup, cluster.address(), f"{address.dbname}_copy")
    poor = replace(client_programs(18, need_ssl=False), codecs=frozenset())
    with pytest.raises(Inconclusive, match="without gzip"):
        restore_backup(backup, target, poor)
    db.execute(f"drop database {target.dbname}")


def test_a_manifest_of_an_unknown_method_is_inconclusive(address, db, tmp_path):
    db.execute("create table t as select 1 as x")
    backup = create_backup(address, tmp_path, environment="demo")
    relations = tuple(replace(one, method="future-v9") for one in backup.manifest.relations)
    with pytest.raises(Inconclusive, match="future-v9"):
        verify_content(replace(backup, manifest=replace(backup.manifest, relations=relations)), address)


def test_a_file_that_cannot_be_read_is_damage(address, db, tmp_path):
    backup = create_backup(address, tmp_path, environment="demo")
    toc = backup.path / "data" / "toc.dat"
    toc.unlink()
    os.mkfifo(toc)
    with pytest.raises(BackupError, match=r"toc\.dat is no ordinary file"):
        restore_backup(backup, address)


def test_what_a_program_works_on_is_locked_as_long_as_it_lives(address, db, tmp_path):
    mine = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(mine, fcntl.LOCK_EX)
    other = os.open(tmp_path, os.O_RDONLY)
    with running(["sleep", "60"], address, "test", held=(mine,)) as client:
        os.close(mine)
        assert not try_alone(other)
        assert client.process.poll() is None
    assert try_alone(other)
    assert client.process.returncode == 128 + 15
    os.close(other)


def test_a_program_gets_settings_and_password_through_private_files(address, db, cluster):
    db.execute("drop role if exists backup_login; create role backup_login login password 'sesame'")
    login = replace(address, user="backup_login", password="sesame", parameters={"options": "-c work_mem=7MB"})
    psql = cluster.binaries / "psql"
    if not psql.exists():
        pytest.skip("this build has no psql")
    check = "do $$ begin assert current_setting('work_mem') || current_setting('enable_sort') = '7MBoff'; end $$"
    with running([psql, "-w", "-v", "ON_ERROR_STOP=1", "-d", CONNECTION, "-c", check], login, "test",
                 settings={"enable_sort": "off"}) as client:  # fmt: skip
        client.wait()
    with running([psql, "-w", "-d", CONNECTION], replace(login, password="not-the-one-7c"), "test") as client:
        with pytest.raises(BackupError, match=r"psql failed: .*password authentication failed"):
            client.wait()
    db.execute("drop role backup_login")


def test_a_line_break_in_a_setting_is_refused(address):
    broken = replace(address, parameters={"sslcert": "a\nb"})
    with pytest.raises(BackupError, match="line break"), running(["true"], broken, "test"):
        raise AssertionError


def test_a_program_that_ignores_its_leash_is_killed(address, tmp_path, monkeypatch):
    monkeypatch.setattr("wedsync_db.backup.client._LEASH_SECONDS", 0.2)
    deaf = tmp_path / "deaf"
    with running(["sh", "-c", f"trap '' TERM; touch {deaf}; sleep 60"], address, "test") as client:
        while not deaf.exists():  # before that it would still listen
            time.sleep(0.01)
        group = client.process.pid
    assert client.process.returncode == -9
    assert subprocess.run(["pgrep", "-r", "R,S,D", "-g", str(group)], check=False).returncode == 1
