"""What weddings that are near come to, by what the migrations do."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.support.applying import migration
from wedsync_db.guard.impact import Impact, Reason, Work, work_planned, work_rehearsed
from wedsync_db.guard.window import Verdict, Window, weigh
from wedsync_db.migrate.plan import make_plan
from wedsync_db.model import (
    Change,
    HeldLock,
    Licence,
    LockSeen,
    MigrationProof,
    Rehearsal,
    Severity,
    TracedStatement,
)

LONDON = ZoneInfo("Europe/London")
OPENS = datetime(2027, 6, 13, 5, 0, tzinfo=UTC)
NEAR = Window(Verdict.RESTRICTED, ("3 weddings are locked",), 3, 7, OPENS, OPENS)
DROPS = Reason(Impact.DESTRUCTIVE, "0021_tidy", "takes away column public.guests.phone")


# -- the window --------------------------------------------------------------------------------------------------------
def test_an_open_window_says_nothing():
    window = Window(Verdict.OPEN, (), 0, 0, None, None)
    assert list(weigh(window, (DROPS,), 0, LONDON)) == []


@pytest.mark.parametrize(
    ("heavy", "allowed", "severity", "said"),
    [
        ((), 3, Severity.NOTE, "3 weddings are locked; what these migrations do, nobody notices"),
        ((), 2, Severity.ERROR, "3 weddings are locked (7 suppliers), and 2 may be while migrations run"),
        (
            (DROPS,),
            1_000_000,
            Severity.ERROR,
            "3 weddings are locked, and 0021_tidy is destructive: it takes away column public.guests.phone",
        ),
    ],
)
def test_additive_work_may_meet_some_weddings_and_other_work_none(heavy, allowed, severity, said):
    (found,) = weigh(NEAR, heavy, allowed, LONDON)
    assert (found.rule, found.severity, found.message) == ("weddings", severity, said)
    assert found.hint == ("" if severity is Severity.NOTE else "No wedding is near from Sun 2027-06-13 06:00 BST on")


def test_a_closed_window_is_closed_for_everything():
    reasons = ("a wedding is locked", "it is Saturday in Australia/Sydney")
    (found,) = weigh(replace(NEAR, verdict=Verdict.CLOSED, reasons=reasons), (), 1_000_000, LONDON)
    assert found.severity is Severity.ERROR
    assert found.message == "a wedding is locked, and it is Saturday in Australia/Sydney"


@pytest.mark.parametrize(
    ("window", "hint"),
    [
        (
            replace(NEAR, next_open=None),
            "For two weeks there is always a wedding near; the first lock ends on Sun 2027-06-13 06:00 BST",
        ),
        (
            Window(Verdict.CLOSED, ("the platform takes no writes: x",), 0, 0, None, None),
            "Ask who closed the platform, and when it opens",
        ),
    ],
)
def test_the_hint_says_what_clears_it(window, hint):
    (found,) = weigh(window, (), 0, LONDON)
    assert found.hint == hint


# -- what the migrations do --------------------------------------------------------------------------------------------
def plan(*statements):
    pending = [migration(f"{n:04}_m", text) for n, text in enumerate(statements, 1)]
    return make_plan(pending, (), ())


def kinds(work: Work):
    return [(r.impact, r.migration) for r in work.reasons]


@pytest.mark.parametrize(
    ("statement", "impact"),
    [
        ("create table public.t (id int)", None),
        ("alter table public.t add column c int", None),
        ("create index i on public.t (c)", None),  # how long nobody can write, only the rehearsal knows
        ("alter table public.t alter column c type bigint", None),
        ("drop table public.t", Impact.DESTRUCTIVE),
        ("truncate public.t", Impact.DESTRUCTIVE),
        ("alter table public.t drop column c", Impact.DESTRUCTIVE),
        ("alter table public.t rename column c to d", Impact.DESTRUCTIVE),
        ("drop schema s cascade", Impact.DESTRUCTIVE),
    ],
)
def test_before_the_rehearsal_only_what_is_certain_counts(statement, impact):
    assert kinds(work_planned(plan(statement))) == ([(impact, "0001_m")] if impact else [])


def test_what_its_author_says_it_loses_is_destructive():
    only = replace(migration("0001_m", "select 1"), loses="the old spelling")
    assert work_planned(make_plan([only], (), ())).reasons == (
        Reason(Impact.DESTRUCTIVE, "0001_m", "loses the old spelling"),
    )


def proof(name="0001_m", seconds=0.1, licence=Licence.EXACT, locks=(), change=None):
    return MigrationProof(name, licence, (), seconds, seconds, 0, tuple(locks), {}, Change(change or {}))


def traced(kind="UpdateStmt", mode="RowExclusiveLock", rewrites=(), name="0001_m"):
    seen = (LockSeen("public.t", mode, preexisting=True),)
    return TracedStatement(name, 0, 1, kind, "", 0.1, 1, 0, seen, tuple(rewrites))


def rehearsal(*proofs, statements=(), expected=None, complete=True):
    return Rehearsal("", None, 0, "", Change(expected or {}), proofs, tuple(statements), 0.0, complete=complete)


def judged(made, *, of=None, pending=None, together=False):
    chosen = of or plan("select 1")
    left = chosen.pending if pending is None else pending
    return work_rehearsed(chosen, made, left, brief_seconds=0.5, together=together)


def lock(mode, seconds):
    return HeldLock("public.t", mode, seconds)


@pytest.mark.parametrize(
    ("mode", "seconds", "kind", "is_locking"),
    [
        ("AccessExclusiveLock", 0.5, "AlterTableStmt", False),
        ("AccessExclusiveLock", 0.6, "AlterTableStmt", True),
        ("ShareLock", 0.6, "IndexStmt", True),
        ("ShareRowExclusiveLock", 0.6, "AlterTableStmt", True),
        ("ShareUpdateExclusiveLock", 600, "IndexStmt", False),  # CONCURRENTLY: nobody waits
        ("RowExclusiveLock", 0.6, "UpdateStmt", True),
        ("RowExclusiveLock", 0.6, "DoStmt", True),
        ("RowExclusiveLock", 600, "InsertStmt", False),  # nobody waits for rows that were not there
    ],
)
def test_a_lock_counts_if_a_request_would_notice(mode, seconds, kind, is_locking):
    made = rehearsal(proof(locks=[lock(mode, seconds)]), statements=[traced(kind, mode)])
    assert kinds(judged(made)) == ([(Impact.LOCKING, "0001_m")] if is_locking else [])


def test_migrations_that_commit_together_hold_their_locks_together():
    two = plan("select 1", "select 1")
    made = rehearsal(proof("0001_m", 0.3, locks=[lock("ShareLock", 0.3)]), proof("0002_m", 0.3))
    assert kinds(judged(made, of=two, together=True)) == [(Impact.LOCKING, "0001_m")]
    assert kinds(judged(made, of=two, together=False)) == []


def test_a_rewrite_is_one_however_short_unless_the_table_is_new():
    made = rehearsal(proof(), statements=[traced(rewrites=["public.t"])])
    assert kinds(judged(made)) == [(Impact.REWRITING, "0001_m")]
    new = rehearsal(
        proof(locks=[lock("AccessExclusiveLock", 9)]),
        statements=[traced(rewrites=["public.t"])],
        expected={"table:public.t": (None, "{}")},
    )
    assert kinds(judged(new)) == []


def test_what_is_gone_afterwards_was_taken_away():
    gone = {"column:public.t.c": ("{}", None), "index:public.i": ("{}", None)}
    made = rehearsal(proof(change=gone), expected=gone)
    assert [r.why for r in judged(made).reasons] == ["takes away column public.t.c"]
    only_index = {"index:public.i": ("{}", None)}
    assert judged(rehearsal(proof(change=only_index), expected=only_index)).reasons == ()
    made_and_dropped = rehearsal(proof(change={"table:public.t": ("{}", None)}))
    assert judged(made_and_dropped).reasons == ()


def test_what_no_revert_brings_back_is_destructive():
    assert kinds(judged(rehearsal(proof(licence=Licence.WEAKER)))) == [(Impact.DESTRUCTIVE, "0001_m")]


def test_a_rehearsal_that_measured_nothing_clears_nobody():
    """Of another major, or without data: then a suspicion counts, and a licence that nobody could give does not."""
    indexing = plan("create index i on public.t (c)")
    assert kinds(judged(rehearsal(proof()), of=indexing)) == []
    weaker = rehearsal(proof(licence=Licence.NONE), complete=False)
    assert kinds(judged(weaker, of=indexing)) == [(Impact.LOCKING, "0001_m")]


def test_only_what_is_left_counts_and_all_of_it_would_be_rolled_back():
    two = plan("drop table public.t", "select 1")
    made = rehearsal(proof("0001_m", 2.0), proof("0002_m", 3.0), statements=[traced(rewrites=["public.u"])])
    assert judged(made, of=two).reasons != ()
    assert judged(made, of=two, pending=two.pending[1:]) == Work(3.0, 5.0, ())
