"""A scenario as pgbench's scripts, and pgbench's log as what our own engine measures."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from tests.support.load_runs import CRITERIA, SCENARIO, summed
from wedsync_db.errors import UsageError
from wedsync_db.load.criteria import Criterion
from wedsync_db.load.engines import fitted
from wedsync_db.load.pgbench_log import STATES, read_log
from wedsync_db.load.pgbench_script import Step, script_text, steps_of, weights_of
from wedsync_db.load.rounds import judged
from wedsync_db.load.run import LoadTest
from wedsync_db.load.schedule import Phase
from wedsync_db.load.scripts import Draw, Script
from wedsync_db.report.load.text import load_text

STEP = Step(5.0, 2.0, 20.0)
BEGAN = 1_000_000  # Unix time


def line(due, lag, took, script=0, word=None, client=3):
    """As pgbench writes it: `took` and `lag` in microseconds from when it was due, in seconds from the begin."""
    end = round((BEGAN + due) * 1e6) + (lag if word else took)
    return b"%d 7 %b %d %d %d %d\n" % (client, word or b"%d" % took, script, end // 10**6, end % 10**6, lag)


def even(many, until=2.0, threads=1):
    return b"".join(line(threads * 0.1 * (n + 1), 100, 900) for n in range(many) if n < until / (0.1 * threads))


def test_a_script_is_what_is_drawn_and_one_message():
    text = "select ':user', 'a;b'; -- not; here\nselect :n -- nor: here\n;"
    script = Script("read", 1, text, {"n": Draw(1, 6), "few": Draw(1, 9, "few")})
    scenario = replace(SCENARIO, users=50, tenants=7, prelude="-- who\nselect set_config('a', '' || :tenant, true);")
    assert script_text(script, scenario).splitlines() == [
        r"\set user random(0, 49)",
        r"\set tenants 7",
        r"\set tenant :user % :tenants",
        r"\set n random(1, 6)",
        r"\set few random_zipfian(1, 9, 1.1)",
        "select set_config('a', '' || :tenant, true)",
        r"\;",
        "select ':user', 'a;b'",
        r"\;",
        "select :n -- nor: here",
        ";",
    ]


def test_shares_are_whole_numbers_and_none_is_nothing():
    scripts = [Script(str(share), share, "select 1;", {}) for share in (0.5, 0.25, 1e-9)]
    assert weights_of(scripts) == (6667, 3333, 1)


def test_a_ramp_is_a_few_steps_with_as_many_arrivals():
    phases = (Phase("level", 4, 10, 10), Phase("rise", 10, 0, 100), Phase("short", 1, 100, 0))
    steps = steps_of(phases)
    assert [step.rate for step in steps] == [10, 10, 30, 50, 70, 90, 50]
    assert [step.begin for step in steps] == [0, 4, 6, 8, 10, 12, 14]
    assert sum(step.rate * step.seconds for step in steps) == sum(phase.arrivals for phase in phases)


def test_a_line_is_an_arrival():
    log = line(0.1, 50, 850) + line(0.2, 0, 400, script=1)
    found = read_log([log], Step(0, 0.3, 10.0), 1, (1, 1), seed=1)
    assert list(found.due.round(6)) == [0.1, 0.2], "the first one is due a mean distance after the begin"
    assert (list(found.waited), list(found.service)) == ([50, 0], [800, 400])
    assert (list(found.script), list(found.code)) == ([0, 1], [0, 0])


@pytest.mark.parametrize(("word", "state"), [(b"serialization", "40001"), (b"deadlock", "40P01")])
def test_a_failed_transaction_is_an_error(word, state):
    found = read_log([line(0.1, 50, 850) + line(0.2, 60, 0, word=word)], Step(0, 0.3, 10.0), 1, (1,), seed=1)
    assert [None if code == 0 else STATES[code - 1] for code in found.code] == [None, state]
    assert list(found.due.round(6)) == [0.1, 0.2]


def test_a_client_that_was_free_and_began_late_was_woken_late():
    first = line(0.1, 90_000, 150_000, client=0) + line(0.1, 200, 300_000, client=1)  # until 0.25, and until 0.4
    then = line(0.2, 50_000, 60_000, client=0) + line(0.5, 40_000, 50_000, client=1)
    found = read_log([first + then], Step(0, 0.6, 10.0), 1, (1,), seed=1)
    assert list(found.due.round(6)) == [0.1, 0.1, 0.2, 0.5]
    assert list(found.late) == [True, True, False, True], "the third waited for a client"


def test_what_a_thread_never_began_is_dropped():
    """One of two threads was held up after a second: five arrivals a second are its part."""
    log = even(10, threads=2)
    held_up = even(2, threads=2)
    step = Step(0, 3.0, 10.0)
    found = read_log([log + b"".join(line(2.2 + 0.2 * n, 0, 900) for n in range(4)), held_up], step, 2, (1,), seed=1)
    dropped = found.due[found.code == -1]
    assert len(dropped) == 13
    assert dropped.min() > 0.4
    assert (np.diff(found.due) >= 0).all()
    assert (found.service[found.code == -1] == -1).all()


@pytest.mark.parametrize("logs", [[], [b"", b""], [b"3 7 9"]])
def test_a_step_without_an_answer_was_dropped_as_a_whole(logs):
    found = read_log(logs, STEP, 2, (1, 3), seed=1)
    assert (len(found.due), set(found.code)) == (40, {-1})
    assert set(found.script) == {0, 1}


def test_what_is_due_after_a_step_that_ends_within_a_second_is_not_of_it():
    found = read_log([even(20)], Step(0, 0.55, 10.0), 1, (1,), seed=1)
    assert list(found.due.round(6)) == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_a_step_in_which_nobody_comes_is_empty():
    assert len(read_log([], Step(0, 5.0, 0.0), 2, (1,), seed=1).due) == 0


def test_what_pgbench_cannot_judge_is_said_and_not_passed():
    leaks, aborting = Criterion("leaks", "count", "==", 0, text="leaks: count==0"), replace(CRITERIA[0], abort=True)
    said = []
    asked = fitted(replace(SCENARIO, criteria=(leaks, aborting)), "pgbench", said.append)
    assert asked.criteria == (CRITERIA[0],)
    assert said == [
        "not judged, as pgbench looks at no rows: leaks: count==0",
        "nothing ends a run early, as pgbench tells no percentile while it runs",
    ]
    assert fitted(SCENARIO, "threads", pytest.fail) is SCENARIO
    with pytest.raises(UsageError, match="pgbench can judge nothing of s"):
        fitted(replace(SCENARIO, criteria=(leaks,)), "pgbench")
    for other in ({"connect": "each"}, {"connections": "pgbouncer", "clients": 10}):
        with pytest.raises(UsageError, match="pgbench does not do s"):
            fitted(replace(SCENARIO, **other), "pgbench")


def test_who_reads_a_pass_by_pgbench_is_told_what_it_did_not_see():
    runs = (summed(), summed())
    at = datetime(2026, 11, 21, tzinfo=UTC)
    test = LoadTest("case", SCENARIO, "PostgreSQL 18", 1, at, (), runs, judged(SCENARIO, runs), engine="pgbench")
    assert "sent by pgbench, which looks at no rows" in load_text(test)
    assert "pgbench" not in load_text(replace(test, engine="threads"))
