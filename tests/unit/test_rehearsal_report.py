"""The rehearsal's report as an operator reads it, against golden files."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.golden import assert_golden
from wedsync_db.model import (
    Change,
    HeldLock,
    Licence,
    LockSeen,
    Migration,
    MigrationProof,
    Plan,
    Rehearsal,
    Script,
    TracedStatement,
)
from wedsync_db.report.rehearsal import rehearsal_markdown


def migration(number, name, loses=None):
    script = Script(Path(f"migrations/{name}/deploy.sql"), "select 1", f"{number:064d}", "", ())
    return Migration(name, number, (), True, loses, script, script, None, None)


def proof(name, licence, reasons=(), locks=(), down=0.02):
    return MigrationProof(name, licence, reasons, 1.25, down, 7_340_032, locks, {})


def rehearsal(plan, proofs, **more):
    statements = (
        TracedStatement(
            "0002_seats",
            0,
            4,
            "AlterTableStmt",
            "alter table app.guest\n  alter column seats type bigint using seats::bigint, alter note set default '`|'",
            seconds=1.2,
            rows=0,
            wal_bytes=7_340_032,
            locks=(LockSeen("app.guest", "AccessExclusiveLock", preexisting=True),),
            rewrites=("app.guest",),
            scans=(("app.guest", 50_000),),
        ),
        TracedStatement(
            "0003_fill", 0, 1, "UpdateStmt", "update app.org set a = 1", seconds=0.05, rows=90, wal_bytes=300
        ),
    )
    return Rehearsal(
        plan.hash,
        "20260607T143000Z-4f2a",
        180004,
        "f" * 64,
        Change({"table:app.guest": ("a", "b"), "index:app.i": (None, "x")}),
        proofs,
        statements,
        seconds=12.34,
        **more,
    )


def mixed():
    plan = Plan((migration(2, "0002_seats"), migration(3, "0003_fill"), migration(4, "0004_late")), ())
    held = (
        HeldLock("app.org", "RowExclusiveLock", 0.05),
        HeldLock("app.guest", "AccessExclusiveLock", 1.2),
        HeldLock("app.log", "ShareLock", 3.0),
    )
    proofs = (
        proof("0002_seats", Licence.WEAKER, ("index app.i is left over", "a | b"), held),
        proof("0003_fill", Licence.NONE, ("there is no revert.sql",), down=None),
    )
    return rehearsal(
        plan, proofs, complete=False, notes=("0002_seats: app.log: no row of the new release was tried",)
    ), plan


def good():
    plan = Plan((migration(2, "0002_seats"),), ())
    return rehearsal(plan, (proof("0002_seats", Licence.EXACT),)), plan


def nothing():
    plan = Plan((), ())
    return Rehearsal(plan.hash, None, 150018, "f" * 64, Change({}), (), (), seconds=3.0), plan


@pytest.mark.parametrize("case", [mixed, good, nothing])
def test_the_report_reads_as_agreed(case):
    assert_golden(f"rehearsal/{case.__name__}.md", rehearsal_markdown(*case()))


def statement(line, seconds, **more):
    return TracedStatement("0002_seats", line, line, "X", f"select {line}", seconds, 0, 0, **more)


def test_of_many_statements_the_ones_that_matter_are_shown():
    """Those through whole tables however quick, and the slowest; in the order in which they run."""
    quick = [statement(n, 0.001) for n in range(100, 200)]
    slow = [statement(n, 1.0) for n in range(200, 230)]
    scan = statement(1, 0.0, scans=(("app.guest", 1_000),))
    rewrite = statement(999, 0.0, rewrites=("app.guest",))
    plan = Plan((migration(2, "0002_seats"),), ())
    found = replace(good()[0], statements=(scan, *quick, *slow, rewrite))
    text = rehearsal_markdown(found, plan)
    shown = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| 0002_seats:")]
    assert len(shown) == 20
    assert (shown[0], shown[-1]) == ("0002_seats:1", "0002_seats:999")
    assert all(s.startswith("0002_seats:2") for s in shown[1:-1])
    assert "- 0002_seats:1 reads all 1,000 rows of `app.guest`" in text
    assert "- 0002_seats:999 **rewrites** `app.guest`" in text
    assert "112 quicker statements left out." in text


def test_nobody_waits_for_a_table_that_the_plan_makes():
    found, plan = mixed()
    text = rehearsal_markdown(replace(found, expected=Change({"table:app.guest": (None, "b")})), plan)
    waiting = text.partition("## Who would wait")[2].partition("##")[0]
    assert "app.guest" not in waiting
    assert "app.log" in waiting


def test_a_table_that_many_migrations_lock_in_one_mode_has_one_line():
    found, plan = mixed()
    lock = HeldLock("app.guest", "AccessExclusiveLock", 2.5)
    twice = (found.proofs[0], replace(found.proofs[1], locks=(lock,)))
    text = rehearsal_markdown(replace(found, proofs=twice), plan)
    assert "| `app.guest` | **everybody** | 2.5 s | AccessExclusive | 0003_fill, 1 more |" in text
    assert text.count("AccessExclusive |") == 1


def test_a_note_that_names_every_table_is_cut():
    found, plan = mixed()
    tables = ", ".join(f"app.t{n} (SQLSTATE 23502)" for n in range(100))
    *_, note = rehearsal_markdown(replace(found, notes=(f"0002_seats: reverted without {tables}",)), plan).splitlines()
    assert note.startswith("- 0002_seats: reverted without app.t0")
    assert note.endswith(" …")
    assert len(note) < 210


def test_what_was_not_rehearsed_is_not_said_to_stop_no_reader():
    found, plan = mixed()
    assert "No reader" not in rehearsal_markdown(replace(found, proofs=found.proofs[1:]), plan)
