"""How long a pool's connections were in use, seen from outside of the pooler that gives them out."""

import numpy as np
import pytest

from wedsync_db.load.sharing import pool_time


def of(pool, *times):
    begin, end = np.array(times, dtype=np.float64).T if times else (np.zeros(0), np.zeros(0))
    return pool_time(begin, end, pool)


def test_while_there_are_enough_each_has_its_own():
    assert of(2, (0, 4), (1, 3), (5, 6)) == pytest.approx([4, 2, 1])


def test_where_there_are_too_few_the_pool_is_busy_and_no_more():
    # three at once for two seconds on one connection, then one alone for another second
    found = of(1, (0, 2), (0, 2), (0, 3))
    assert found.sum() == pytest.approx(3)
    assert found == pytest.approx([2 / 3, 2 / 3, 2 / 3 + 1])


def test_a_queue_behind_two_connections_is_their_whole_time_whoever_waited():
    # five are sent at once, each takes one second, two at a time
    assert of(2, (0, 1), (0, 1), (0, 2), (0, 2), (0, 3)).sum() == pytest.approx(5)


def test_nobody_takes_nothing():
    assert of(3).tolist() == []
