"""A backup that is encrypted: nothing of it can be read without the key, and with it everything comes back."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from flows.__main__ import main
from tests.support.broken import lay_base
from tests.support.case import write_settings
from tests.support.majors import every_major
from wedsync_db.backup.dump import create_backup
from wedsync_db.backup.keys import Key
from wedsync_db.backup.readable import readable, require_sealed
from wedsync_db.backup.restore import restore_new
from wedsync_db.backup.store import check_files, list_backups, read_backup
from wedsync_db.errors import BackupError, Inconclusive
from wedsync_db.postgres.session import session

KEY, OTHER = Key("aaaa", b"a" * 32), Key("bbbb", b"b" * 32)


@pytest.fixture
def backup(address, db, tmp_path):
    """An encrypted backup with a word in it that nobody may read."""
    db.execute("create table t as select g, 'ORCHID' || g as word from generate_series(1, 1000) g")
    db.execute("comment on table t is 'ORCHID'")
    return create_backup(address, tmp_path / "backups", environment="demo", key=KEY)


@every_major
def test_it_comes_back_with_the_key_and_nothing_of_it_lies_about(backup, cluster, db, address, home):
    assert all(name.endswith(".enc") for name in backup.manifest.files)
    stored = [path.read_bytes() for path in backup.path.rglob("*") if path.is_file()]
    assert not any(b"ORCHID" in content or KEY.secret in content for content in stored)
    assert read_backup(backup.path) == backup
    check_files(backup)
    with readable(backup, [OTHER, KEY], home.scratch) as plain:
        assert oct(plain.path.parent.stat().st_mode & 0o777) == "0o700"
        copy = restore_new(plain, cluster.address(), f"{address.dbname}_copy")
    assert list(home.scratch.iterdir()) == []
    with session(copy, "test") as connection:
        assert connection.execute("select count(*) from t where word ~ 'ORCHID'").fetchone() == (1000,)
    db.execute(f"drop database {copy.dbname} with (force)")


def test_without_the_key_nothing_is_restored(backup, cluster, home):
    with pytest.raises(BackupError, match="encrypted with key aaaa"):
        restore_new(backup, cluster.address(), "never")
    with pytest.raises(Inconclusive, match="key aaaa, which is not here"), readable(backup, [OTHER], home.scratch):
        pass
    with (
        pytest.raises(BackupError, match="was not written with key aaaa"),
        readable(backup, [Key("aaaa", OTHER.secret)], home.scratch),
    ):
        pass


def test_a_manifest_that_was_changed_without_the_key_is_found(backup):
    require_sealed(backup, [KEY])
    path = backup.path / "manifest.json"
    from wedsync_db.backup.manifest import dump_manifest

    changed = replace(backup.manifest, environment="another")
    seal = json.loads(path.read_text())["seal"]
    path.write_text(dump_manifest(changed, lambda _: seal))  # its own checksum is right
    (listed,) = list_backups(backup.path.parent)
    check_files(listed)
    with pytest.raises(BackupError, match=r"manifest .* was not written with key"):
        require_sealed(listed, [KEY])
    path.write_text(dump_manifest(changed))
    with pytest.raises(BackupError, match="was not written with key"):
        require_sealed(listed, [KEY])


def test_what_a_newer_program_encrypted_is_inconclusive(backup, home):
    newer = replace(backup.manifest, encryption=replace(backup.manifest.encryption, method="newer"))
    with pytest.raises(Inconclusive, match="newer"), readable(replace(backup, manifest=newer), [KEY], home.scratch):
        pass


def test_no_room_to_decrypt_is_inconclusive(backup, home, monkeypatch):
    monkeypatch.setattr("wedsync_db.backup.encryption.shutil.disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(Inconclusive, match="No space left"), readable(backup, [KEY], home.scratch):
        pass
    assert list(home.scratch.iterdir()) == []


def test_the_verbs_use_the_key_and_say_when_it_is_missing(case, monkeypatch, capsys):
    write_settings(case.folder, more='backup_key_env = "CASE_KEY"')
    lay_base(case)
    assert main(["rehearse", "case"]) == 2
    assert "CASE_KEY, which is not set" in capsys.readouterr().err
    monkeypatch.setenv("CASE_KEY", base64.b64encode(KEY.secret).decode())
    assert main(["rehearse", "case"]) == 0
    (backup,) = list_backups(case.installation.home.backups("case"))
    assert backup.manifest.encryption
    assert list(case.installation.home.scratch.iterdir()) == []
    admin = case.admin
    monkeypatch.setenv(
        "WEDSYNC_CASE_URL", f"postgresql://{admin.user}@/{admin.dbname}?host={admin.host}&port={admin.port}"
    )
    name = f"{admin.dbname}_copy"
    assert main(["restore", "case", "newest", "--database", name, "--confirm", "case", "--reason", "to look"]) == 0
    with session(admin, "test") as connection:
        connection.execute(f"drop database {name} with (force)")
    assert list(case.installation.home.scratch.iterdir()) == []
