"""Thresholds: read as they are written, and refused where they mean nothing."""

import pytest

from wedsync_db.errors import UsageError
from wedsync_db.load.criteria import Criterion, read_criteria


def read(**table):
    return read_criteria(table, scripts={"submit", "dashboard"}, phases={"steady", "spike"})


def test_they_are_read():
    found = read_criteria(
        {"response_ms": ["p(95)<50 @steady", "avg <= 20"], "errors{script=submit}": ["rate<0.001"]},
        scripts={"submit"},
        phases={"steady"},
    )
    assert found == (
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
        ("response_ms", "p95<50", "nobody can read"),
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
    ],
)
def test_what_means_nothing_is_refused(key, text, said):
    with pytest.raises(UsageError, match=said) as caught:
        read(**{key: [text]})
    assert caught.value.hint
