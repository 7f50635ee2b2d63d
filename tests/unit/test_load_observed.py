"""What the server did, from samples and counters to figures: unknown stays unknown, and no value of a row is kept."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from wedsync_db.load.observed import COUNTERS, Counted, Observed, Pooled, Second
from wedsync_db.load.seen import (
    Group,
    Sample,
    Texts,
    hidden_note,
    plain,
    pooled_of,
    seconds_of,
    slow_note,
    statements_of,
    still_answering,
    wait_of,
)
from wedsync_db.monitor.statements import OTHERS, Growth

HALF = tuple(Second(float(n), 10, 10, {"CPU": 1.0, "Lock:tuple": float(n), "Lock:relation": 1.0}, n) for n in range(10))


def counted(at, **values):
    return Counted(at, tuple(float(values.get(name, 0)) for name in COUNTERS))


GROWING = tuple(
    counted(n + 0.02, blocks_hit=1000 + 90 * n, blocks_read=10 * n, commits=50 * n, rollbacks=n, wal_bytes=n * 5100)
    for n in range(11)
)
SEEN = Observed(HALF, GROWING)


def test_counters_grow_between_the_samples_nearest_to_the_edges():
    found = SEEN.between(2.3, 7.9)
    assert found.grown["blocks_hit"] == 90 * (8 - 2)
    assert found.cache_hit == 0.9
    assert found.transactions == 51 * 6
    assert found.wal_by_transaction == 100
    assert found.seconds == pytest.approx(5.6)


def test_no_block_asked_for_is_no_cache_hit_and_no_transaction_no_wal_by_one():
    found = Observed(HALF, (counted(0), counted(9))).between(0, 9)
    assert (found.cache_hit, found.wal_by_transaction) == (None, None)


@pytest.mark.parametrize(
    "rows",
    [
        (),
        GROWING[:1],
        GROWING[:6],  # the sampler was gone for the last three seconds
        GROWING[5:],
        (*GROWING[:5], *(replace(one, values=tuple(v / 2 for v in one.values)) for one in GROWING[5:7])),  # began anew
    ],
)
def test_what_was_not_counted_to_both_edges_is_not_known(rows):
    found = Observed(HALF, rows).between(0, 8)
    assert found.cache_hit is None
    assert found.transactions is None


def test_the_part_that_was_counted_is_known_when_the_rest_is_not():
    assert Observed(HALF, GROWING[:6]).between(0, 5).cache_hit == 0.9


def test_windows_add_up_and_neighbours_are_one():
    assert SEEN.over([(1, 2), (6, 9)]).transactions == 51 * (1 + 3)
    assert SEEN.over([(1, 1.3), (1.3, 2)]).transactions == 51, "each of them is shorter than the counters' second"
    assert SEEN.over([(1, 1.3)]).transactions is None
    assert SEEN.over([]).transactions is None


def test_waits_are_average_sessions_by_type():
    found = SEEN.between(2, 4)
    assert found.waits == {"CPU": 1.0, "Lock": 2.5 + 1.0}
    assert found.lock_waits_max == 3


def test_a_second_with_fewer_samples_weighs_less():
    seconds = (Second(0.0, 10, 9, {"CPU": 1.0}), Second(1.0, 10, 1, {"CPU": 11.0}))
    found = Observed(seconds).between(0, 2)
    assert found.waits == {"CPU": 2.0}
    assert found.lost == 0.5


@pytest.mark.parametrize(("taken", "doubted"), [(95, False), (94, True), (0, True)])
def test_more_than_a_twentieth_lost_is_a_doubt(taken, doubted):
    assert bool(Observed((Second(0.0, 100, taken, {}),)).doubts()) is doubted


def test_a_server_too_slow_to_answer_is_no_fault_of_the_measurement():
    samples = [Sample(n, ()) for n in range(100) if not 31 <= n <= 50]
    seconds = seconds_of(samples, 100, 0.0, unanswered=range(31, 50))
    assert [(one.taken, one.unanswered) for one in seconds[2:6]] == [(10, 0), (1, 9), (0, 10), (9, 0)]
    seen = Observed(seconds)
    assert (seen.lost, seen.doubts()) == (0.01, ())
    assert seen.between(3, 5).lost == 0
    assert seen.between(5, 6).lost == 0.1
    assert slow_note(19, 100) == (
        "of 100 times that it was asked, the server was 19 times still answering the time before",
    )
    assert slow_note(5, 100) == ()


@pytest.mark.parametrize(
    ("asked", "done", "answered", "turns"),
    [
        (3.01, 3.05, True, []),
        (3.01, 3.55, True, [31, 32, 33, 34]),
        (3.01, 3.55, False, [30, 31, 32, 33, 34]),
        (3.25, 3.55, True, [33, 34]),  # we were late ourselves: 31 and 32 are lost
    ],
)
def test_turns_that_came_while_the_server_answered(asked, done, answered, turns):
    assert list(still_answering(30, asked, done, answered=answered)) == turns


def test_what_was_lost_before_the_first_arrival_is_none_of_the_run_s():
    assert Observed((Second(-1.0, 10, 1, {}), Second(0.0, 10, 10, {}))).doubts() == ()


def test_nothing_at_all_is_lost_too():
    assert Observed().doubts() == ("the sampler lost 100% of what it was to see",)
    assert SEEN.between(20, 30).lost == 1.0


def test_the_pooler_is_unknown_unless_somebody_asked_it():
    seen = replace(SEEN, pooled=(Pooled(1, 3.0, 5.0, 0.1), Pooled(2, 8.0, 5.0, 0.1), Pooled(8, 90.0, 5.0, 0.1)))
    assert seen.between(0, 4).clients_waiting_max == 8.0
    assert SEEN.between(0, 4).clients_waiting_max is None


def test_it_is_the_same_after_it_was_stored():
    seen = replace(
        SEEN, pooled=(Pooled(1, 3.0, 5.0, 0.1),), statements=Texts().top(), statements_sampled=True, notes=("x",)
    )
    stored = Observed.from_json(json.loads(json.dumps(seen.to_json())))
    assert stored.between(1, 6) == seen.between(1, 6)
    assert replace(stored, counted=()) == replace(seen, counted=())


# -- samples -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("session", "name"),
    [
        (("active", None, None), "CPU"),
        (("active", "Lock", "transactionid"), "Lock:transactionid"),
        (("fastpath function call", "IO", "DataFileRead"), "IO:DataFileRead"),
        (("idle in transaction", "Client", "ClientRead"), "idle in transaction"),
        ((None, None, None), "not shown"),
        (("disabled", None, None), "not shown"),
    ],
)
def test_waits_are_called_as_the_server_calls_them(session, name):
    assert wait_of(*session) == name


def test_samples_become_seconds_and_the_missing_ones_stay_missing():
    busy, locked = Group("CPU", 2), Group("Lock:tuple", 3)
    taken = [Sample(n, (busy,) if n < 5 else (busy, locked, Group("Lock:relation", 1))) for n in range(20) if n != 13]
    first, second, third = seconds_of(taken, 23, begun=0.0)
    assert first == Second(0.0, 10, 10, {"CPU": 2.0, "Lock:relation": 0.5, "Lock:tuple": 1.5}, 4)
    assert (second.planned, second.taken) == (10, 9)
    assert (third.planned, third.taken, third.waits) == (3, 0, {})


def test_seconds_are_those_of_the_run():
    found = seconds_of([Sample(n, ()) for n in range(10)], 10, begun=-0.3)
    assert [(one.at, one.planned) for one in found] == [(-1.0, 3), (0.0, 7)]


def test_what_is_not_shown_is_not_idle_and_hides_who_waits():
    samples = [Sample(n, (Group("not shown", 1 + n),)) for n in range(10)]
    assert hidden_note(samples, "loader")[0].startswith(
        "what sessions do, up to 10 at a time, is not shown to loader: grant pg_read_all_stats to loader"
    )
    found = Observed(seconds_of(samples, 10, begun=0.0)).between(0, 1)
    assert found.waits == {"not shown": 5.5}
    assert found.lock_waits_max is None
    assert hidden_note([Sample(0, (Group("CPU", 1),))], "loader") == ()


# -- statements --------------------------------------------------------------------------------------------------------
PRELUDE = "-- who\nselect set_config('app.user', 'u-' || 0, true);\nset local role authenticated;"


def sent(user, script):
    return f"{PRELUDE.replace('0', str(user))}\n{script}"


def test_statements_are_told_apart_by_what_they_are_and_not_by_their_values():
    texts = Texts(PRELUDE)
    for n in range(3):
        texts.meet([sent(n, f"update guests set name = 'Ann {n}' where id = {n}.5 and t1 = $1;")], 2)
    texts.meet([sent(9, "select /* 7 */ * from forms limit 20;"), sent(7, "select * from forms limit 10;")], 14)
    select, update = texts.top()
    assert update.text == "update guests set name = '…' where id = ? and t1 = $1;"
    assert select.text == "select * from forms limit ?;"
    assert (update.share, select.share) == (0.3, 0.7)
    assert update.calls is None


@pytest.mark.parametrize(
    "text",
    [
        "select 'Ann''s 4711'",
        "select E'a\\'4711'",
        "select $x$ 4711 $x$",
        "-- 4711\nselect 1",
        "set x = 4711e5, 'cut 4711",
    ],
)
def test_no_value_is_kept(text):
    assert "4711" not in plain(text)


def test_a_text_cut_off_within_what_is_always_the_same_is_shown_whole():
    texts = Texts(PRELUDE)
    texts.meet([sent(5, "sel")], 1)
    assert texts.top()[0].text.startswith("select set_config('…', '…' || ?, true);")


def test_texts_without_end_are_not_kept_without_end():
    texts = Texts()
    for n in range(3000):
        texts.meet([f"select x{n}"], 1)
    assert texts.top()[0].text == "others"
    assert len(texts.top()) == 10
    assert len(texts._met) <= 1001


def test_counted_statements_have_their_share_of_all_the_time():
    times = {5: (4.0, 6.0), 7: (10.0, 2.0), OTHERS: (100.0, 2.0)}
    growth = Growth(datetime.now(UTC), 1.0, {key: (*of, *[0.0] * 6) for key, of in times.items()})
    first, second = statements_of(growth, {5: "select  a\n from t", 7: "select b"})
    assert (first.text, first.share, first.calls, first.mean_ms) == ("select a from t", 0.6, 4, 1500.0)
    assert second.share == 0.2
    board = {**growth.by_statement, 9: (4.0, 90.0, *[0.0] * 6)}
    found = statements_of(
        replace(growth, by_statement=board), {5: "a", 7: "b", 9: "select s.x from wedsync_load.shard as s"}
    )
    assert [(one.text, one.share) for one in found] == [("a", 0.6), ("b", 0.2)]
    assert statements_of(replace(growth, by_statement={OTHERS: (1.0, 1.0, *[0.0] * 6)}), {}) == ()


def test_of_a_pooler_its_database_counts_over_all_users():
    def row(database, waiting, active, wait):
        return {
            "database": database,
            "cl_waiting": waiting,
            "sv_active": active,
            "maxwait": wait,
            "maxwait_us": "500000",
        }

    rows = [row("own", "3", "2", "1"), row("own", "4", "1", "0"), row("other", "50", "9", "9")]
    assert pooled_of(rows, "own", 2.0) == Pooled(2.0, 7.0, 3.0, 1.5)
    assert pooled_of(rows, "nobody's", 2.0) == Pooled(2.0, 0.0, 0.0, 0.0)
