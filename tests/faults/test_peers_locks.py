"""What other migration tools were tried on, 6: a table that somebody holds, and readers.

The cases and what the others do: docs/comparison.md.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from tests.support.broken import BASE
from tests.support.case import Case, write_settings
from tests.support.majors import every_major
from tests.support.peers import LOCKS, applied
from wedsync_db.migrate.deployment import take_fingerprint
from wedsync_db.postgres.session import session

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]
READERS = 20
HOLD_SECONDS = 3.0  # how long the table stays held once the migration wants it
# one by polling longer than that, one by tries that may wait, one that gives up before
POLLING = LOCKS
TRYING = "poll_seconds = 0.2\nlock_timeout_ms = 100\nattempts = 50\nstatement_timeout_ms = 60000"
SHORT = "poll_seconds = 0.3\nlock_timeout_ms = 100\nattempts = 2\nstatement_timeout_ms = 60000"
_MIGRATES = (
    "select 1 from pg_stat_activity where datname = current_database() and application_name = 'wedsync-db/migrate'"
)
_QUEUED = "select count(*) from pg_locks where relation = 'public.items'::regclass and not granted"


@dataclass
class Held:
    """How often each reader read while the migration wanted the table and could not have it, and the longest queue."""

    over: threading.Event = field(default_factory=threading.Event)
    wanted: threading.Event = field(default_factory=threading.Event)
    reads: list[int] = field(default_factory=lambda: [0] * READERS)
    queued: int = 0


@contextmanager
def held(case: Case, seconds: float = HOLD_SECONDS) -> Iterator[Held]:
    """A client that has read the table and does not commit, until a migration wanted it so long; and twenty readers."""
    state = Held()
    threads = [threading.Thread(target=_hold, args=(case, state, seconds))]
    threads += [threading.Thread(target=_read, args=(case, state, number)) for number in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        yield state
    finally:
        state.over.set()
        for thread in threads:
            thread.join()


def _hold(case: Case, state: Held, seconds: float) -> None:
    with session(case.address, "holder", lock_timeout_ms=0, statement_timeout_ms=0, autocommit=False) as holder:
        holder.execute("select count(*) from public.items")
        while not state.over.is_set() and not case.rows(_MIGRATES):
            time.sleep(0.02)
        state.wanted.set()
        deadline = time.monotonic() + seconds
        with session(case.admin, "looks") as looks:
            while time.monotonic() < deadline and not state.over.is_set():
                state.queued = max(state.queued, looks.execute(_QUEUED).fetchone()[0])
                time.sleep(0.02)
        state.wanted.clear()
        holder.rollback()


def _read(case: Case, state: Held, number: int) -> None:
    with session(case.address, f"reader-{number}", lock_timeout_ms=0, statement_timeout_ms=0) as reader:
        while not state.over.is_set():
            began_within = state.wanted.is_set()
            reader.execute("select name from public.items where id = 7")
            state.reads[number] += began_within and state.wanted.is_set()
            time.sleep(0.02)


def alter(case: Case, first: str = "") -> None:
    """A migration that needs the table for itself."""
    case.migration(
        "0002_alter",
        f"{first}alter table public.items add column note text;",
        "alter table public.items drop column note;",
    )


@every_major
def test_case_6a_readers_behind_an_alter_table(based, tool):
    """6a: ALTER TABLE meets a transaction that holds the table for seconds, with twenty readers at work."""
    write_settings(based.folder, locks=POLLING)
    alter(based)
    with held(based) as state:
        ended = tool("deploy", "case")
    assert ended.code == 0, ended.text
    assert applied(based) == [BASE, "0002_alter"]
    assert state.queued == 0, "nobody ever stood in the table's queue"
    assert min(state.reads) > 5, f"each reader went on: {state.reads}"


@every_major
def test_case_6a_gives_up_within_its_budget(based, tool):
    """6a: the transaction is longer than the budget: nothing is changed, and it is said who was in the way."""
    write_settings(based.folder, locks=SHORT)
    alter(based)
    before = take_fingerprint(based.address).digest
    with held(based, 60) as state:
        ended = tool("deploy", "case")
        assert state.wanted.is_set(), "it did not wait for the other's end"
    assert ended.code == 1, ended.text
    assert "(wedsync-db/holder, " in ended.text
    assert take_fingerprint(based.address).digest == before
    assert applied(based) == [BASE]
    assert min(state.reads) > 5, f"each reader went on: {state.reads}"


@every_major
def test_case_6b_lock_timeout_in_the_file(based, tool):
    """6b: the file sets a lock_timeout of its own; it is tried again until the other has finished, in one command."""
    write_settings(based.folder, locks=TRYING)
    alter(based, "set lock_timeout = '500ms';\n")
    with held(based) as state:
        ended = tool("deploy", "case")
    assert ended.code == 0, ended.text
    assert "waiting for locks, try " in ended.text
    assert applied(based) == [BASE, "0002_alter"]
    assert min(state.reads) > 5, f"each reader went on: {state.reads}"
