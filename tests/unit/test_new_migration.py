"""The next migration's folder."""

from __future__ import annotations

import pytest

from wedsync_db.errors import UsageError
from wedsync_db.migrate.files import read_migrations
from wedsync_db.migrate.new import new_migration
from wedsync_db.migrate.plan import make_plan
from wedsync_db.model import Severity


def test_first_and_next(tmp_path, capsys):
    folder = tmp_path / "migrations"
    assert new_migration(folder, "tenancy") == folder / "0001_tenancy"
    (folder / "0041_other").mkdir()
    path = new_migration(folder, "guest_notes", requires=["0001_tenancy", "0041_other"])
    assert path == folder / "0042_guest_notes"
    assert sorted(p.name for p in path.iterdir()) == ["deploy.sql", "revert.sql", "verify.sql"]
    assert (path / "deploy.sql").read_text() == "-- requires: 0001_tenancy, 0041_other\n\n"
    assert capsys.readouterr() == ("", "")


def test_plan_refuses_it_until_it_is_written(tmp_path):
    path = new_migration(tmp_path, "tenancy")
    migrations, findings = read_migrations(tmp_path)
    assert findings == ()
    assert {f.rule for f in make_plan(migrations, (), ()).findings if f.severity is Severity.ERROR} == {"empty"}
    (path / "deploy.sql").write_text((path / "deploy.sql").read_text() + "select 1;")
    migrations, findings = read_migrations(tmp_path)
    assert {f.rule for f in make_plan(migrations, findings, ()).findings} == {"no-revert", "no-verify"}


@pytest.mark.parametrize("name", ["", "Guest", "guest-notes", "1st", "a/b", "../x", "gäste", "a b", "a\n"])
def test_bad_names(tmp_path, name):
    with pytest.raises(UsageError, match="is no migration's name"):
        new_migration(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_name_that_is_there(tmp_path):
    new_migration(tmp_path, "tenancy")
    with pytest.raises(UsageError, match="0001_tenancy is there already"):
        new_migration(tmp_path, "tenancy")


def test_requirement_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="0001_a is required but not in"):
        new_migration(tmp_path, "b", requires=["0001_a"])


def test_no_number_left(tmp_path):
    (tmp_path / "9999_last").mkdir()
    with pytest.raises(UsageError, match="no number left"):
        new_migration(tmp_path, "more")


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be read"):
        new_migration(tmp_path / "file", "a")
    with pytest.raises(UsageError, match="cannot be"):
        new_migration(tmp_path / "file" / "below", "a")
