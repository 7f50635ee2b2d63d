"""The target's part: how rows are now, and bringing back what is lost without touching what is newer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import psycopg
from psycopg import sql

from wedsync_db.postgres.content import quoted
from wedsync_db.postgres.queries import query
from wedsync_db.repair.compare import Key, Lost, as_text
from wedsync_db.repair.decide import Comparison, Decision, Values

_UUID = "uuid"


def look(connection: psycopg.Connection, table: Comparison, keys: Sequence[Key]) -> dict[Key, Values]:
    """How these rows are now, by key; a row that is not there is left out."""
    names = [sql.Identifier(f"key_{n}") for n in range(len(table.key))]
    same = [
        sql.SQL("t.{} = w.{}::{}").format(_name(column), name, _safe(kind))
        for column, name, kind in zip(table.key, names, table.key_types, strict=True)
    ]
    statement = sql.SQL(query("repair", "look")).format(
        values=sql.SQL(", ").join(sql.SQL("t.") + _text(c) for c in table.columns),
        keys=sql.SQL(", ").join(sql.SQL("pg_catalog.unnest(%s::pg_catalog.text[])") for _ in table.key),
        names=sql.SQL(", ").join(names),
        relation=_safe(table.relation),
        same=sql.SQL(" and ").join(same),
    )
    rows = connection.execute(statement, [list(column) for column in zip(*keys, strict=True)])
    return {keys[place - 1]: tuple(values) for place, values in rows}


def deleted_by_people(
    connection: psycopg.Connection, table: Comparison, keys: Sequence[Key], runs: Sequence[tuple[datetime, datetime]]
) -> set[Key]:
    """Those of the rows that the audit log, where there is one, says were deleted outside of these deployments."""
    if table.key_types != (_UUID,) or not keys or not connection.execute(query("repair", "has_log")).fetchall()[0][0]:
        return set()
    values = [table.relation, [key for (key,) in keys], [start for start, _ in runs], [end for _, end in runs]]
    return {(key,) for (key,) in connection.execute(query("repair", "deleted_meanwhile"), values)}


def bring_back(connection: psycopg.Connection, table: Comparison, row: Lost, decision: Decision) -> bool:
    """Do what was decided about a row, with every trigger; False where somebody wrote to it a moment ago.

    Raises:
        psycopg.Error: a trigger or a constraint says no. Nothing was done.
    """
    statement, values = _insert(table, row) if decision.insert else _update(table, row, decision.restore)
    with connection.transaction():
        return connection.execute(statement, values).rowcount == 1


def advance_sequences(connection: psycopg.Connection, relation: str) -> None:
    """Let no sequence hand out the number of a row that came back."""
    for column, sequence in connection.execute(query("repair", "sequences"), {"relation": relation}).fetchall():
        statement = sql.SQL(query("repair", "advance")).format(column=_name(column), relation=_safe(relation))
        connection.execute(statement, {"sequence": sequence})


def _insert(table: Comparison, row: Lost) -> tuple[sql.Composed, list[str | None]]:
    statement = sql.SQL(query("repair", "insert")).format(
        relation=_safe(table.relation),
        columns=sql.SQL(", ").join(map(_name, table.columns)),
        values=sql.SQL(", ").join(map(_typed, table.types)),
        key=sql.SQL(", ").join(map(_name, table.key)),
    )
    return statement, list(row.before)


def _update(table: Comparison, row: Lost, positions: Sequence[int]) -> tuple[sql.Composed, list[str | None]]:
    columns = [table.columns[i] for i in positions]
    unchanged = [sql.SQL("{} is not distinct from %s").format(_text(c)) for c in columns]
    assignments = [
        sql.SQL("{} = {}").format(_name(c), _typed(table.types[i])) for c, i in zip(columns, positions, strict=True)
    ]
    same = [
        sql.SQL("{} = {}").format(_name(c), _typed(kind)) for c, kind in zip(table.key, table.key_types, strict=True)
    ]
    statement = sql.SQL(query("repair", "update")).format(
        relation=_safe(table.relation),
        assignments=sql.SQL(", ").join(assignments),
        same=sql.SQL(" and ").join(same),
        unchanged=sql.SQL(" and ").join(unchanged),
    )
    after = row.after or row.before  # never without: only a row that was left there is updated
    return statement, [*(row.before[i] for i in positions), *row.key, *(after[i] for i in positions)]


def _typed(kind: str) -> sql.Composed:
    return sql.SQL("%s::{}").format(_safe(kind))


def _name(column: str) -> sql.SQL:
    return _safe(sql.Identifier(column).as_string())


def _text(column: str) -> sql.SQL:
    return _safe(as_text(column).as_string())


def _safe(quoted_name: str) -> sql.SQL:
    """A name, quoted already, for a statement with parameters, where a percent sign would be taken for one."""
    return quoted(quoted_name.replace("%", "%%"))
