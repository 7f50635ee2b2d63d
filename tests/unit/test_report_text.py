"""What reports say in the terminal and in Prefect's artifacts, compared with golden files."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import values
from tests.support.golden import assert_golden
from wedsync_db.errors import MigrationFailed, PersonNeeded, PlanError, Refused, WedsyncError
from wedsync_db.migrate.plan import require_sound
from wedsync_db.migrate.status import Status
from wedsync_db.model import Finding, Plan, Severity
from wedsync_db.redact import register_secret
from wedsync_db.report.errors import error_json, error_text, unexpected
from wedsync_db.report.markdown import counted, duration, plan_markdown, size, table
from wedsync_db.report.outcome import outcome_line, outcome_markdown
from wedsync_db.report.status import plan_text, rehearsal_text, status_text

OUTCOMES = {
    "deployed": values.deployed(),
    "rolled_back": values.rolled_back(),
    "changed_by_others": values.rolled_back(equal=False),
    "person_needed": values.person_needed(),
}


def planned_error() -> WedsyncError:
    with pytest.raises(PlanError) as caught:
        require_sound(values.plan(values.ERROR, *values.FINDINGS))
    return caught.value


ERRORS = {
    "plain": WedsyncError("it failed"),
    "hint": Refused("the guard refuses: it is Saturday", hint="Wait.\nOr: --override freeze=REASON"),
    "plan": planned_error(),
    "statement": MigrationFailed(
        "0007_names/deploy.sql:3:8: column does not exist (SQLSTATE 42703)",
        hint="Perhaps you meant name.",
        sqlstate="42703",
        excerpt="select nmae\n       ^",
    ),
    "person": PersonNeeded("nothing was reverted", hint="Decide.", at_risk=("12 rows of app.notes", "a column")),
}


# -- plan, rehearsal, status -------------------------------------------------------------------------------------------
def test_plan_as_markdown():
    assert_golden("report/plan.md", plan_markdown(values.plan(values.ERROR, *values.FINDINGS), "staging"))


def test_empty_plan_as_markdown():
    text = plan_markdown(Plan((), (values.entry(1),)), "staging")
    assert text.startswith("# staging: nothing to do\n")
    assert "Findings" not in text
    assert "|" not in text


def test_plan_says_first_how_much_there_is_to_do():
    assert plan_markdown(values.plan(), "staging").startswith("# staging: 3 migrations to deploy\n")


def test_plan_in_the_terminal():
    assert_golden("report/plan.txt", plan_text(values.plan(), "staging"))


def test_plan_with_nothing_to_do_is_one_line():
    applied = Plan((), (values.entry(1),))
    assert plan_text(applied, "demo") == "demo is up to date: 1 migration applied, none pending"


def test_plan_with_nothing_pending_still_tells_what_is_wrong():
    text = plan_text(Plan((), (values.entry(1),), (values.ERROR,)), "demo")
    assert "up to date" not in text
    assert "syntax error" in text


def test_rehearsal_in_the_terminal():
    assert_golden("report/rehearsal.txt", rehearsal_text(values.rehearsal()))


def test_rehearsal_claims_no_licence_that_was_not_given():
    text = rehearsal_text(values.rehearsal(proofs=values.proofs()[1:]))
    assert "exact" not in text.splitlines()[-1]
    assert rehearsal_text(values.rehearsal(proofs=())).endswith("reverts: none")


def status(**more) -> Status:
    known = {"guard": (), "held_by": None, "deployment_by": None, "if_cancelled": "nothing to cancel"}
    return Status(**{"plan": values.plan(), **known, **more})


def test_status_in_the_terminal():
    refusing = Finding("freeze", Severity.ERROR, "it is Saturday", hint="Wait for Monday")
    quiet = Finding("tls", Severity.NOTE, "not asked")
    busy = status(
        guard=(refusing, quiet),
        held_by="wedsync-db/backup (pid 4711, user wedsync)",
        deployment_by="wedsync-db/deployment (pid 4712, user wedsync)",
        if_cancelled="1 of 3 migrations are committed; recover would revert them",
    )
    assert_golden("report/status.txt", status_text(busy, "staging"))


def test_status_of_a_quiet_target():
    assert_golden("report/status_quiet.txt", status_text(status(plan=Plan((), (values.entry(1),))), "staging"))


def test_status_shows_the_newest_of_many():
    text = status_text(status(plan=Plan((), tuple(values.entry(n) for n in range(1, 1001)))), "demo")
    assert "… 990 before" in text
    assert "0990_applied" not in text
    assert "0991_applied" in text
    assert "1000_applied" in text


# -- how a deployment ended --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("end", OUTCOMES)
def test_outcome(end):
    text = f"{outcome_line(OUTCOMES[end])}\n\n{outcome_markdown(OUTCOMES[end], values.backup().path / 'x.html')}"
    assert_golden(f"report/outcome_{end}.md", text)


def test_roll_back_that_only_waits_asks_nobody_to_lose_anything():
    text = outcome_markdown(replace(values.person_needed(), at_risk=()), None)
    assert "`recover staging`" in text
    assert "--accept-loss" not in text


def test_outcome_without_a_report_file():
    assert "full report" not in outcome_markdown(values.deployed(), None)


# -- errors ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ERRORS)
def test_error(name):
    error = ERRORS[name]
    assert_golden(f"report/error_{name}.txt", error_text(error))
    assert_golden(f"report/error_{name}.json", json.dumps(error_json(error), indent=2))


def test_error_keys_are_always_the_same():
    assert len({tuple(error_json(error)) for error in ERRORS.values()}) == 1


def test_error_shows_no_secret():
    register_secret("hunter2-hunter2")
    statement = "create role x password 'of-nobody'"
    error = PlanError(
        "at postgresql://me:hunter2-hunter2@host/db",
        hint="hunter2-hunter2",
        findings=(Finding("a", Severity.ERROR, "hunter2-hunter2", excerpt=statement),),
    )
    for text in (error_text(error), json.dumps(error_json(error))):
        assert "hunter2" not in text
        assert "of-nobody" not in text


def boom():
    raise KeyError("row value of nobody's business")


def test_unexpected_error_tells_the_place_and_not_the_message():
    try:
        boom()
    except KeyError as error:
        found = unexpected(error)
    assert "unexpected KeyError at test_report_text.py:" in found.message
    assert "business" not in error_text(found) + json.dumps(error_json(found))
    assert found.exit_code == 1


def test_unexpected_error_names_our_own_caller():
    with pytest.raises(TypeError) as ours:
        duration("no number")
    assert "at markdown.py:" in unexpected(ours.value).message
    with pytest.raises(ValueError, match="nobody") as theirs:
        table((), [(_Unprintable(),)])
    assert "at test_report_text.py:" in unexpected(theirs.value).message
    assert "called from markdown.py:" in unexpected(theirs.value).message


class _Unprintable:
    def __str__(self):
        raise ValueError("of nobody's business")


def test_unexpected_error_that_was_never_raised():
    assert unexpected(ValueError("x")).message == "unexpected ValueError"


# -- words -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (99.94, "99.9 s"),
        (99.97, "1 min 40 s"),
        (119.6, "2 min 0 s"),
        (3599.4, "59 min 59 s"),
        (3599.7, "1 h 0 min"),
        (7_260, "2 h 1 min"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@given(st.floats(0, 1e6))
def test_duration_never_shows_sixty(seconds):
    assert not {"60 s", "60 min", "1000 ms", "100.0 s"} & {duration(seconds), *duration(seconds).split(" min ")}


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (3.4 * 1024**3, "3.4 GiB"),
        (5 * 1024**4, "5.0 TiB"),
    ],
)
def test_size(count, text):
    assert size(count) == text


def test_counted():
    assert [counted(n, "row") for n in (0, 1, 2, 1200)] == ["0 rows", "1 row", "2 rows", "1,200 rows"]


def test_table_keeps_its_shape_whatever_a_cell_holds():
    lines = table(("a", "b"), [("x|y\nz", "<script>")]).splitlines()
    assert lines == ["| a | b |", "| --- | --- |", "| x\\|y z | &lt;script> |"]
