"""What other migration tools were tried on, 5: two deployments at once.

The cases and what the others do: docs/comparison.md.
"""

from __future__ import annotations

import time

import pytest

from tests.support.broken import BASE, good, lay_base
from tests.support.case import Case
from tests.support.majors import every_major
from tests.support.peers import Ended, Tool, applied

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]
_PAUSE_SECONDS = 0.2


def raced(tool: Tool) -> list[Ended]:
    """Two deployments begin at once; the one that is turned away tries again until it is let in. Who was turned away.

    So the second meets the first at every of its steps, and then finds nothing left to do.
    """
    turned_away: list[Ended] = []
    running = [tool.start("deploy", "case"), tool.start("deploy", "case")]
    done = 0
    while done < 2:
        ended = running.pop(0).wait() if not running[0].alive() else None
        if ended is None:
            running.append(running.pop(0))
            time.sleep(_PAUSE_SECONDS / 4)
        elif ended.code == 0:
            done += 1
        else:
            assert ended.code == 3, ended.text
            turned_away.append(ended)
            time.sleep(_PAUSE_SECONDS)
            running.append(tool.start("deploy", "case"))
    return turned_away


def each_once(case: Case, tool: Tool, *migrations: str) -> None:
    """Race; every migration is applied once, by one deployment, and who lost was told by whom it is held."""
    turned_away = raced(tool)
    assert turned_away, "they were there at once"
    for ended in turned_away:
        assert "another deployment is under way: " in ended.text
    assert applied(case) == [BASE, *migrations]
    by_whom = "select count(*), count(distinct deployment_id) from wedsync_db.ledger where id <> '0001_base'"
    assert case.rows(by_whom) == [(len(migrations), 1 if migrations else 0)]
    assert case.rows("select count(*) from wedsync_db.deployment where status <> 'done'") == [(0,)]


@every_major
def test_case_5a_two_deployments_at_once(based, tool):
    """5a: two deployments of tables and indexes at once."""
    good(based, 2, 3)
    each_once(based, tool, "0002_good_2", "0003_good_3")


@every_major
def test_case_5b_database_never_seen(case, tool):
    """5b: two at once on a database that has no ledger yet."""
    lay_base(case)
    each_once(case, tool)
    assert case.rows("select count(*) from wedsync_db.deployment") == [(1,)]


@every_major
def test_case_5c_concurrently_pending(based, tool):
    """5c: two at once with CREATE INDEX CONCURRENTLY pending, which waits for the snapshots of all others."""
    based.migration(
        "0002_index",
        "-- transaction: none\ncreate index concurrently items_two on public.items (name);",
        "drop index public.items_two;",
    )
    each_once(based, tool, "0002_index")
    assert based.rows("select indisvalid from pg_index where indexrelid = 'public.items_two'::regclass") == [(True,)]


@every_major
def test_case_5d_data_only(based, tool):
    """5d: two at once with migrations that only change rows: no name to collide on, so twice would go unnoticed."""
    based.migration(
        "0002_more", "insert into public.items values (501, 'x');", "delete from public.items where id = 501;"
    )
    based.migration(
        "0003_mark",
        "update public.items set name = name || '!' where id between 1 and 500;",
        "update public.items set name = left(name, -1) where id between 1 and 500;",
    )
    each_once(based, tool, "0002_more", "0003_mark")
    assert based.rows("select count(*) from public.items where name ~ '[^!]!$'") == [(500,)]
    assert based.rows("select count(*) from public.items") == [(501,)]
