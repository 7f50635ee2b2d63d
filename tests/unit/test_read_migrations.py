"""Reading a folder of migrations: what a good one becomes, and that no bad one hides another."""

from __future__ import annotations

import hashlib
import os

import pytest

from wedsync_db.errors import PlanError
from wedsync_db.migrate.files import read_migrations
from wedsync_db.model import Severity
from wedsync_db.postgres.parse import tree_hash


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "migrations"


def write(folder, name, **scripts):
    (folder / name).mkdir(parents=True)
    for script, text in scripts.items():
        data = text if isinstance(text, bytes) else text.encode()
        (folder / name / f"{script}.sql").write_bytes(data)


def rules(findings):
    return sorted(f.rule for f in findings)


def test_a_whole_migration(folder):
    deploy = "-- requires: 0001_a, 0002_b\n-- loses: the notes\n\ncreate table t (a int);\ncreate table u (a int);\n"
    write(folder, "0003_c", deploy=deploy, revert="drop table u, t;", verify="select true", lossless="select 0")
    (migration,), findings = read_migrations(folder)
    assert findings == ()
    assert (migration.id, migration.number) == ("0003_c", 3)
    assert migration.requires == ("0001_a", "0002_b")
    assert migration.loses == "the notes"
    assert migration.transactional
    assert migration.deploy.path == folder / "0003_c" / "deploy.sql"
    assert migration.deploy.sha256 == hashlib.sha256(deploy.encode()).hexdigest()
    assert migration.deploy.tree_hash == tree_hash(deploy)
    assert [s.line for s in migration.deploy.statements] == [4, 5]
    assert (
        len(migration.revert.statements) == len(migration.verify.statements) == len(migration.lossless.statements) == 1
    )


def test_only_deploy_is_required(folder):
    write(folder, "0001_a", deploy="-- transaction: none\nvacuum")
    (migration,), findings = read_migrations(folder)
    assert findings == ()
    assert not migration.transactional
    assert migration.revert is migration.verify is migration.lossless is migration.loses is None


def test_every_bad_file_is_said_at_once(folder):
    write(folder, "0001_a", deploy="selec 1;")
    write(folder, "0002_b", deploy=b"select '\xfcber'")
    write(folder, "0003_c", revert="select 1")
    write(folder, "0004_d", deploy="select 1", revert="select (")
    write(folder, "0005_Bad", deploy="select 1")
    write(folder, "6_short", deploy="select 1")
    write(folder, "0007_g", deploy="-- require: 0001_a\nselect 1", notes="x")
    (folder / "0008_h").mkdir()
    (folder / "0008_h" / "deploy.sql").mkdir()
    (folder / "0009_i").symlink_to("0009_i")
    (folder / "0010_j").mkdir()
    (folder / "0010_j" / "deploy.sql").symlink_to("deploy.sql")
    (folder / "0011_k").mkdir()
    os.mkfifo(folder / "0011_k" / "deploy.sql")
    (folder / "0012_l.sql").write_text("select 1")
    (folder / "README.md").write_text("about")
    (folder / "notes.txt").write_text("about")
    (folder / ".hidden").write_text("")
    migrations, findings = read_migrations(folder)
    assert [m.id for m in migrations] == ["0001_a", "0004_d", "0007_g"]
    said = {(f.path.relative_to(folder).as_posix(), f.rule, f.severity) for f in findings}
    error, warning = Severity.ERROR, Severity.WARNING
    assert said == {
        ("0001_a/deploy.sql", "syntax", error),
        ("0002_b/deploy.sql", "encoding", error),
        ("0003_c", "no-deploy", error),
        ("0004_d/revert.sql", "syntax", error),
        ("0005_Bad", "name", error),
        ("6_short", "name", error),
        ("0007_g/deploy.sql", "header", error),
        ("0007_g/notes.sql", "stray-file", warning),
        ("0008_h/deploy.sql", "unreadable", error),
        ("0009_i", "unreadable", error),
        ("0010_j/deploy.sql", "unreadable", error),
        ("0011_k/deploy.sql", "unreadable", error),
        ("0012_l.sql", "stray-file", error),
        ("notes.txt", "stray-file", warning),
    }


def test_place_of_what_is_not_utf8(folder):
    write(folder, "0001_a", deploy=b"select 1;\nselect 'gr\xfc\xdfe';\n")
    _, (finding,) = read_migrations(folder)
    assert (finding.line, finding.column) == (2, 11)
    assert finding.message == "not UTF-8: byte 0xfc"
    assert finding.excerpt.endswith("\n          ^")


def test_byte_order_mark_is_no_sql(folder):
    write(folder, "0001_a", deploy=b"\xef\xbb\xbfselect 1")
    (migration,), findings = read_migrations(folder)
    assert findings == ()
    assert migration.deploy.statements[0].offset == 0


def test_broken_sql_keeps_its_header(folder):
    write(folder, "0002_b", deploy="-- requires: 0001_a\nselec 1")
    (migration,), _ = read_migrations(folder)
    assert migration.requires == ("0001_a",)
    assert migration.deploy.statements == ()
    assert migration.deploy.tree_hash == ""


def test_two_of_a_number(folder):
    for name in ("0002_b", "0002_a", "0002_c", "0001_a"):
        write(folder, name, deploy="select 1")
    migrations, findings = read_migrations(folder)
    assert [m.id for m in migrations] == ["0001_a", "0002_a", "0002_b", "0002_c"]
    assert [(f.rule, f.migration) for f in findings] == [("duplicate", "0002_b"), ("duplicate", "0002_c")]


def test_missing_folder(folder):
    with pytest.raises(PlanError, match="cannot be read") as caught:
        read_migrations(folder)
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_empty_folder(folder):
    folder.mkdir()
    assert read_migrations(folder) == ((), ())


@pytest.mark.parametrize("broken", [{"revert": "selec 1"}, {"lossless": "selec 1"}, {"lossless": b"select '\xff'"}])
def test_revert_nobody_could_trust_counts_as_none(folder, broken):
    write(folder, "0001_a", **{"deploy": "select 1", "revert": "select 2", "lossless": "select 0"} | broken)
    (migration,), findings = read_migrations(folder)
    assert migration.revert is None
    assert len(findings) == 1
