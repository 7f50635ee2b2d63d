"""What a pgbouncer's answers come to: sums, the worst pool, and never a zero that nobody said."""

from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.monitor.console import Answers
from wedsync_db.monitor.metrics import Metric
from wedsync_db.monitor.pooler import OTHERS, Pooler, judged, pooler_of
from wedsync_db.monitor.states import State
from wedsync_db.monitor.thresholds import limits

LIMITS = limits({})
# as 1.18 has it, and as versions before 1.16 and after 1.22 do, with columns fewer or more
NEW = ("cl_active", "cl_waiting", "sv_active", "sv_being_canceled", "sv_idle", "sv_used", "sv_tested", "sv_login")
OLD = tuple(name for name in NEW if name != "sv_being_canceled")
counts = st.integers(0, 500)


def pool(database, user="app", columns=NEW, maxwait="0", **given_counts):
    row = dict.fromkeys(columns, "0") | {name: str(value) for name, value in given_counts.items()}
    return {
        "database": database,
        "user": user,
        "maxwait": maxwait,
        "maxwait_us": "0",
        "pool_mode": "transaction",
        **row,
    }


def database(name, size=20, paused="0"):
    return {"name": name, "pool_size": str(size), "paused": paused}


def answered(pools, databases=(), stats=(), lists=(), config=(), problems=()):
    tables = {"version": ({"version": "PgBouncer 1.18.0"},), "pools": tuple(pools), "databases": tuple(databases)}
    return Answers("answered", tables | {"stats": stats, "lists": lists, "config": config}, problems)


def value(pooler, name, of=None):
    label = (("database", of),) if of else ()
    (found,) = [v for m, v in pooler.values.items() if m.name == name and m.labels == label]
    return found


@given(st.lists(st.tuples(st.sampled_from("ab"), counts, counts, counts, st.sampled_from([NEW, OLD])), max_size=12))
def test_the_pools_of_a_database_are_summed_and_the_worst_is_told(given_pools):
    rows = [
        pool(name, f"user{number}", columns, maxwait=str(waiting), cl_active=active, cl_waiting=waiting, sv_active=busy)
        for number, (name, active, waiting, busy, columns) in enumerate(given_pools)
    ]
    found = pooler_of(answered(rows, [database("a"), database("b", 50), database("never_used")]))
    for name, size in (("a", 20), ("b", 50)):
        mine = [one for one in given_pools if one[0] == name]
        if not mine:
            assert not any(m.labels == (("database", name),) for m in found.values)
            continue
        assert value(found, "pooler_clients_active", name) == sum(one[1] for one in mine)
        assert value(found, "pooler_clients_waiting", name) == sum(one[2] for one in mine)
        assert value(found, "pooler_wait", name) == max(one[2] for one in mine)
        assert value(found, "pooler_used", name) == max(one[3] for one in mine) / size


@given(st.integers(1, 200))
def test_labels_are_bounded_and_nothing_is_lost(many):
    found = pooler_of(answered([pool(f"db{number}", cl_active=number) for number in range(many)]))
    names = {dict(m.labels).get("database") for m in found.values} - {None}
    assert len(names) == min(many, 51)
    assert (OTHERS in names) == (many > 50)
    total = sum(v for m, v in found.values.items() if m.name == "pooler_clients_active")
    assert total == sum(range(many))


def test_what_it_does_not_say_is_unknown_and_never_zero():
    row = pool("a", cl_waiting=3)
    row["cl_active"] = "?"
    del row["maxwait"]
    found = pooler_of(answered([row], [database("a", 0)]))
    assert value(found, "pooler_clients_active", "a") is None
    assert value(found, "pooler_clients_waiting", "a") == 3
    assert value(found, "pooler_wait", "a") is None
    assert value(found, "pooler_used", "a") is None
    assert value(found, "pooler_clients") is None
    assert {one.state for one in judged(found, LIMITS)} == {State.UNKNOWN}


def test_its_own_console_is_no_database_and_times_are_seconds():
    stats = ({"database": "a", "total_xact_count": "7", "total_wait_time": "2500000", "total_received": "10"},)
    lists = ({"list": "used_clients", "items": "85"},)
    config = ({"key": "max_client_conn", "value": "100"},)
    found = pooler_of(answered([pool("pgbouncer"), pool("a")], [database("a")], stats, lists, config))
    assert {dict(m.labels).get("database") for m in found.values} == {None, "a"}
    assert value(found, "pooler_wait_time", "a") == 2.5
    assert value(found, "pooler_transactions", "a") == 7
    assert value(found, "pooler_query_time", "a") is None
    assert value(found, "pooler_clients") == 0.85
    states = {one.name: one.state for one in judged(found, LIMITS)}
    assert states == {
        "pooler_clients": State.DEGRADED,
        "pooler_wait": State.HEALTHY,
        "pooler_used": State.HEALTHY,
    }
    assert Metric("pooler_received", "counter", "bytes", (("database", "a"),)) in found.values


def test_clients_that_wait_are_said_with_what_they_wait_for():
    rows = [pool("a", maxwait="12", cl_waiting=9, sv_active=20), pool("b", maxwait="2", cl_waiting=1)]
    found = judged(pooler_of(answered(rows, [database("a"), database("b", paused="1")])), LIMITS)
    told = {(one.name, one.subject): one for one in found}
    assert told["pooler_wait", "a"].state is State.UNHEALTHY
    assert told["pooler_wait", "a"].evidence == ("9 clients wait, 20 connections are at work",)
    assert told["pooler_wait", "a"].runbook.endswith("#pooler-wait")
    assert told["pooler_wait", "b"].state is State.DEGRADED
    assert told["pooler_wait", "b"].evidence[0].endswith("; it is paused")
    assert told["pooler_used", "a"].state is State.DEGRADED


def test_a_pooler_that_does_not_answer_is_unknown_with_the_reason_and_one_without_clients_is_well():
    for said in ("denied", "unreachable", "no pgbouncer"):
        found = judged(pooler_of(Answers(said, {}, (f"pooler: {said}",))), LIMITS)
        assert {(one.name, one.state, one.evidence) for one in found} == {
            (name, State.UNKNOWN, (f"pooler: {said}",)) for name in ("pooler_wait", "pooler_used", "pooler_clients")
        }
    idle = judged(pooler_of(answered([pool("pgbouncer")])), {"pooler_wait": LIMITS["pooler_wait"]})
    assert [(one.name, one.state) for one in idle] == [("pooler_wait", State.HEALTHY)]
    assert judged(Pooler({}), {}) == ()
