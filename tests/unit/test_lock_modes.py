"""Which lock is asked for, and how long the pauses between tries are."""

from __future__ import annotations

import random

import pytest

from wedsync_db.migrate.acquire import Blocker, back_off, strongest
from wedsync_db.model import HeldLock


def locks(*modes: str) -> list[HeldLock]:
    return [HeldLock("public.t", mode, 0.0) for mode in modes]


@pytest.mark.parametrize(
    ("modes", "asked"),
    [
        (["AccessShareLock"], "AccessShareLock"),
        (["AccessShareLock", "AccessExclusiveLock"], "AccessExclusiveLock"),
        (["RowExclusiveLock", "ShareUpdateExclusiveLock"], "ShareUpdateExclusiveLock"),
        (["RowExclusiveLock", "ShareLock"], "ShareRowExclusiveLock"),  # neither contains the other
        (["ShareUpdateExclusiveLock", "ShareLock"], "ShareRowExclusiveLock"),
        (["ShareRowExclusiveLock", "RowShareLock"], "ShareRowExclusiveLock"),
    ],
)
def test_one_mode_that_conflicts_with_all_the_seen_ones_conflict_with(modes, asked):
    assert strongest(locks(*modes)) == (("public.t", asked),)


def test_relations_come_once_and_sorted():
    seen = [HeldLock(name, "ShareLock", 0.0) for name in ("b.x", "a.y", "b.x", "a.b")]
    assert [name for name, _ in strongest(seen)] == ["a.b", "a.y", "b.x"]


def test_pauses_grow_are_bounded_and_jittered():
    rng = random.Random(7)
    pauses = [[back_off(n, rng) for _ in range(50)] for n in range(1, 12)]
    assert all(0.05 <= p <= 0.1 for p in pauses[0])
    assert all(2.5 <= p <= 5.0 for p in pauses[-1])
    assert len(set(pauses[3])) > 10


def test_a_blocker_reads_as_a_sentence():
    blocker = Blocker("public.t", "AccessShareLock", True, 4711, "psql", "anna", "idle in transaction", 8.2)
    assert str(blocker) == "pid 4711 (psql, user anna, idle in transaction for 8 s) holds AccessShareLock on public.t"


def test_what_this_role_may_not_see_of_a_blocker_is_left_open():
    blocker = Blocker("public.t", "ShareLock", False, 4711, "", "", "state unknown", None)
    assert str(blocker) == "pid 4711 (unnamed, user unknown, state unknown) waits for ShareLock on public.t"
