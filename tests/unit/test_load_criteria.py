"""Thresholds: read as they are written, and refused where they mean nothing."""

import pytest

from wedsync_db.errors import UsageError
from wedsync_db.load.criteria import Criterion, read_criteria


def read(**table):
    return read_criteria(table, scripts={"submit", "dashboard"}, phases={"steady", "spike"}).criteria


def test_they_are_read():
    found = read_criteria(
        {"response_ms": ["p(95)<50 @steady", "avg <= 20"], "errors{script=submit}": ["rate<0.001"]},
        scripts={"submit"},
        phases={"steady"},
    )
    assert found.criteria == (
        Criterion("response_ms", "p", "<", 50, 95, "steady"),
        Criterion("response_ms", "avg", "<=", 20),
        Criterion("errors", "rate", "<", 0.001, script="submit"),
    )


@pytest.mark.parametrize(
    ("op", "good", "bad"), [("<", 49.9, 50), ("<=", 50, 50.1), (">", 50.1, 50), (">=", 50, 49), ("==", 50, 51)]
)
def test_they_hold(op, good, bad):
    (one,) = read(response_ms=[f"p(95){op}50"])
    assert one.holds(good)
    assert not one.holds(bad)


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("response", "p(95)<50", "no such metric: response"),
        ("response_ms", "p<50", "has no p"),
        ("response_ms", "p95", "nobody can read"),
        ("response_ms", "fast", "nobody can read"),
        ("response_ms", "p(95)<1.2.3", "nobody can read"),
        ("response_ms", "rate<1", "has no rate"),
        ("response_ms", "p(0)<1", "above 0"),
        ("response_ms", "p(101)<1", "above 0"),
        ("errors", "p(95)<1", "has no p"),
        ("response_ms", "p(95)<50 @night", "no phase night"),
        ("response_ms{script=login}", "p(95)<50", "no script login"),
        ("response_ms{phase=steady}", "p(95)<50", "not told apart by phase"),
        ("pool_util{script=submit}", "avg<0.8", "not told apart by script"),
        ("recovery_s", "value<30", "after which phase"),
        ("recovery_s{phase=night}", "value<30", "no phase night"),
        ("recovery_s{phase=spike}", "value<30", "needs to know what good is"),
        ("baseline.response_ms", "p(50)<1.1", "compares nothing"),
        ("baseline.service_ms", "p(50) ratio<1.1", "compares nothing"),
        ("response_ms", "p(50) ratio<1.1", "compares nothing"),
        ("response_ms", {"window_seconds": 10}, "expr is missing"),
        ("response_ms", {"expr": "p(95)<9", "window": 10}, "unknown key 'window'; did you mean 'window_seconds'"),
        ("errors", {"expr": "rate<0.1", "window_seconds": 10}, "only times of all scripts have a window"),
        ("response_ms", {"expr": "p(99)<9", "abort": True}, r"tells about p\(95\)"),
        ("response_ms", {"expr": "p(95)<9 @steady", "abort": True}, r"whatever its phase"),
    ],
)
def test_what_means_nothing_is_refused(key, text, said):
    with pytest.raises(UsageError, match=said) as caught:
        read(**{key: [text]})
    assert caught.value.hint


def test_a_window_a_grace_and_an_end_before_the_time():
    (one,) = read(
        response_ms=[{"expr": "p(95)<1000", "window_seconds": 10, "grace_seconds": 15, "abort": True}],
    )
    assert (one.window, one.grace, one.abort, one.limit) == (10, 15, True, 1000)


def test_what_is_compared_with_earlier_tests_is_told_apart():
    found = read_criteria(
        {"response_ms": ["p(95)<50"], "baseline.response_ms": ["p(50) ratio<1.10", "p(95) ratio<1.25"]},
        scripts={"submit"},
        phases={"steady"},
    )
    assert [one.metric for one in found.criteria] == ["response_ms"]
    assert [(one.percent, one.limit) for one in found.comparisons] == [(50, 1.10), (95, 1.25)]


def test_what_is_good_after_a_phase_is_known_from_the_response():
    found = read(**{"recovery_s{phase=spike}": ["value<30"], "response_ms": ["p(95)<50 @steady"]})
    assert (found[0].phase, found[0].metric, found[0].limit) == ("spike", "recovery_s", 30)
