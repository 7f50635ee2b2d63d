"""A drill compares everything, names what is different, and passes nothing that it could not judge."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.majors import MAJORS, every_major
from wedsync_db.backup import drill as module
from wedsync_db.backup.drill import drill, drill_environment, judged
from wedsync_db.backup.dump import create_backup
from wedsync_db.backup.keys import Key
from wedsync_db.backup.proven import proven
from wedsync_db.backup.store import list_backups
from wedsync_db.errors import BackupError, Inconclusive, Refused, Unreachable
from wedsync_db.postgres import cluster as clusters_module
from wedsync_db.postgres.session import session

MADE = datetime(2026, 6, 7, 3, 0, tzinfo=UTC)
KEY = Key("aaaa", b"a" * 32)
SCHEMA = """
create table items (id int primary key, value bigint, data bytea, at timestamptz default now());
insert into items select g, g, decode(md5(g::text), 'hex') from generate_series(1, 300) g;
create table logs (line text); insert into logs values ('one'), ('two');
create sequence numbers; select nextval('numbers');
select lo_from_bytea(70001, 'a picture');
"""


def backup_of(address, db, folder, **options):
    db.execute(SCHEMA)
    return create_backup(address, folder, environment="case", clock=lambda: MADE, **options)


def drilled(backup, home, keys=(), **options):
    later = MADE + timedelta(hours=2)
    found = drill(backup, keys, home.scratch, clock=lambda: later, **options)
    assert list(home.scratch.iterdir()) == [], "a copy of the data must not stay"
    return found


@every_major
def test_what_is_as_it_was_is_restored_with_its_times(address, db, tmp_path, home):
    backup = backup_of(address, db, tmp_path / "backups", key=KEY)
    found = drilled(backup, home, [KEY])
    assert (found.outcome, found.problem) == ("restored", "")
    assert (found.data_age, found.relations, found.rows) == (7200.0, 2, 302)
    assert found.recovery > 0


@pytest.fixture(scope="module")
def pristine(clusters, tmp_path_factory):
    """A backup that is only looked at."""
    cluster, folder = clusters(18), tmp_path_factory.mktemp("drill")
    with session(cluster.address(), "test") as admin:
        admin.execute("create database drill_source")
    try:
        with session(cluster.address("drill_source"), "test") as connection:
            yield backup_of(cluster.address("drill_source"), connection, folder)
    finally:
        with session(cluster.address(), "test") as admin:
            admin.execute("drop database drill_source with (force)")


def changing(*statements):
    def change(copy):
        with session(copy, "test") as connection:
            for statement in statements:
                connection.execute(statement)

    return change


ONE_BIT_EACH = (
    "update items set value = value # (1::bigint << 40) where id = 7",
    "update logs set line = chr(ascii(line) # 1) || substr(line, 2) where line = 'two'",
    "select lo_put(70001, 0, set_bit(lo_get(70001, 0, 1), 3, 1 - get_bit(lo_get(70001, 0, 1), 3)))",
)


def test_one_bit_more_or_less_is_named_with_its_relation(pristine, home):
    """In three places of one copy: each is named."""
    found = drilled(pristine, home, between=changing(*ONE_BIT_EACH))
    assert found.outcome == "failed"
    assert found.recovery is None
    for name in ("public.items has other content in its 300 rows", "public.logs has other content in its 2 rows"):
        assert name in found.problem
    assert "the 1 large objects have other content" in found.problem


def test_a_damaged_backup_is_failed(pristine, home, tmp_path):
    shutil.copytree(pristine.path, tmp_path / "backups" / pristine.id)
    (backup,) = list_backups(tmp_path / "backups")
    (backup.path / "data" / "toc.dat").write_bytes(b"PGDMP")
    found = drilled(backup, home)
    assert found.outcome == "failed"
    assert "toc.dat has 5 bytes" in found.problem


def test_without_the_key_it_is_inconclusive(address, db, tmp_path, home):
    found = drilled(backup_of(address, db, tmp_path / "backups", key=KEY), home, [])
    assert found.outcome == "inconclusive"
    assert "aaaa, which is not here" in found.problem


def test_a_server_that_cannot_hold_it_is_inconclusive(pristine, home, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(
            clusters_module, "server_binaries", lambda *_: refuse("no PostgreSQL 18 server is installed here")
        )
        assert drilled(pristine, home).outcome == "inconclusive"
    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
        found = drilled(pristine, home)
    assert found.outcome == "inconclusive"
    assert "no room" in found.problem


def refuse(text):
    raise Refused(text)


@pytest.mark.skipif(15 not in MAJORS, reason="only Debian's build has ICU")
def test_a_collation_that_is_not_here_is_inconclusive(clusters, tmp_path, home, monkeypatch):
    """The embedded builds have no ICU."""
    cluster, name = clusters(15), "drill_icu"
    with session(cluster.address(), "test") as admin:
        admin.execute(f"create database {name}")
    try:
        with session(cluster.address(name), "test") as connection:
            connection.execute("create collation by_phone (provider = icu, locale = 'de-u-co-phonebk')")
            backup = create_backup(cluster.address(name), tmp_path, environment="case", clock=lambda: MADE)
    finally:
        with session(cluster.address(), "test") as admin:
            admin.execute(f"drop database {name} with (force)")
    real = module.scratch
    monkeypatch.setattr(module, "scratch", lambda _major, *args, **options: real(16, *args, **options))
    found = drilled(backup, home)
    assert (found.outcome, "ICU" in found.problem) == ("inconclusive", True)


def test_a_lost_server_says_nothing_about_the_backup(pristine, home):
    def lose(copy):
        with session(copy, "test") as connection:
            connection.execute("select pg_terminate_backend(pg_backend_pid())")

    assert drilled(pristine, home, between=lose).outcome == "inconclusive"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (BackupError("t has other content"), "failed"),
        (BackupError("pg_restore failed: No space left on device", sqlstate="53100"), "inconclusive"),
        (BackupError('collation "pg_catalog.de-x-icu" for encoding "UTF8" does not exist'), "inconclusive"),
        (BackupError('could not access file "$libdir/postgis-3"'), "inconclusive"),
        (BackupError("invalid LC_COLLATE locale name", sqlstate="42809"), "inconclusive"),
        (Inconclusive("no extension"), "inconclusive"),
        (Refused("no server"), "inconclusive"),
        (Unreachable("gone"), "inconclusive"),
        (OSError(5, "Input/output error"), "inconclusive"),
    ],
)  # fmt: skip
def test_only_the_backup_itself_fails_a_drill(error, outcome):
    assert judged(error)[0] == outcome


def test_how_it_ended_is_kept_beside_the_backup(case, db, address, monkeypatch):
    monkeypatch.setattr("wedsync_db.backup.nightly.registry", no_registry)
    backup = backup_of(address, db, case.installation.home.backups("case"))
    environment = case.installation.environment("case")
    options = {"clock": lambda: MADE + timedelta(days=1)}
    found = drill_environment(case.installation, environment, backup, between=changing("delete from logs"), **options)
    assert found.outcome == "failed"
    assert proven(backup).progress == "failed"
    monkeypatch.setattr(module, "scratch", lambda *_, **__: refuse("no server"))
    assert drill_environment(case.installation, environment, backup, **options).outcome == "inconclusive"
    assert "public.logs has 0 rows instead of 2" in proven(backup).problem  # that is still what is known
    monkeypatch.undo()


def no_registry(_installation, environment):
    from contextlib import nullcontext

    from wedsync_db.history.backups import Registry

    return nullcontext(Registry(environment, None))


def test_data_that_may_not_be_copied_here_is_not(case, pristine):
    from dataclasses import replace

    closed = replace(case.installation.environment("case"), allow_data_copy=False)
    with pytest.raises(Refused, match="does not allow its data to be copied"):
        drill_environment(case.installation, closed, pristine, clock=lambda: MADE)
