"""Going through the tables: compare, decide, and bring back, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from wedsync_db.migrate import journal
from wedsync_db.migrate.explain import describe
from wedsync_db.migrate.run import Run, fenced
from wedsync_db.postgres.content import PINNED
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.repair.compare import Lost, batches, losses
from wedsync_db.repair.decide import Comparison, Decision, Shape, decide
from wedsync_db.repair.report import CONFLICT, DELETED, FILLED, REFUSED, RESTORED, Counts, Notes
from wedsync_db.repair.target import advance_sequences, bring_back, deleted_by_people, look

_ROWS = 500  # looked up on the target at a time
_FOREIGN_KEY = "23503"
# triggers need the search path that they have with everybody else
_WRITING = {name: value for name, value in PINNED.items() if name != "search_path"}


@dataclass(frozen=True, slots=True)
class Work:
    """What to compare: sessions with both sides, the tables in their order, when each deployment ran."""

    before: psycopg.Connection
    after: psycopg.Connection
    tables: Sequence[tuple[Comparison, Shape | None]]
    runs: Sequence[tuple[datetime, datetime]]


def look_only(work: Work, address: Address, notes: Notes) -> Mapping[str, Counts]:
    """Say what would be done; nothing is written to the target."""
    with session(address, "repair", settings=_WRITING) as connection:
        for table, there in work.tables:
            _table(connection, work, table, there, notes, apply=False)
    return notes.counts


def write(work: Work, run: Run, notes: Notes) -> Mapping[str, Counts]:
    """Bring back, in a transaction for each table; again while rows came back that others had to wait for.

    Raises:
        Displaced: another runner took over; the tables before stay repaired.
        MigrationFailed: the server refused a transaction as a whole.
        CommitLost: it is not known whether the last table's COMMIT happened.
    """
    back: dict[str, Counts] = {}
    locks = run.settings
    with session(
        run.address,
        "repair",
        lock_timeout_ms=locks.lock_timeout_ms,
        statement_timeout_ms=locks.statement_timeout_ms,
        settings=_WRITING,
    ) as connection:
        journal.attach(connection, run.deployment)
        while True:
            for table, there in work.tables:
                with fenced(connection, run):
                    # a deferred check shall name its row, and not refuse all of them at COMMIT
                    connection.execute(query("apply", "check_constraints"))
                    _table(connection, work, table, there, notes, apply=True)
            came = sum(counts[RESTORED] + counts[FILLED] for counts in notes.counts.values())
            for relation, counts in notes.counts.items():
                done = back.setdefault(relation, Counter())
                done.update({what: counts[what] for what in (RESTORED, FILLED)})
            if not (notes.blocked and came):
                break
            notes.again()
    for relation, counts in notes.counts.items():
        back[relation].update({what: counts[what] for what in (CONFLICT, DELETED, REFUSED)})
    return back


def _table(
    connection: psycopg.Connection, work: Work, table: Comparison, there: Shape | None, notes: Notes, *, apply: bool
) -> None:
    with losses(work.before, work.after, table, there=there) as lost:
        for batch in batches(lost, _ROWS):
            now = look(connection, table, [row.key for row in batch])
            gone = [row.key for row in batch if row.key not in now]
            logged = deleted_by_people(connection, table, gone, work.runs)
            for row in batch:
                decision = decide(table.judged, row.before, row.after, now.get(row.key))
                _settle(
                    connection,
                    table,
                    row,
                    Decision(deleted=True) if row.key in logged else decision,
                    notes,
                    apply=apply,
                )
    if apply and notes.counts.get(table.relation, Counter())[RESTORED]:
        advance_sequences(connection, table.relation)


def _settle(
    connection: psycopg.Connection, table: Comparison, row: Lost, decision: Decision, notes: Notes, *, apply: bool
) -> None:
    """Do what was decided about a row, and note it."""
    if decision.deleted:
        notes.add(table.relation, row.key, DELETED)
    if decision.conflicts:
        notes.add(table.relation, row.key, CONFLICT, [table.columns[i] for i in decision.conflicts])
    if decision.insert or decision.restore:
        columns = [table.columns[i] for i in decision.restore]
        try:
            done = not apply or bring_back(connection, table, row, decision)
        except psycopg.Error as error:
            if connection.closed:
                raise
            notes.blocked += error.sqlstate == _FOREIGN_KEY
            notes.add(table.relation, row.key, REFUSED, columns, describe(error))
            return
        what = RESTORED if decision.insert else FILLED
        notes.add(table.relation, row.key, what if done else CONFLICT, columns)
