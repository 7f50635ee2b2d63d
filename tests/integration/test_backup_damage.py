"""Every damage to a backup's files is found before the first row is restored; pg_restore alone misses many."""

import shutil
from functools import cache

import pytest

from tests.support.majors import every_major
from wedsync_db.backup import dump
from wedsync_db.backup.dump import create_backup
from wedsync_db.backup.keys import Key
from wedsync_db.backup.readable import readable
from wedsync_db.backup.restore import restore_backup, restore_new
from wedsync_db.backup.store import check_files, list_backups, read_backup
from wedsync_db.errors import BackupError
from wedsync_db.postgres.programs import client_programs
from wedsync_db.postgres.session import session

ROWS = (
    "create table t as select g as id, md5(g::text) as m from generate_series(1, 2000) g;"
    "create table u as select id, reverse(m) as m from t;"
    "select lo_from_bytea(70001, decode(repeat('00ff', 500), 'hex'))"
)
KEY = Key("aaaa", b"a" * 32)


def kinds(major):
    """What pg_dump of this machine can compress with, no compression, and encrypted."""
    return [*sorted(client_programs(major, need_ssl=False).codecs), "none", "encrypted"]


@pytest.fixture(scope="module")
def pristine(clusters, tmp_path_factory):
    """For each major, a backup of the same rows of each kind; made once, never changed."""

    @cache
    def of(major):
        server, folder = clusters(major).address(), tmp_path_factory.mktemp(f"pristine{major}")
        options = {**dict(dump._CODECS), "none": "0", "encrypted": "1"}
        with session(server, "test") as admin, pytest.MonkeyPatch.context() as patch:
            admin.execute("create database damage_source")
            try:
                with session(server.with_database("damage_source"), "test") as connection:
                    connection.execute(ROWS)
                for kind in kinds(major):
                    patch.setattr(dump, "_CODECS", (("gzip", options[kind]),))
                    key = KEY if kind == "encrypted" else None
                    source = server.with_database("damage_source")
                    create_backup(source, folder / kind, environment="demo", key=key)
            finally:
                admin.execute("drop database damage_source with (force)")
        return folder

    return of


@pytest.fixture
def backups(pristine, major, tmp_path):
    """Copies of the backups of this major, by kind, to be damaged."""
    shutil.copytree(pristine(major), tmp_path / "backups")
    return {kind: list_backups(tmp_path / "backups" / kind)[0] for kind in kinds(major)}


@pytest.fixture(scope="module")
def targets(clusters):
    """An empty database on each major, in which nothing may ever appear."""
    made = {}

    def of(major):
        if major not in made:
            made[major] = clusters(major)
            with session(made[major].address(), "test") as admin:
                admin.execute("create database damage_target")
        return made[major].address("damage_target")

    yield of
    for server in made.values():
        with session(server.address(), "test") as admin:
            admin.execute("drop database damage_target with (force)")


def table_files(backup):
    """The largest first."""
    return sorted((backup.path / "data").glob("*.dat*"), key=lambda path: (-path.stat().st_size, path.name))


def table_file(backup):
    return next(path for path in table_files(backup) if path.name[0].isdigit())


def large_object(backup):
    return next((backup.path / "data").glob("blob_70001*"))


def flip(path, share):
    content = bytearray(path.read_bytes())
    content[int((len(content) - 1) * share)] ^= 0x10
    path.write_bytes(content)


def cut(path, share=0.0, last=0):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - last if last else int(len(content) * share)])


def cut_at_line(path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) // 2]))


def swap(one, other):
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


def change_two(path):
    """Two bits, so that a sum would be the same."""
    content = bytearray(path.read_bytes())
    content[30] ^= 1
    content[31] ^= 1
    path.write_bytes(content)


def beside(backup, name):
    """A file beside the data, whatever it is called when it is encrypted."""
    return next(path for path in backup.path.glob(f"{name}*"))


FAULTS = {
    "cut to nothing": lambda backup: cut(table_file(backup)),
    "cut after the first bytes": lambda backup: cut(table_file(backup), 0.01),
    "cut in the middle": lambda backup: cut(table_file(backup), 0.5),
    "cut at a line's end": lambda backup: cut_at_line(table_file(backup)),
    "the last byte missing": lambda backup: cut(table_file(backup), last=1),
    "one bit at the start": lambda backup: flip(table_file(backup), 0.01),
    "one bit after a quarter": lambda backup: flip(table_file(backup), 0.25),
    "one bit in the middle": lambda backup: flip(table_file(backup), 0.5),
    "one bit after three quarters": lambda backup: flip(table_file(backup), 0.75),
    "one bit at the end": lambda backup: flip(table_file(backup), 1),
    "two bits": lambda backup: change_two(table_file(backup)),
    "a table's file missing": lambda backup: table_file(backup).unlink(),
    "two tables' files swapped": lambda backup: swap(*table_files(backup)[:2]),
    "a large object cut to nothing": lambda backup: cut(large_object(backup)),
    "one bit of a large object": lambda backup: flip(large_object(backup), 0.5),
    "a large object missing": lambda backup: large_object(backup).unlink(),
    "a bit of the table of contents": lambda backup: flip(beside(backup, "data/toc.dat"), 0.5),
    "no table of contents": lambda backup: beside(backup, "data/toc.dat").unlink(),
    "roles changed": lambda backup: flip(beside(backup, "globals.json"), 0.5),
    "fingerprint cut": lambda backup: cut(beside(backup, "fingerprint.json"), 0.9),
    "a file more": lambda backup: (backup.path / "data" / "9999.dat").write_bytes(b"1\n"),
    "a link instead": lambda backup: _link(table_file(backup)),
}


def _link(path):
    path.rename(path.parent.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent.parent / "elsewhere")


def test_there_are_enough_of_them():
    assert len(FAULTS) * len(kinds(18)) >= 46


@pytest.mark.parametrize("fault", FAULTS)
@every_major
def test_no_row_of_a_damaged_backup_is_restored(backups, targets, major, fault, home, record_property):
    target = targets(major)
    for kind, backup in backups.items():
        check_files(backup)
        FAULTS[fault](backup)
        with pytest.raises(BackupError, match="damaged: ") as caught, readable(backup, [KEY], home.scratch) as plain:
            restore_backup(plain, target)
        assert any(part in caught.value.message for part in ("data/", ".json")), kind
    with session(target, "test") as connection:
        assert connection.execute("select count(*) from pg_class where relname in ('t', 'u')").fetchone() == (0,)
        assert connection.execute("select count(*) from pg_largeobject_metadata").fetchone() == (0,)
    record_property("damaged backups", {"caught before the first row was loaded": len(backups)})


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
