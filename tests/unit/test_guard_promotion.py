"""What another environment's ledger and journal say, and whether that is enough."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.applying import migration
from wedsync_db.guard.promotion import LoadTrial, Promotion, Trial, judge, judge_load
from wedsync_db.model import DeploymentStatus, Severity

ONE, TWO = migration("0001_one", "select 1"), migration("0002_two", "select 2")
TRIED = {m.id: Trial(m.deploy.sha256, DeploymentStatus.DONE) for m in (ONE, TWO)}


def said(trials, pending=(ONE, TWO)):
    return [(f.rule, f.severity, f.message, f.hint) for f in judge(Promotion("staging", pending, trials))]


def test_what_was_deployed_and_verified_there_may_come():
    assert said(TRIED) == []
    assert said({}, pending=()) == []
    assert said({**TRIED, "0003_more": Trial("f" * 64, None)}) == []  # what it has besides is its own affair


@pytest.mark.parametrize(
    ("trial", "why"),
    [
        (None, "is not applied on staging"),
        (Trial("f" * 64, DeploymentStatus.DONE), "is another text than the one applied on staging"),
        (Trial(TWO.deploy.sha256, None), "was not deployed to staging, it came there with a copy"),
        (
            Trial(TWO.deploy.sha256, DeploymentStatus.RUNNING),
            "was not verified on staging, its deployment there is running",
        ),
        (
            Trial(TWO.deploy.sha256, DeploymentStatus.PERSON_NEEDED),
            "was not verified on staging, its deployment there is person needed",
        ),
    ],
)
def test_one_that_was_not_stops_all(trial, why):
    trials = {name: one for name, one in {**TRIED, TWO.id: trial}.items() if one}
    message = f"1 of 2 pending migrations cannot be promoted from staging: 0002_two {why}"
    assert said(trials) == [("promotion", Severity.ERROR, message, "Deploy exactly these files to staging first")]


def test_layout_counts_too():
    """The contract is the bytes: what was tried is what comes."""
    again = replace(ONE, deploy=replace(ONE.deploy, sha256="e" * 64))  # of the same tree
    assert "another text" in said(TRIED, pending=(again,))[0][2]


def test_many_are_counted_and_some_named():
    many = [replace(ONE, id=f"{n:04}_m") for n in range(1, 6)]
    ((_, _, message, _),) = said({}, pending=many)
    assert message == (
        "5 of 5 pending migrations cannot be promoted from staging: 0001_m is not applied on staging;"
        " 0002_m is not applied on staging; 0003_m is not applied on staging; and 2 more"
    )


def test_what_is_not_known_does_not_pass():
    (found,) = judge(Promotion("staging", (ONE,), TRIED, unknown="no route to host"))
    assert found.severity is Severity.ERROR
    assert found.message == "it is not known what was deployed to staging: no route to host"
    assert found.hint == "Make staging reachable from here"


LOADED = frozenset((m.id, m.deploy.sha256) for m in (ONE, TWO))


@pytest.mark.parametrize(
    ("load", "why"),
    [
        (LoadTrial("peak", "PASS", LOADED), None),
        (LoadTrial("peak", "PASS", LOADED | {("0000_more", "f" * 64)}), None),
        (LoadTrial("peak"), "there was no load test peak of staging"),
        (LoadTrial("peak", "FAIL", LOADED), "the load test peak of staging did not pass, it ended as FAIL"),
        (LoadTrial("peak", "INVALID", LOADED), "the load test peak of staging did not pass, it ended as INVALID"),
        (
            LoadTrial("peak", "PASS", frozenset({(ONE.id, ONE.deploy.sha256), (TWO.id, "f" * 64)})),
            "the load test peak of staging passed without 0002_two as it is now",
        ),
        (
            LoadTrial("peak", unknown="no store"),
            "it is not known whether the load test peak of staging passed: no store",
        ),
        (None, "it is not known whether staging passed a load test: nobody asked"),
    ],
)
def test_a_load_test_counts_with_exactly_these_files(load, why):
    found = [(f.rule, f.message) for f in judge_load(Promotion("staging", (ONE, TWO), TRIED, load=load))]
    assert found == ([] if why is None else [("load-test", why)])


def test_with_nothing_pending_no_load_test_is_asked_for():
    assert list(judge_load(Promotion("staging"))) == []
