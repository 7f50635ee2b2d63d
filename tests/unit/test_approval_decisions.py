"""What an answer comes to, whose it is, and what a person was shown before giving it."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks import approve
from tests.support import values
from tests.support.case import write_settings
from wedsync_db.cli import terminal
from wedsync_db.errors import Refused
from wedsync_db.migrate.deployment import runner_name
from wedsync_db.model import Approval, Known, Proof
from wedsync_db.redact import register_secret
from wedsync_db.report.approval import approval_line, approval_markdown, approval_text

UNTIL = datetime(2026, 6, 7, 15, 30, tzinfo=UTC)
PROOF = values.deployed().proof
USER = {"state": {"created_by": {"type": "USER", "display_value": "ada@example.org"}}}


def answer(approve_it: str, name="Ada", reason="in June") -> approve.Decision:
    return approve.Decision(approve=approve_it, name=name, reason=reason)


def decided(decision, run):
    return approve.decided("case", PROOF, decision, run)


@pytest.mark.parametrize(
    "run",
    [
        {},
        {"state": None},
        {"state": {"created_by": None}},
        {"state": {"created_by": {"type": "DEPLOYMENT", "display_value": "nightly"}}},
        {"created_by": {"type": "USER", "display_value": "who started it"}, "state": {}},
    ],
)
def test_a_name_counts_as_typed_where_the_api_does_not_know_who_answered(run):
    assert decided(answer("yes", " Ada \n Lovelace "), run) == Approval("Ada Lovelace", Known.TYPED, "in June")


def test_the_signed_in_user_counts_and_not_what_was_typed():
    assert decided(answer("yes", "somebody else"), USER) == Approval("ada@example.org", Known.SIGNED_IN, "in June")


def test_a_no_is_refused_with_its_reason():
    with pytest.raises(Refused, match=r"^Ada said no to plan \w{12} of case: in June$") as caught:
        decided(answer("no"), {})
    assert "Nothing was touched" in caught.value.hint


def test_a_secret_in_the_reason_is_not_kept():
    register_secret("hunter2-hunter2")
    assert "hunter2" not in decided(answer("yes", reason="it is hunter2-hunter2"), {}).reason


def test_the_form_says_who_waits_what_runs_and_what_the_answer_is_bound_to():
    page = approval_markdown(PROOF, "production", UNTIL)
    assert page.startswith("# Deploy 3 migrations to production?\n")
    assert PROOF.plan.hash[:12] in page
    assert PROOF.rehearsal.fingerprint_before[:12] in page
    assert "by 15:30 on 07 June UTC" in page
    for migration in PROOF.plan.pending:
        assert page.count(migration.id) >= 2, "in the plan and in the licences"
    for lock in (lock for proof in PROOF.rehearsal.proofs for lock in proof.locks):
        assert f"| `{lock.relation}` |" in page
    assert "On the restored copy the migrations took" in page


def test_a_weaker_rehearsal_is_said_first():
    weaker = Proof(PROOF.plan, PROOF.backup, replace(PROOF.rehearsal, complete=False, notes=("no <data>",)))
    page = approval_markdown(weaker, "production", UNTIL)
    assert page.index("weaker than it should be") < page.index("## What runs")
    assert "- no &lt;data>" in page


def test_the_terminal_shows_plan_locks_and_licences():
    shown = approval_text(PROOF, "case")
    for proof in PROOF.rehearsal.proofs:
        assert f"{proof.migration}: revert {proof.licence}" in shown
    assert "locks app.guests" in shown


def test_line_of_an_approval():
    assert approval_line(Approval("Ada", Known.TYPED, "June")) == "approved by Ada (name as typed into the form): June"
    assert approval_line(Approval("ada", Known.TERMINAL)) == "approved by ada (on the terminal, by this login)"


@pytest.fixture
def asking(tmp_path, monkeypatch):
    """An environment that asks, in a run whose server is a temporary one."""
    (tmp_path / "migrations").mkdir()
    monkeypatch.setenv("WEDSYNC_ENVIRONMENTS", str(write_settings(tmp_path, "approval = true")))
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        yield


@pytest.fixture
def types(monkeypatch):
    """Sit at a terminal and type; called in the test itself, as pytest puts its own streams there before."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "r", closefd=False) as keys, os.fdopen(theirs, "w", closefd=False) as screen:

        def go(text: str) -> None:
            monkeypatch.setattr(sys, "stdin", keys)
            monkeypatch.setattr(sys, "stderr", screen)
            os.write(ours, text.encode())

        yield go
    os.close(theirs)
    os.close(ours)


@pytest.mark.usefixtures("asking")
def test_where_nobody_can_be_asked_it_is_refused(monkeypatch):
    monkeypatch.setattr(terminal, "can_ask", lambda: False)
    with pytest.raises(Refused, match="nobody is there to ask") as caught:
        approve.approve.fn("case", PROOF)
    assert "--yes" in caught.value.hint
    assert approve.approve.fn("case", PROOF, yes=True).known is Known.IN_ADVANCE


@pytest.mark.usefixtures("asking")
def test_on_a_terminal_the_environments_name_is_typed(types):
    types(" case \n")
    assert approve.approve.fn("case", PROOF) == Approval(runner_name(), Known.TERMINAL)


@pytest.mark.usefixtures("asking")
@pytest.mark.parametrize("typed", ["yes\n", "\n", "case_each\n", "\x04"])
def test_anything_else_on_the_terminal_is_a_no(types, typed):
    types(typed)
    with pytest.raises(Refused, match="was not approved"):
        approve.approve.fn("case", PROOF)


@pytest.mark.usefixtures("asking")
def test_no_answer_on_the_terminal_is_a_no(types, monkeypatch):
    types("")
    monkeypatch.setattr(approve, "_MINUTE_SECONDS", 0)
    with pytest.raises(Refused, match=r"nobody approved plan .* within 60 minutes"):
        approve.approve.fn("case", PROOF)
