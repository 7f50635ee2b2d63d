"""The daily report out of a real history store: the verb, what it says where something is missing, what it keeps."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta

import pytest

from flows.__main__ import main
from tests.support.case import write_settings
from tests.support.history_days import DAY, NOW, deployments, known_days, sizes, write_days
from wedsync_db.errors import Unreachable, UsageError
from wedsync_db.history.daily import known
from wedsync_db.history.store import open_history
from wedsync_db.installation import NoHistoryYet
from wedsync_db.monitor.states import State
from wedsync_db.report.daily import page
from wedsync_db.report.daily.make import make_report


@pytest.fixture
def store(case, address, monkeypatch):
    """A history store on the test's own server, with two made-up days in it."""
    url = f"postgresql://{address.user}@/{address.dbname}?host={address.host}"
    monkeypatch.setenv("WEDSYNC_HISTORY_URL", url)
    monkeypatch.setitem(case.installation.environ, "WEDSYNC_HISTORY_URL", url)
    file = write_settings(case.folder)
    file.write_text(file.read_text() + '\n[history]\nurl_env = "WEDSYNC_HISTORY_URL"\n')
    with open_history(address) as connection:
        write_days(connection, "case", 2)
        yield connection


def test_what_was_written_is_what_is_known(store):
    found, made = known(store, "case", NOW - 2 * DAY, NOW), known_days(2, "case")
    assert found.problems == ()
    columns = list(made.fast.columns)
    assert set(columns) <= set(found.fast.columns)
    assert found.fast[columns].equals(made.fast[columns])
    assert found.tables == made.tables
    assert [one.id for one in found.deployments] == [deployments()[-1].id]
    assert [(one.started_at, one.outcome, set(one.work)) for one in found.nights] == [
        (one.started_at, one.outcome, set(one.work)) for one in made.nights
    ]
    assert found.nights[-1].work["vacuum", "done"] == (7, pytest.approx(353.0))
    assert [(b.id, b.state, b.stored_bytes) for b in found.backups] == [
        (b.id, b.state, b.stored_bytes) for b in made.backups
    ]
    assert [(t.rule, t.what) for t in found.told] == [("blocked", "firing")]
    assert list(found.sizes) == list(sizes(days=20))
    assert known(store, "other", NOW - 2 * DAY, NOW).fast.empty


def test_a_part_that_cannot_be_read_is_said_and_the_others_are_there(store):
    store.execute("drop table history.maintenance_work; alter table history.backup rename column state to how")
    found = known(store, "case", NOW - DAY, NOW)
    assert found.problems == (
        "backups cannot be read: UndefinedColumn 42703",
        "nights cannot be read: UndefinedTable 42P01",
    )
    assert not found.fast.empty
    assert found.deployments


def test_page_is_written_private_and_old_ones_go(case, store):
    old = case.installation.home.reports / "case" / "daily" / f"{NOW - timedelta(days=61):%Y-%m-%d}.html"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    made = make_report(case.installation, "case", days=2, clock=lambda: NOW)
    assert made.path == old.with_name("2026-06-12.html")
    assert [p.name for p in old.parent.iterdir()] == ["2026-06-12.html"]
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    text = made.path.read_text()
    assert "No data 11 Jun 03:10–04:20." in text
    assert "no complete backup is known" in text, "looked at as it is now"
    assert "not-a-secret" not in text
    assert "Not available: extension pg_stat_statements is not in this database." in text
    assert made.summary.state is not State.HEALTHY


@pytest.fixture
def undrawn(monkeypatch):
    """Without pictures, which take a second: they are tried where they are looked at."""
    monkeypatch.setattr(page, "pictures", lambda _picture: ("", ""))


@pytest.mark.usefixtures("undrawn")
def test_verb(case, store, tmp_path, capsys):
    file = tmp_path / "page.html"
    assert main(["report", "case", "--days", "3", "--output", str(file), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["page"] == str(file)
    assert said["status"] in {"degraded", "unhealthy"}, "no backup was ever made here"
    assert file.read_text().startswith("<!doctype html>")
    assert main(["report", "case", "--output", str(tmp_path / "no" / "such" / "page.html")]) == 2
    assert "the report cannot be written to" in capsys.readouterr().err
    assert main(["report", "cas"]) == 2
    assert main(["report", "case", "--days", "0"]) == 2


@pytest.mark.usefixtures("undrawn")
def test_what_is_missing_is_a_clear_error_or_a_page(case, store, monkeypatch):
    monkeypatch.setitem(case.installation.environ, "WEDSYNC_CASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    made = make_report(case.installation, "case", days=2, clock=lambda: NOW)
    assert made.summary.state is State.UNHEALTHY
    assert made.summary.attention[0].runbook == "reachable"
    monkeypatch.delitem(case.installation.environ, "WEDSYNC_CASE_URL")
    made = make_report(case.installation, "case", days=2, clock=lambda: NOW)
    assert "The database was not looked at: " in made.summary.attention[-1].text
    monkeypatch.setitem(case.installation.environ, "WEDSYNC_HISTORY_URL", "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(Unreachable):
        make_report(case.installation, "case", days=2, clock=lambda: datetime.now(UTC))
    write_settings(case.folder)
    with pytest.raises(NoHistoryYet, match="there is no history store yet"):
        make_report(case.installation, "case", days=2, clock=lambda: datetime.now(UTC))
    with pytest.raises(UsageError, match="1 to 90 days"):
        make_report(case.installation, "case", days=91, clock=lambda: datetime.now(UTC))
