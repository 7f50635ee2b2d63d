"""A backup restored on another server is the database it was made of: rows, catalog, roles, settings."""

import json
import threading
from datetime import UTC, datetime

import pytest

from tests.support.majors import MAJORS, every_major
from wedsync_db.backup.dump import create_backup
from wedsync_db.backup.restore import create_database, restore_backup, restore_new
from wedsync_db.backup.store import list_backups
from wedsync_db.backup.verify import verify_content
from wedsync_db.errors import BackupError, Inconclusive
from wedsync_db.postgres.cluster import scratch
from wedsync_db.postgres.programs import client_programs
from wedsync_db.postgres.session import Address, session

SCHEMA = """
create schema "Odd Schema";
create table "Odd Schema"."T" (
  id bigint generated always as identity primary key, "a ""b c" text, j jsonb, at timestamptz default now());
insert into "Odd Schema"."T" ("a ""b c", j)
select 'row ' || g, jsonb_build_object('g', g) from generate_series(1, 3000) g;
create table parted (x int, y text) partition by range (x);
create table parted_low partition of parted for values from (0) to (10);
create table parted_rest partition of parted default;
insert into parted select g, g::text from generate_series(0, 30) g;
create table parent (a int); create table child (b int, a int); alter table child inherit parent;
insert into parent values (1); insert into child (a, b) values (2, 3);
create table secret (x int); insert into secret values (1);
alter table secret enable row level security, force row level security;
create view v as select * from parted; create materialized view mat as select count(*) from parted;
create sequence down increment -1; select nextval('down'), nextval('down'); create sequence unused;
select lo_create(0), lo_create(0);
create publication pub for table parted;
create function hook() returns event_trigger language plpgsql as 'begin raise exception ''no more DDL''; end';
"""
ROLES = """
create role backup_group; create role backup_boss superuser;
create role "backup User" login createdb connection limit 3;
grant backup_group to "backup User" with admin option; grant backup_boss to backup_group;
alter role "backup User" set search_path = "$user", "Odd Schema", public; alter role "backup User" set work_mem = '7MB';
alter role backup_boss set work_mem = '9MB';
"""
IN_DATABASE = """
alter database {0} set timezone = 'Asia/Kolkata'; alter database {0} set app.tenant = 'a''b\\c';
alter database {0} set session_preload_libraries = 'plpgsql';
alter role backup_group in database {0} set statement_timeout = '3s';
alter database {0} owner to "backup User"; comment on database {0} is 'It''s ours';
revoke all on database {0} from public; grant connect on database {0} to backup_group with grant option;
alter table parent owner to backup_group; grant select on parted to "backup User";
grant usage on schema "Odd Schema" to public;
create event trigger hook on ddl_command_end execute function hook(); alter event trigger hook owner to backup_boss;
"""
DROP_ROLES = 'drop role if exists "backup User", backup_group, backup_boss'


def back_up(address, folder, **options):
    return create_backup(address, folder, environment="demo", **options)


@pytest.fixture
def rich(address, db, cluster):
    """A database with something of everything, and roles of its own."""
    db.execute(SCHEMA)
    db.execute(ROLES)
    db.execute(IN_DATABASE.format(address.dbname))
    yield address
    with session(cluster.address(), "test") as admin:
        admin.execute(f"alter database {address.dbname} reset session_preload_libraries")
        admin.execute(f"drop database {address.dbname} with (force)")
        admin.execute(DROP_ROLES)
        admin.execute(f"create database {address.dbname}")  # the fixture drops it


@every_major
def test_everything_comes_back_on_another_server(rich, major, tmp_path):
    backup = back_up(rich, tmp_path)
    said = []
    with scratch(major) as other:
        copy = create_database(backup, other.address(), "copy")
        restore_backup(backup, copy, client_programs(major, need_ssl=False), say=said.append)
        verify_content(backup, copy, say=said.append)
        assert [line.partition(" ")[0] for line in said] == ["table:public.child"]  # pg_dump reorders its columns
        with session(copy, "test") as connection:
            roles = connection.execute(
                "select rolname, rolsuper, rolcanlogin, rolcreatedb, rolconnlimit from pg_roles"
                " where rolname ~ '^backup' order by 1"
            ).fetchall()
            assert roles == [
                ("backup User", False, False, True, 3),
                ("backup_boss", False, False, False, -1),
                ("backup_group", False, False, False, -1),
            ]
            assert connection.execute("show timezone").fetchone() == ("Asia/Kolkata",)
            assert connection.execute("show app.tenant").fetchone() == ("a'b\\c",)
            owners = connection.execute(
                "select evtowner::regrole::text, 'parent'::regclass::oid::regclass::text from pg_event_trigger"
            ).fetchall()
            assert owners == [("backup_boss", "parent")]


def test_a_second_restore_finds_its_roles_there_and_leaves_them_alone(rich, tmp_path):
    backup = back_up(rich, tmp_path)
    with scratch(18) as other:
        with session(other.address(), "test") as admin:
            admin.execute("create role backup_group createdb; alter role backup_group set work_mem = '11MB'")
        said = []
        restore_new(backup, other.address(), "copy", say=said.append)
        assert any("backup_group" in line for line in said)
        with session(other.address(), "test") as admin:
            query = "select rolcreatedb, rolconfig from pg_roles where rolname = 'backup_group'"
            kept = admin.execute(query).fetchone()
            login = admin.execute("select rolcanlogin from pg_roles where rolname = 'backup User'").fetchone()
        assert kept == (True, ["work_mem=11MB"])
        assert login == (True,)  # an operator restores to use it


def test_under_a_writer_the_copy_is_the_moment_of_the_snapshot(address, db, cluster, tmp_path):
    db.execute("create table t (id int primary key, n int); insert into t select g, 0 from generate_series(1, 2000) g")
    db.execute("create table u (id bigserial, n int)")
    stop = threading.Event()

    def write():
        with session(address, "writer") as connection:
            while not stop.is_set():
                connection.execute("update t set n = n + 1 where id = (random() * 1999)::int + 1")
                connection.execute("insert into u (n) values (1)")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            backup = back_up(address, tmp_path)
            restore_new(backup, cluster.address(), f"{address.dbname}_{number}")
    finally:
        stop.set()
        writer.join()
        for number in range(3):
            db.execute(f"drop database if exists {address.dbname}_{number} with (force)")


@pytest.fixture
def copied(address, db, cluster, tmp_path):
    """A small backup and its restored copy."""
    db.execute("create table t (id int, x text); insert into t select g, 'x' || g from generate_series(1, 50) g")
    db.execute("create table empty (x int); create sequence s; select nextval('s') from generate_series(1, 5)")
    db.execute("create function f() returns int language sql return 1; create materialized view m as select 1")
    backup = back_up(address, tmp_path)
    copy = restore_new(backup, cluster.address(), f"{address.dbname}_copy")
    yield backup, copy
    db.execute(f"drop database {copy.dbname} with (force)")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("update t set x = 'y1' where id = 1", "public.t has other content in its 50 rows"),
        ("delete from t where id = 1", "public.t has 49 rows instead of 50"),
        ("insert into empty values (null)", "public.empty has 1 rows instead of 0"),
        ("drop table empty", "public.empty is missing"),
        ("create table more (x int)", "public.more was not there"),
        ("select setval('s', 4)", "sequence public.s is at 4, it had reached 5"),
        ("drop sequence s", "sequence public.s is missing"),
        ("select lo_create(0)", "there are 1 large objects instead of 0"),
        ("drop function f()", "public.f() is missing"),
        ("alter table t alter x set not null", "column:public.t.x differs"),
    ],
)
def test_a_difference_in_the_copy_is_named(copied, change, named):
    backup, copy = copied
    with session(copy, "test") as connection:
        connection.execute(change)
    with pytest.raises(BackupError) as caught:
        verify_content(backup, copy)
    assert named in caught.value.message


def test_many_differences_are_counted(copied):
    backup, copy = copied
    with session(copy, "test") as connection:
        connection.execute("create table a(x int); create table b(x int); create table c(x int); create table d(x int)")
    with pytest.raises(BackupError, match="more"):
        verify_content(backup, copy)


def test_a_sequence_ahead_of_the_manifest_is_fine(copied):
    backup, copy = copied
    with session(copy, "test") as connection:
        connection.execute("select setval('s', 1000)")
    verify_content(backup, copy)


def test_a_copy_that_cannot_be_read_does_not_pass(copied, cluster, db):
    backup, copy = copied
    db.execute("drop role if exists backup_blind; create role backup_blind login password 'x'")
    with pytest.raises(Inconclusive, match="permission denied"):
        verify_content(backup, Address(copy.host, copy.port, copy.dbname, "backup_blind", "x"))
    db.execute("drop role backup_blind")


def test_the_source_is_never_restored_over(address, db, tmp_path):
    backup = back_up(address, tmp_path)
    with pytest.raises(BackupError, match="never restored over"):
        restore_backup(backup, address)


def test_a_database_with_anything_in_it_is_refused(copied):
    backup, copy = copied
    with pytest.raises(BackupError, match="not empty"):
        restore_backup(backup, copy)


def test_restore_new_refuses_a_name_that_is_taken_and_leaves_that_database(copied, cluster):
    backup, copy = copied
    with pytest.raises(BackupError, match="already exists"):
        restore_new(backup, cluster.address(), copy.dbname)
    verify_content(backup, copy)


def test_an_extension_that_is_not_here_is_inconclusive(address, db, cluster, tmp_path):
    backup = back_up(address, tmp_path)
    path = backup.path / "globals.json"
    body = json.loads(path.read_text())
    body["database"]["extensions"].append(["no_such_extension", "1.0"])
    path.write_text(json.dumps(body))
    fresh = _with_present_files(backup)
    with pytest.raises(Inconclusive, match="no_such_extension"):
        restore_new(fresh, cluster.address(), f"{address.dbname}_copy")
    with session(cluster.address(), "test") as admin:  # what was created for it is gone again
        query = "select count(*) from pg_database where datname = %s"
        assert admin.execute(query, (f"{address.dbname}_copy",)).fetchone() == (0,)


def test_an_older_server_is_inconclusive(clusters, address, tmp_path):
    backup = back_up(address, tmp_path)
    with pytest.raises(Inconclusive, match="PostgreSQL 18"):
        restore_new(backup, clusters(MAJORS[0]).address(), "never")


def test_a_newer_server_gets_the_content_and_says_that_the_catalog_was_not_compared(clusters, tmp_path):
    old, new = clusters(MAJORS[0]), clusters(MAJORS[-1])
    with session(old.address(), "test") as admin:
        admin.execute("create database upgraded_source")
    try:
        with session(old.address("upgraded_source"), "test") as connection:
            connection.execute("create table t as select g, md5(g::text) m, now() at from generate_series(1, 500) g")
        said = []
        backup = back_up(old.address("upgraded_source"), tmp_path)
        restore_new(backup, new.address(), "upgraded_copy", say=said.append)
        assert "catalog not compared" in said[-1]
    finally:
        for cluster, name in ((old, "upgraded_source"), (new, "upgraded_copy")):
            with session(cluster.address(), "test") as admin:
                admin.execute(f"drop database if exists {name} with (force)")


def test_a_locale_that_is_not_here_is_replaced_only_where_that_is_allowed(address, db, cluster, tmp_path):
    backup = back_up(address, tmp_path)
    path = backup.path / "globals.json"
    body = json.loads(path.read_text())
    body["database"] |= {"collate": "xx_XX.UTF-8", "ctype": "xx_XX.UTF-8"}
    path.write_text(json.dumps(body))
    name = f"{address.dbname}_locale"
    with pytest.raises(BackupError, match="xx_XX"):
        create_database(backup, cluster.address(), name)
    said = []
    create_database(backup, cluster.address(), name, any_locale=True, say=said.append)
    db.execute(f"drop database {name}")
    assert "xx_XX" in said[0]


def test_a_database_without_a_public_schema(address, db, cluster, tmp_path):
    db.execute("drop schema public; create schema s; create table s.t (x int)")
    copy = restore_new(back_up(address, tmp_path), cluster.address(), f"{address.dbname}_copy")
    with session(copy, "test") as connection:
        assert connection.execute("select to_regnamespace('public')").fetchone() == (None,)
    db.execute(f"drop database {copy.dbname} with (force)")


def test_backups_are_listed_by_time_and_what_is_none_is_said(address, db, tmp_path):
    later = back_up(address, tmp_path, clock=lambda: datetime(2026, 6, 7, 12, tzinfo=UTC), token=lambda: "aaaa")
    earlier = back_up(address, tmp_path, clock=lambda: datetime(2026, 6, 6, 12, tzinfo=UTC), token=lambda: "ffff")
    (tmp_path / "notes").mkdir()
    (tmp_path / "damaged").mkdir()
    manifest = (later.path / "manifest.json").read_text()
    (tmp_path / "damaged" / "manifest.json").write_text(manifest.replace('"rows"', '"rown"').replace("demo", "dem0"))
    said = []
    assert list_backups(tmp_path, say=said.append) == (earlier, later)
    assert (earlier.id, later.id) == ("20260606T120000Z-ffff", "20260607T120000Z-aaaa")
    assert len(said) == 2
    assert list_backups(tmp_path / "absent") == ()


def _with_present_files(backup):
    """The same backup with a manifest that agrees with the files as they are now."""
    from dataclasses import replace

    from wedsync_db.backup.store import digest_files

    files = {name: value for name, value in digest_files(backup.path).items() if name != "manifest.json"}
    return replace(backup, manifest=replace(backup.manifest, files=files))


def test_large_objects_are_compared_by_content(address, db, cluster, tmp_path):
    big = "repeat(md5('x'), 100000)::bytea"  # more than one part of a megabyte
    db.execute(f"select lo_from_bytea(70001, {big}), lo_from_bytea(70002, ''), lo_from_bytea(70003, '\\x00')")
    backup = back_up(address, tmp_path)
    assert backup.manifest.large_objects == 3
    copy = restore_new(backup, cluster.address(), f"{address.dbname}_copy")
    try:
        verify_content(backup, copy)
        with session(copy, "test") as connection:
            connection.execute("select lo_put(70001, 3000000, '\\x79')")
        with pytest.raises(BackupError, match="the 3 large objects have other content"):
            verify_content(backup, copy)
    finally:
        db.execute(f"drop database {copy.dbname} with (force)")
