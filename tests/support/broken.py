"""Deployments that break, each in one way: what to lay out, what to do after the backup, what must come of it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.case import Case
from wedsync_db.postgres.session import session

BASE = "0001_base"
# quick budgets: a test waits for each of them to run out
LOCKS = "poll_seconds = 0.5\nlock_timeout_ms = 100\nattempts = 2\nstatement_timeout_ms = 1500\nroll_back_seconds = 60"
HOLD_SECONDS = 12.0  # longer than the budget for locks, shorter than that for rolling back
_SWITCHED = "exists (select from public.switch)"


@dataclass(frozen=True)
class Broken:
    """`lay` writes the migrations, `afterwards` runs once the backup is finished, `code` is the exit code to come."""

    lay: Callable[[Case], None]
    code: int = 1
    afterwards: Callable[[Case], None] | None = None
    settings: str = ""


def lay_base(case: Case) -> None:
    """What is deployed before: the writer's table, one to be changed, and the switch that arms a planted failure."""
    case.migration(
        BASE,
        "create table public.writes (id bigint primary key, value text not null);\n"
        "create table public.items (id bigint primary key, name text not null);\n"
        "insert into public.items select n, 'item ' || n from generate_series(1, 500) n;\n"
        "create table public.switch (on_at timestamptz not null);",
        "drop table public.switch;\ndrop table public.items;\ndrop table public.writes;",
    )


def good(case: Case, *numbers: int) -> None:
    """Harmless migrations with exact reverts."""
    for n in numbers:
        case.migration(
            f"{n:04}_good_{n}",
            f"create table public.made_{n} (id bigint primary key);\n"
            f"create index items_name_{n} on public.items (name);",
            f"drop index public.items_name_{n};\ndrop table public.made_{n};",
            f"select to_regclass('public.made_{n}') is not null;",
        )


def planted(case: Case, number: int, what: str = "raise exception 'planted';", **more: str) -> None:
    """A migration that works until the switch is on."""
    case.migration(
        f"{number:04}_planted",
        f"create table public.planted_{number} (id bigint primary key);\n"
        f"do $$ begin if {_SWITCHED} then {what} end if; end $$;",
        f"drop table public.planted_{number};",
        **more,
    )


def switch_on(case: Case) -> None:
    """Arm the planted failure, as a client would: with a row."""
    with session(case.admin, "switch") as connection:
        connection.execute("insert into public.switch values (now())")


def _runtime_error(position: int) -> Broken:
    def lay(case: Case) -> None:
        good(case, *(n for n in (2, 3, 4) if n != position))
        planted(case, position)

    return Broken(lay, afterwards=switch_on)


def _syntax(case: Case) -> None:
    good(case, 2, 3)
    case.migration("0004_syntax", "create table public.x (id bigint;", "select 1;")


def _lock_timeout(case: Case) -> None:
    good(case, 2)
    case.migration(
        "0003_locks", "alter table public.items add column note text;", "alter table public.items drop column note;"
    )


def hold_items(case: Case) -> None:
    """A client that holds the table from the end of the rehearsal on, for longer than a migration waits."""

    def hold() -> None:
        with session(case.address, "holder", lock_timeout_ms=0, statement_timeout_ms=0, autocommit=False) as holder:
            holder.execute("lock table public.items in access share mode")
            while not case.rows("select 1 from pg_stat_activity where application_name = 'wedsync-db/migrate'"):
                time.sleep(0.02)
            time.sleep(HOLD_SECONDS)

    threading.Thread(target=hold).start()


def _statement_timeout(case: Case) -> None:
    good(case, 2)
    planted(case, 3, "perform pg_sleep(30);")


def _failing_verify(case: Case) -> None:
    good(case, 2, 3)
    case.migration(
        "0004_verify",
        "create table public.verified (id bigint primary key);",
        "drop table public.verified;",
        f"select not {_SWITCHED};",
    )


def _edited(case: Case) -> None:
    good(case, 2)
    path = case.folder / "migrations" / BASE / "deploy.sql"
    path.write_text(path.read_text().replace("500", "501"))


def _late(case: Case) -> None:
    good(case, 2)
    case.migration("0000_late", "create table public.late (id bigint primary key);", "drop table public.late;")


def damage_backup(case: Case) -> None:
    """Truncate a table's file of the newest backup to nothing, as a full disk does."""
    newest = max(case.installation.home.path.glob("backups/*/*/manifest.json"), key=lambda p: p.stat().st_mtime)
    files = [p for p in newest.parent.rglob("*") if p.is_file() and ".dat" in p.name]
    victim = max(files, key=lambda p: p.stat().st_size)
    victim.write_bytes(b"")


def _undone_without(revert: str | None) -> Callable[[Case], None]:
    """Something committed that cannot be taken back exactly, then a failure: under either value of `atomic`."""

    def lay(case: Case) -> None:
        case.migration(
            "0002_lossy",
            "alter table public.items add column upper_name text;\n"
            "update public.items set upper_name = upper(name), name = lower(name) || '!';",
            revert,
        )
        case.migration(
            "0003_apart",
            "-- transaction: none\ncreate index concurrently items_apart on public.items (name);",
            "-- transaction: none\ndrop index concurrently public.items_apart;",
        )
        planted(case, 4)

    return lay


def _kill_in_the_middle(case: Case) -> None:
    good(case, 2, 4)
    planted(case, 3, "perform pg_sleep(30);")


_SLEEPS = "select 1 from pg_stat_activity where application_name like 'wedsync-db/%' and wait_event = 'PgSleep'"


def kill_server_soon(case: Case) -> None:
    """SIGKILL the postmaster while the planted statement sleeps; all its children go with it."""
    switch_on(case)

    def kill() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if case.rows(_SLEEPS):
                os.kill(_postmaster(case), signal.SIGKILL)
                return
            time.sleep(0.02)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()


def _postmaster(case: Case) -> int:
    text = case.rows("select pg_read_file('postmaster.pid')")[0][0]
    return int(text.splitlines()[0])


ANY_REVERT = "require_exact_revert = false"
BROKEN = {
    "syntax error": Broken(_syntax),
    "runtime error in the first": _runtime_error(2),
    "runtime error in the middle": _runtime_error(3),
    "runtime error in the last": _runtime_error(4),
    "lock timeout": Broken(_lock_timeout, afterwards=hold_items),
    "statement timeout": Broken(_statement_timeout, afterwards=switch_on),
    "failing verify": Broken(_failing_verify, afterwards=switch_on),
    "edited applied file": Broken(_edited),
    "late file": Broken(_late),
    "broken dump": Broken(lambda case: good(case, 2, 3), afterwards=damage_backup),
    "inexact revert": Broken(
        _undone_without("alter table public.items drop column upper_name;"), 4, switch_on, ANY_REVERT
    ),
    "missing revert": Broken(_undone_without(None), 4, switch_on, ANY_REVERT),
}


@contextmanager
def once_backed_up(case: Case, act: Callable[[Case], None] | None) -> Iterator[None]:
    """Run `act` as soon as the next finished backup is there: after what the rehearsal will see."""
    pattern = "backups/*/*/manifest.json"
    known = set(case.installation.home.path.glob(pattern))
    stop = threading.Event()
    failed: list[BaseException] = []

    def watch() -> None:
        while not stop.wait(0.02):
            if set(case.installation.home.path.glob(pattern)) - known:
                try:
                    act(case)
                except BaseException as error:  # noqa: BLE001 told by the test, not by the thread
                    failed.append(error)
                return

    thread = threading.Thread(target=watch)
    if act is not None:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if act is not None:
            thread.join()
    if failed:
        raise failed[0]
