"""A disk that is full, at the server or here: the target ends exactly before, or after where only a page is missing."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime

import pytest
from psycopg import sql

from tests.support.applying import QUICK, Target
from tests.support.broken import good, lay_base
from tests.support.case import write_settings
from tests.support.cutting import apply_unrehearsed
from tests.support.small_disk import fill, small_disk
from tests.support.writer import writing
from wedsync_db.backup.dump import create_backup
from wedsync_db.backup.store import check_files, list_backups
from wedsync_db.errors import BackupError, Inconclusive, WedsyncError
from wedsync_db.migrate.deployment import read_plan, take_fingerprint
from wedsync_db.migrate.files import read_migrations
from wedsync_db.migrate.prove import prove
from wedsync_db.migrate.recover import recover
from wedsync_db.postgres.account import owner
from wedsync_db.postgres.cluster import scratch, start, stop
from wedsync_db.postgres.session import session

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

# 40 MB that do not get smaller, on the target and in its write-ahead log
BIG = (
    "create table public.big as select n, md5(n::text) || repeat(md5((-n)::text), 29) as t"
    " from generate_series(1, 40000) n;"
)


def deploy() -> WedsyncError | None:
    """Run the flow; the error it ended with, or None."""
    from flows.deploy import deploy as flow

    result = flow("case", return_state=True).result(raise_on_failure=False)
    if isinstance(result, BaseException) and not isinstance(result, WedsyncError):
        raise result
    return result if isinstance(result, WedsyncError) else None


def applied(case) -> set[str]:
    return {e.id for e in read_plan(case.address, case.installation.environment("case")).applied}


@pytest.fixture
def small_target(cluster, case):
    """The case's database on a disk of 24 MB."""
    with small_disk(24) as disk:
        place = disk / "space"
        place.mkdir()
        account = owner(cluster.data)
        if account:
            shutil.chown(place, account.pw_uid, account.pw_gid)
        name = sql.Identifier(case.address.dbname)
        with session(cluster.address(), "test-admin", statement_timeout_ms=0) as admin:
            admin.execute(sql.SQL("create tablespace small location {}").format(str(place)))
            admin.execute(sql.SQL("alter database {} set tablespace small").format(name))
        yield case
        with session(cluster.address(), "test-admin", statement_timeout_ms=0) as admin:
            admin.execute(sql.SQL("drop database {} with (force)").format(name))
            admin.execute("drop tablespace small")


def test_the_targets_disk_fills_up_in_a_migration(small_target, prefect_server, record_property):
    case = small_target
    write_settings(case.folder)
    lay_base(case)
    apply_unrehearsed(case.address, case.installation.environment("case"))
    before = take_fingerprint(case.address)
    good(case, 2)
    case.migration("0003_big", BIG, "drop table public.big;")
    with writing(case.address) as acknowledged:
        error = deploy()
    assert error is not None
    assert (error.exit_code, error.sqlstate) == (1, "53100"), error
    assert "room" in error.hint
    assert before.change_to(take_fingerprint(case.address)).objects == {}
    assert applied(case) == {"0001_base"}
    with session(case.admin, "test") as connection:
        assert acknowledged.lost(connection) == []
    record_property("faults", "full disk: ended before")


def test_the_disk_of_the_servers_log_fills_up(tmp_path, record_property):
    """The server ends itself; with room and a start, nothing is left to recover but the journal's row."""
    with small_disk(80) as disk, scratch(18, settings={"synchronous_commit": "on"}) as cluster:
        stop(cluster)
        wal = cluster.data / "pg_wal"
        shutil.copytree(wal, disk / "pg_wal")
        account = owner(cluster.data)
        for path in [disk / "pg_wal", *(disk / "pg_wal").rglob("*")]:
            shutil.chown(path, account.pw_uid, account.pw_gid)
        shutil.rmtree(wal)
        wal.symlink_to(disk / "pg_wal")
        start(cluster, {"fsync": "off"})
        target = Target(cluster.address(), tmp_path / "migrations")
        target.sql("create table public.writes (id bigint primary key, value text not null)")
        target.write("0001_small", "create table public.small (id int);")
        target.write("0002_big", BIG)
        with writing(target.address) as acknowledged:
            while len(acknowledged.values) < 20:
                time.sleep(0.01)
            target.begin()
            before = take_fingerprint(target.address)
            ballast = fill(disk)
            with pytest.raises(WedsyncError) as caught:
                target.apply()
            assert caught.value.exit_code in (1, 5)
            stop(cluster, "immediate")
            ballast.unlink()
            start(cluster, {"fsync": "off"})
            migrations, _ = read_migrations(target.folder)
            recover(target.address, migrations, locks=QUICK, say=print, clock=lambda: datetime.now(UTC))
        assert before.change_to(take_fingerprint(target.address)).objects == {}
        assert target.applied() == []
        assert target.sql("select status from wedsync_db.deployment") == [("rolled_back",)]
        with session(target.address, "test") as connection:
            assert acknowledged.lost(connection) == []
    record_property("faults", "full disk: ended before")


def test_the_disk_of_the_backups_fills_up(case, record_property):
    lay_base(case)
    with small_disk(8) as disk:
        earlier = create_backup(case.address, disk / "backups", environment="case")
        with session(case.address, "test") as connection:
            connection.execute(BIG.replace("repeat(md5((-n)::text), 29)", DIGESTS).replace("40000", "20000"))
        with pytest.raises(BackupError) as caught:
            create_backup(case.address, disk / "backups", environment="case")
        assert "No space left on device" in caught.value.message
        assert "room" in caught.value.hint
        assert list_backups(disk / "backups") == (earlier,)
        check_files(earlier)
        assert sorted(p.name for p in (disk / "backups").iterdir()) == [".lock", earlier.id]
    record_property("faults", "full disk: ended before")


# nothing that could be packed
DIGESTS = "(select string_agg(md5((n * 100 + k)::text), '') from generate_series(1, 29) k)"


@pytest.mark.parametrize("megabytes", [20, 100])
def test_the_disk_of_the_rehearsal_fills_up(case, megabytes, record_property):
    """While the server is made, or in a migration: that says nothing about the migrations."""
    lay_base(case)
    good(case, 2)
    case.migration("0003_big", BIG, "drop table public.big;")
    environment = case.installation.environment("case")
    plan = read_plan(case.address, environment)
    backup = create_backup(case.address, case.installation.home.backups("case"), environment="case")
    before = take_fingerprint(case.address)
    with small_disk(megabytes) as disk:
        with pytest.raises(Inconclusive) as caught:
            prove(
                case.address, environment, plan, backup, scratch_parent=disk, clock=lambda: datetime.now(UTC),
                say=print, progress=print,
            )  # fmt: skip
        assert caught.value.exit_code == 5
        assert "room" in caught.value.hint
        assert list(disk.iterdir()) == [], "a copy of the data must not stay"
    assert before.change_to(take_fingerprint(case.address)).objects == {}
    record_property("faults", "full disk: ended before")


def test_a_full_disk_for_reports_fails_no_deployment(case, prefect_server, record_property):
    write_settings(case.folder)
    lay_base(case)
    with small_disk(1, at=case.installation.home.ensure().reports) as disk:
        fill(disk)
        assert deploy() is None
        assert [p.name for p in disk.rglob("*") if p.is_file()] == ["ballast"], "no half a page"
    assert applied(case) == {"0001_base"}
    record_property("faults", "full disk: ended after")
