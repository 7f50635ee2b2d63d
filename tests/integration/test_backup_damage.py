"""Every damage to a backup's files is found before the first row is restored; pg_restore alone misses many."""

import shutil
from functools import cache

import pytest

from tests.support.majors import every_major
from wedsync_db.backup import dump
from wedsync_db.backup.dump import create_backup
from wedsync_db.backup.restore import restore_backup, restore_new
from wedsync_db.backup.store import check_files, list_backups, read_backup
from wedsync_db.errors import BackupError
from wedsync_db.postgres.programs import client_programs
from wedsync_db.postgres.session import session

ROWS = "create table t as select g as id, md5(g::text) as m from generate_series(1, 2000) g; create table u as table t"


def codecs(major):
    """What pg_dump of this machine can compress with, and no compression."""
    return [*sorted(client_programs(major, need_ssl=False).codecs), "none"]


@pytest.fixture(scope="module")
def pristine(clusters, tmp_path_factory):
    """For each major, a backup of the same rows with each codec; made once, never changed."""

    @cache
    def of(major):
        server, folder = clusters(major).address(), tmp_path_factory.mktemp(f"pristine{major}")
        options = {**dict(dump._CODECS), "none": "0"}
        with session(server, "test") as admin, pytest.MonkeyPatch.context() as patch:
            admin.execute("create database damage_source")
            try:
                with session(server.with_database("damage_source"), "test") as connection:
                    connection.execute(ROWS)
                for codec in codecs(major):
                    patch.setattr(dump, "_CODECS", (("gzip", options[codec]),))
                    create_backup(server.with_database("damage_source"), folder / codec, environment="demo")
            finally:
                admin.execute("drop database damage_source with (force)")
        return folder

    return of


@pytest.fixture
def backups(pristine, major, tmp_path):
    """Copies of the backups of this major, by codec, to be damaged."""
    shutil.copytree(pristine(major), tmp_path / "backups")
    return {codec: list_backups(tmp_path / "backups" / codec)[0] for codec in codecs(major)}


def table_file(backup):
    return max((backup.path / "data").glob("*.dat*"), key=lambda path: path.stat().st_size)


def flip(path, share):
    content = bytearray(path.read_bytes())
    content[int((len(content) - 1) * share)] ^= 0x10
    path.write_bytes(content)


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def cut_at_line(path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) // 2]))


FAULTS = {
    "cut to nothing": lambda backup: cut(table_file(backup), 0),
    "cut in the middle": lambda backup: cut(table_file(backup), 0.5),
    "cut at a line's end": lambda backup: cut_at_line(table_file(backup)),
    "one bit at the start": lambda backup: flip(table_file(backup), 0.01),
    "one bit in the middle": lambda backup: flip(table_file(backup), 0.5),
    "one bit at the end": lambda backup: flip(table_file(backup), 1),
    "a table's file missing": lambda backup: table_file(backup).unlink(),
    "a bit of the table of contents": lambda backup: flip(backup.path / "data" / "toc.dat", 0.5),
    "no table of contents": lambda backup: (backup.path / "data" / "toc.dat").unlink(),
    "roles changed": lambda backup: flip(backup.path / "globals.json", 0.5),
    "fingerprint cut": lambda backup: cut(backup.path / "fingerprint.json", 0.9),
    "a file more": lambda backup: (backup.path / "data" / "9999.dat").write_bytes(b"1\n"),
    "a link instead": lambda backup: _link(table_file(backup)),
}


def _link(path):
    path.rename(path.parent.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent.parent / "elsewhere")


@pytest.mark.parametrize("fault", FAULTS)
@every_major
def test_no_row_of_a_damaged_backup_is_restored(backups, cluster, address, db, fault):
    target = f"{address.dbname}_damaged"
    db.execute(f"create database {target}")
    try:
        for codec, backup in backups.items():
            check_files(backup)
            FAULTS[fault](backup)
            with pytest.raises(BackupError, match="damaged: ") as caught:
                restore_backup(backup, cluster.address(target))
            assert any(part in caught.value.message for part in ("data/", ".json")), codec
        with session(cluster.address(target), "test") as connection:
            assert connection.execute("select count(*) from pg_class where relname = 't'").fetchone() == (0,)
    finally:
        db.execute(f"drop database {target}")


def test_a_damaged_backup_makes_no_new_database(backups, cluster, db, address):
    backup = backups["gzip"]
    flip(table_file(backup), 0.5)
    with pytest.raises(BackupError, match="damaged"):
        restore_new(backup, cluster.address(), f"{address.dbname}_copy")
    query = "select count(*) from pg_database where datname = %s"
    assert db.execute(query, (f"{address.dbname}_copy",)).fetchone() == (0,)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_flipped_bit_in_the_manifest_itself_is_found(backups, tmp_path, share):
    backup = backups["gzip"]
    flip(backup.path / "manifest.json", share)
    said = []
    assert list_backups(tmp_path / "backups" / "gzip", say=said.append) == ()
    assert backup.id in said[0]
    with pytest.raises(BackupError):
        read_backup(backup.path)
