"""Every exit code from the command line, run here and by `--remote`, on a Prefect server that answers 503 now and then.

The deployments themselves are in tests/support/both_ways.py; one round of them is enough for all these tests.
"""

from __future__ import annotations

import json
import re

import pytest

from tests.support.both_ways import CODES, NUMBERED, WAYS

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1500)]

TABLE = [
    # what happens                                              direct  remote
    ("done",    "twelve migrations",                                0,      0),
    ("failed",  "a unique violation on the target, not before",     1,      1),
    ("usage",   "the variable with the address is not set",         2,      2),
    ("refused", "it was never deployed where it has to be first",   3,      3),
    ("person",  "a failure after a commit that has no revert",      4,      4),
    ("unknown", "somebody ended our lock, and recovered",           5,      5),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "what", "direct", "remote"), TABLE, ids=[row[0] for row in TABLE])
def test_every_end_has_the_same_exit_code_both_ways(both_ways, kind, what, direct, remote):
    ran = [both_ways.ran[f"{way} {kind}"] for way in WAYS]
    assert [one.code for one in ran] == [direct, remote], ran
    for one in ran:
        answer = json.loads(one.out)
        assert answer.get("exit_code", 0) == one.code
        assert "Traceback" not in one.err


def test_the_table_is_complete():
    assert {row[0]: row[2] for row in TABLE} == CODES
    assert all(direct == remote for *_, direct, remote in TABLE)


def test_the_server_was_as_bad_as_it_should_be(both_ways):
    assert both_ways.busy > 30
    assert both_ways.lost > len(CODES)


def test_nothing_is_started_twice(both_ways):
    """Though the reply to each first request was lost, and two processes asked for the same run at once."""
    remote = {name: n for name, n in both_ways.started.items() if name.startswith("remote_")}
    assert remote.pop("remote_clicked") == 2
    assert remote == dict.fromkeys(remote, 1)
    assert len(remote) == len(CODES) + 2


def test_the_same_key_is_the_same_run(both_ways):
    names = ("remote done", "the same key at once", "the same key later")
    answers = [json.loads(both_ways.ran[name].out) for name in names]
    assert answers[0]["state"] == "Completed"
    assert answers[1:] == answers[:1] * 2
    for name in names:
        assert told(both_ways.ran[name].err) == told(both_ways.ran[names[0]].err)


def told(err: str) -> list[str]:
    """What the terminal got of the run's lines, without those of the client itself."""
    return sorted(line for line in err.splitlines() if not line.startswith(("started as", "the Prefect server")))


def test_every_line_of_the_run_arrives(both_ways):
    ran = both_ways.ran["remote done"]
    logged = "\n".join(both_ways.lines)
    assert told(ran.err) == sorted(logged.splitlines())
    for n in range(1, NUMBERED + 1):
        assert re.search(rf"\b{n:04}_made_{n}\b", ran.err), "planted line"
    assert f"{NUMBERED} migrations deployed" in ran.err
    assert "Finished in state" in ran.err.splitlines()[-1]


def test_a_run_whose_process_is_killed_is_unknown_here_and_undone_there(both_ways):
    assert both_ways.ran["remote crashed"].code == CODES["unknown"]
    assert "ended as Crashed" in both_ways.ran["remote crashed"].err
    assert "reverted 0001_small" in both_ways.hooked, "the hook works where the server asks for a password, too"
    assert both_ways.rows["remote_crashed"] == []


def test_what_is_told_is_true_of_the_target(both_ways):
    for way in WAYS:
        assert len(both_ways.rows[f"{way}_done"]) == NUMBERED
        assert both_ways.rows[f"{way}_person"] == [["0001_stays"]]
        for kind in ("failed", "usage", "refused", "unknown"):
            assert both_ways.rows[f"{way}_{kind}"] == []


def test_two_clicks_deploy_once(both_ways):
    assert both_ways.clicked == ["Completed", "TargetHeld"]
    assert both_ways.rows["remote_clicked"] == [["0001_small"]]


def test_a_form_that_does_not_fit_starts_nothing(both_ways):
    assert both_ways.started_by_that == 0
    assert set(both_ways.turned_down.values()) == {409}, both_ways.turned_down
