"""What a message says, and what kind of event an end is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from wedsync_db.errors import Displaced, Inconclusive, MigrationFailed, PersonNeeded, Refused, TargetHeld
from wedsync_db.migrate.recover import Recovery
from wedsync_db.model import DeploymentStatus, Event
from wedsync_db.report.notice import Notice, event_of_end, event_of_recovery, started_text

DONE = Recovery("d", DeploymentStatus.DONE, "finished")
UNDONE = Recovery("d", DeploymentStatus.ROLLED_BACK, "undone")


def test_a_message_is_one_line_and_its_page():
    notice = Notice("production", Event.ROLLED_BACK, "first line\n  second\tline ", "http://prefect/runs/1")
    assert notice.subject == "production: rolled back"
    assert notice.body == "first line second line\nhttp://prefect/runs/1"
    assert Notice("production", Event.DONE, "text").body == "text"


def test_every_event_has_words():
    assert len({Notice("x", event, "").subject for event in Event}) == len(Event)


def test_secrets_are_hidden_before_the_text_is_cut():
    secret = "hunter2" * 20
    body = Notice("x", Event.FAILED, f"{'long ' * 95}postgresql://u:{secret}@h/d").body
    assert len(body) <= 500
    assert "hunter2" not in body
    assert Notice("x", Event.FAILED, "y" * 501).body == "y" * 499 + "…"
    assert Notice("x", Event.FAILED, "y" * 500).body == "y" * 500


@pytest.mark.parametrize(
    ("name", "error", "event"),
    [
        ("RolledBack", MigrationFailed("x"), Event.ROLLED_BACK),
        ("RollbackFailed", Inconclusive("x"), Event.PERSON_NEEDED),
        ("PersonNeeded", PersonNeeded("x"), Event.PERSON_NEEDED),
        ("Displaced", Displaced("x"), Event.PERSON_NEEDED),
        ("Refused", Refused("x"), Event.FAILED),
        ("TargetHeld", TargetHeld("x"), Event.FAILED),
        ("Failed", None, Event.FAILED),
    ],
)
def test_what_an_end_is_to_those_who_wait(name, error, event):
    assert event_of_end(name, error) is event


@pytest.mark.parametrize(
    ("done", "event"),
    [((), Event.FAILED), ((DONE,), Event.DONE), ((UNDONE,), Event.ROLLED_BACK), ((DONE, UNDONE), Event.ROLLED_BACK)],
)
def test_what_became_of_an_interrupted_deployment(done, event):
    assert event_of_recovery(done) is event


def test_a_start_says_what_is_deployed():
    plan = SimpleNamespace(pending=[SimpleNamespace(id="0001_a"), SimpleNamespace(id="0002_b")])
    assert started_text(plan) == "2 migrations to deploy: 0001_a, 0002_b"
