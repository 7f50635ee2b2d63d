"""A whole deployment beside clients: at no moment is a lock on a table asked for in a way that makes others queue."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.case import Case
from wedsync_db.postgres.session import session

pytestmark = [pytest.mark.faults, pytest.mark.timeout(420)]

_WAITING = """
select a.application_name, l.relation::regclass::text, l.mode
from pg_locks l join pg_stat_activity a using (pid)
where not l.granted and l.locktype = 'relation' and l.database = (select oid from pg_database where datname = %s)
"""


class _Told(logging.Handler):
    """Sets an event when the deployment says that it waits for locks."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "waiting for locks" in record.getMessage():
            self.waiting.set()


@contextmanager
def held_until(case: Case, done: threading.Event) -> Iterator[None]:
    """A report that reads the table for as long as the deployment has not said that it waits."""

    def hold() -> None:
        with session(case.address, "report", statement_timeout_ms=0, autocommit=False) as holder:
            holder.execute("select count(*) from public.items")
            held.set()
            done.wait(300)

    held = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    yield
    done.set()
    thread.join()


@contextmanager
def watched(case: Case, seen: list[tuple], reads: list[int]) -> Iterator[None]:
    """Read the table all the time, and note every request for a lock on a table that was not granted at once."""

    def work() -> None:
        with session(case.admin, "watch") as watch, session(case.address, "reader", lock_timeout_ms=0) as reader:
            while not stop.wait(0.005):
                seen.extend(watch.execute(_WAITING, [case.address.dbname]).fetchall())
                reads.append(reader.execute("select count(*) from public.items").fetchone()[0])

    stop = threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_deployment_asks_for_no_lock_on_a_table_that_others_would_queue_behind(based):
    from flows.deploy import deploy

    based.migration(
        "0002_note", "alter table public.items add column note text;", "alter table public.items drop column note;"
    )
    based.migration(
        "0003_index",
        "-- transaction: none\ncreate index concurrently items_note on public.items (note);",
        "drop index public.items_note;",
    )
    based.migration(
        "0004_check",
        "alter table public.items add constraint short check (length(name) < 100) not valid;",
        "alter table public.items drop constraint short;",
    )
    seen, reads, told = [], [], _Told()
    settings = (based.folder / "environments.toml").read_text()
    (based.folder / "environments.toml").write_text(settings.replace("poll_seconds = 0.5", "poll_seconds = 60"))
    logger = logging.getLogger("wedsync_db")
    logger.addHandler(told)
    try:
        with watched(based, seen, reads), held_until(based, told.waiting):
            state = deploy("case", return_state=True)
    finally:
        logger.removeHandler(told)
    assert state.is_completed(), state.message
    assert told.waiting.is_set(), "the table was free: nothing was tried"
    assert len(reads) > 100
    assert [one for one in seen if one[0].startswith("wedsync-db/") and one[0] != "wedsync-db/reader"] == []
