"""Who a CONCURRENTLY would wait for, found before it starts: an old transaction would stop it half way.

Such a statement has no lock_timeout, as nobody queues behind it, and it waits for each transaction that was there when
it began: for a prepared one, or a client that forgot to commit, until statement_timeout, and then something invalid is
left. So those are waited for first, for as long as locks may be polled for, and named if they do not end.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from wedsync_db.errors import LockTimeout
from wedsync_db.migrate import detach
from wedsync_db.migrate.acquire import conflicting
from wedsync_db.migrate.explain import place
from wedsync_db.migrate.named import dropped, relation_of
from wedsync_db.migrate.reconcile import waits_aside
from wedsync_db.migrate.run import Run
from wedsync_db.model import Script, Statement
from wedsync_db.postgres.parse import tree
from wedsync_db.postgres.queries import query

_WRITERS = sorted(conflicting("ShareLock"))
_EVERYBODY = sorted(conflicting("AccessExclusiveLock"))
_POLL_SECONDS = 0.05
_SAY_SECONDS = 5.0
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Waited:
    """A transaction in the way. `name` is the pid of a session, or the id of a prepared transaction."""

    kind: str
    name: str
    user: str
    application: str
    state: str
    since: float | None  # seconds since 1970; None where the role may not see it

    def __str__(self) -> str:
        """For people, with what ends it."""
        when = f" since {datetime.fromtimestamp(self.since, UTC):%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        if self.kind == "prepared":
            return f"transaction {self.name!r} of {self.user}, prepared{when}"
        who = f"{self.application or 'a session'} (pid {self.name}, user {self.user})"
        return f"{who}, in a transaction{when}, {self.state}"

    @property
    def end(self) -> str:
        """The statement that ends it."""
        if self.kind == "prepared":
            return "rollback prepared or commit prepared '" + self.name.replace("'", "''") + "'"
        return f"select pg_terminate_backend({self.name})"


def require_way(connection: psycopg.Connection, run: Run, script: Script, statement: Statement) -> None:
    """Wait until everybody who is in the way now has ended.

    Raises:
        LockTimeout: somebody does not. Nothing was started; it has no sqlstate, as the budget for locks is spent.
    """
    if not waits_aside(statement):
        return
    asked = _asked(statement)
    first = _in_the_way(connection, asked)
    deadline, said = time.monotonic() + run.settings.poll_seconds, float("-inf")
    left = first
    while left:
        now = time.monotonic()
        if now > deadline:
            raise _refusal(script, statement, left)
        if now - said > _SAY_SECONDS:
            run.say(f"{place(script, statement)}: not started yet, it would wait for {_listed(left)}")
            said = now
        time.sleep(_POLL_SECONDS)
        known = {(w.name, w.since) for w in first}
        left = [w for w in _in_the_way(connection, asked) if (w.name, w.since) in known]


def _asked(statement: Statement) -> dict[str, object]:
    """Whose locks count, and whether old snapshots do (index.c and tablecmds.c of PostgreSQL 15 to 18)."""
    if statement.kind == "DropStmt":
        return {"relations": dropped(statement), "modes": _EVERYBODY, "snapshots": False}
    if statement.kind == "AlterTableStmt":
        return {"relations": list(detach.relations(statement)), "modes": _EVERYBODY, "snapshots": False}
    relation = tree(statement).fields.get("relation")  # none for a whole schema or database
    modes = _WRITERS if statement.kind == "IndexStmt" else _EVERYBODY
    return {"relations": [relation_of(relation)] if relation else [], "modes": modes, "snapshots": True}


def _in_the_way(connection: psycopg.Connection, asked: dict[str, object]) -> list[Waited]:
    return [Waited(*row) for row in connection.execute(query("reconcile", "in_the_way"), asked)]


def _refusal(script: Script, statement: Statement, left: Sequence[Waited]) -> LockTimeout:
    return LockTimeout(
        f"{place(script, statement)}: not started, it would wait for {_listed(left)}",
        hint=f"Wait for it, or ask its owner and end it: {left[0].end}",
    )


def _listed(waited: Sequence[Waited]) -> str:
    more = f" and {len(waited) - _SHOWN} more" if len(waited) > _SHOWN else ""
    return "; ".join(map(str, waited[:_SHOWN])) + more
