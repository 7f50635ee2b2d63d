"""Which borrowed connections are told of: each that is late once, and no other."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.pool.leaks import Borrowed, leak, newly_leaked, next_look, stack
from wedsync_db.pool.tiers import TIERS

ALLOWED = 30.0
# when each was borrowed, and for how long: whole tenths, so that nothing hangs on the last bit
times = st.integers(0, 3000).map(lambda tenths: tenths / 10)
borrows = st.lists(st.tuples(times, st.integers(0, 1500).map(lambda tenths: tenths / 10)), max_size=30)


def borrowed(number, at):
    return Borrowed(number, at, "main", None, ())


@given(borrows)
def test_whoever_is_late_is_told_of_once_as_soon_as_it_is_and_nobody_else(given_borrows):
    ends = {number: at + held for number, (at, held) in enumerate(given_borrows)}
    everything = [borrowed(number, at) for number, (at, _) in enumerate(given_borrows)]
    told, now = {}, 0.0
    while now < 500:
        out = [one for one in everything if one.at <= now < ends[one.number]]
        for one in newly_leaked(out, told, now, ALLOWED):
            assert one.number not in told
            told[one.number] = now
        wait = next_look(out, told, now, ALLOWED)
        assert 0 < wait <= ALLOWED
        now += max(wait, 0.05)  # a clock that never stands still
    late = {one.number: one.at + ALLOWED for one in everything if ends[one.number] - one.at > ALLOWED + 0.06}
    assert late.keys() <= told.keys()
    for number, at in told.items():
        due = everything[number].at + ALLOWED
        assert due <= at <= due + 0.06
        assert ends[number] > at


@given(borrows, times, st.sets(st.integers(0, 30)))
def test_the_longest_comes_first_and_what_was_told_never_again(given_borrows, now, told):
    everything = [borrowed(number, at) for number, (at, _) in enumerate(given_borrows)]
    found = newly_leaked(everything, told, now, ALLOWED)
    assert [one.at for one in found] == sorted(one.at for one in found)
    assert {one.number for one in found} == {
        one.number for one in everything if now - one.at >= ALLOWED and one.number not in told
    }


def test_it_names_who_borrowed_and_not_what_it_went_through():
    def load_guests():
        return stack()

    one = Borrowed(1, 100.0, threading.current_thread().name, 4711, load_guests())
    found = leak("free", one, 131.6, returned=False)
    assert found.borrower.startswith("test_it_names_who_borrowed_and_not_what_it_went_through.<locals>.load_guests (")
    assert found.borrower.endswith(f"unit/test_pool_leaks.py:{load_guests.__code__.co_firstlineno + 1})")
    assert found.line == (
        f"pool free: a connection is out for 32 s, borrowed by {found.borrower} in thread MainThread, backend 4711"
    )
    back = leak("free", one._replace(pid=None), 131.6, returned=True)
    assert "a connection came back after 32 s" in back.line
    assert "backend" not in back.line
    assert all("wedsync_db/pool" not in call for call in found.stack)


def test_without_any_call_it_says_so():
    assert leak("free", borrowed(1, 0.0), 1.0, returned=False).borrower == "unknown"


def test_the_tiers_are_those_that_are_sold():
    assert {name: tier.size for name, tier in TIERS.items()} == {"pro": 100, "free": 20}
    assert all(0 < tier.kept < tier.size < tier.queue for tier in TIERS.values())
