"""Alerts and silences in the history store: nothing is lost, and nobody is told of what could not be written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from wedsync_db.history.alerts import active_silences, add_silence, load, save, stepped
from wedsync_db.history.store import open_history
from wedsync_db.monitor.alerts import Alert, Phase, Silence
from wedsync_db.monitor.states import Checked, State
from wedsync_db.monitor.thresholds import THRESHOLDS

NOW = datetime(2026, 6, 7, 3, 0, tzinfo=UTC)
FIRING = Alert(
    "blocked", "pid 7", Phase.FIRING, State.UNHEALTHY, NOW, ((NOW, State.DEGRADED), (NOW, State.UNKNOWN)),
    NOW + timedelta(minutes=1), NOW + timedelta(minutes=2), NOW + timedelta(minutes=3),
)  # fmt: skip
BAD = Checked("blocked", State.UNHEALTHY, 61.0, "seconds", ("2 sessions wait",), "pid 8", 10, 60)


@pytest.fixture
def history(address):
    with open_history(address) as connection:
        yield connection


def test_all_of_an_alert_comes_back(history):
    alerts = {("blocked", "pid 7"): FIRING, ("connections", ""): Alert("connections")}
    save(history, "case", alerts)
    save(history, "other", {})
    assert load(history, "case") == alerts
    save(history, "case", {})
    assert load(history, "case") == {}


def test_a_silence_ends(history):
    silence = Silence("blocked", "*", NOW + timedelta(hours=2), "a rebuild", "ann@host")
    add_silence(history, "case", silence)
    assert active_silences(history, "case", NOW) == (silence,)
    assert active_silences(history, "case", silence.until) == active_silences(history, "other", NOW) == ()


def test_nobody_is_told_of_what_could_not_be_written_and_everybody_of_what_was_not_committed(history):
    told = []

    def step(tell=told.append):
        return stepped(history, "case", [BAD], THRESHOLDS, now=NOW, tell=tell)

    history.execute("alter table history.alert add constraint full_disk check (phase = 'quiet')")
    with pytest.raises(psycopg.errors.CheckViolation):
        step()
    assert told == []
    history.execute("alter table history.alert drop constraint full_disk")

    def killed(_notice):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        step(killed)
    step()
    step()
    assert [(notice.what, notice.alert.subject) for notice in told] == [("firing", "pid 8")]
    kept = history.execute("select what, state, subject from history.alert_event").fetchall()
    assert kept == [("firing", told[0].alert.state.value, "pid 8")], "once, and nothing of what was not committed"
