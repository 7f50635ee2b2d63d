"""What other migration tools were tried on, 4: indexes that are built CONCURRENTLY.

The cases and what the others do: docs/comparison.md.
"""

from __future__ import annotations

import psycopg
import pytest

from tests.support.broken import BASE, good, once_backed_up
from tests.support.case import Case
from tests.support.majors import every_major
from tests.support.peers import applied, execute

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]
VALID = "select indisvalid from pg_index where indexrelid = to_regclass('public.items_ux')"
DOUBLE = "insert into public.items values (501, 'item 1')"


def unique(case: Case, if_not_exists: str = "") -> None:
    """A unique index as 0002, and a migration after it that must not run without it."""
    case.migration(
        "0002_unique",
        f"-- transaction: none\ncreate unique index concurrently {if_not_exists} items_ux on public.items (name);",
        "drop index public.items_ux;",
    )
    good(case, 3)


@every_major
def test_case_4a_concurrently_unmarked(based, tool):
    """4a: CREATE INDEX CONCURRENTLY in a file that does not say that it runs outside a transaction."""
    based.migration("0002_x", "create index concurrently items_x on public.items (name);", "select 1;")
    ended = tool("deploy", "case")
    assert ended.code == 1, ended.text
    assert "transaction: none" in ended.text, "it says what to write"
    assert applied(based) == [BASE]
    assert based.rows("select to_regclass('public.items_x') is null") == [(True,)]


@every_major
def test_case_4b_4b2_concurrently_marked(based, tool):
    """4b: the same with the marker; 4b2: and with a second statement in its file."""
    based.migration(
        "0002_one",
        "-- transaction: none\ncreate unique index concurrently items_ux on public.items (name);",
        "drop index public.items_ux;",
    )
    based.migration(
        "0003_two",
        "-- transaction: none\nset maintenance_work_mem = '8MB';\n"
        "create index concurrently items_two on public.items (name, id);",
        "drop index public.items_two;",
    )
    ended = tool("deploy", "case")
    assert ended.code == 0, ended.text
    assert applied(based) == [BASE, "0002_one", "0003_two"]
    assert based.rows(VALID) == [(True,)]
    assert based.rows("select indisvalid from pg_index where indexrelid = 'public.items_two'::regclass") == [(True,)]


def fails_then_succeeds(tool, case: Case) -> None:
    """A double row that no rehearsal saw stops the build; once it is gone the same command succeeds."""
    with once_backed_up(case, lambda case: execute(case, DOUBLE)):
        ended = tool("deploy", "case")
    assert ended.code == 1, ended.text
    assert "0002_unique/deploy.sql:2" in ended.text
    assert applied(case) == [BASE]
    assert case.rows(VALID) == [], "no invalid index is left"
    execute(case, "delete from public.items where id = 501")
    assert tool("deploy", "case").code == 0
    assert applied(case) == [BASE, "0002_unique", "0003_good_3"]
    assert case.rows(VALID) == [(True,)]
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(case, DOUBLE)


@every_major
def test_case_4c_unique_concurrently_with_duplicates(based, tool):
    """4c: CREATE UNIQUE INDEX CONCURRENTLY meets duplicates; the data is mended and the command run again."""
    unique(based)
    fails_then_succeeds(tool, based)


@every_major
def test_case_4d_unique_concurrently_if_not_exists(based, tool):
    """4d: the same with IF NOT EXISTS, which takes an invalid index for the one that is wanted."""
    unique(based, "if not exists")
    fails_then_succeeds(tool, based)


@every_major
def test_case_4d_invalid_index_of_somebody_else(based, tool):
    """4d: the invalid index was there before, left by a build by hand: it is told, and not counted as success."""
    execute(based, DOUBLE)
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(based, "create unique index concurrently items_ux on public.items (name)")
    execute(based, "delete from public.items where id = 501")
    unique(based, "if not exists")
    ended = tool("deploy", "case")
    assert ended.code == 1, ended.text
    assert "items_ux" in ended.text
    assert applied(based) == [BASE]
    assert based.rows(VALID) == [(False,)], "it is somebody else's: not touched"
