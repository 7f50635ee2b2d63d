"""The audit log of made-up rows, as its triggers would have written it over the years; made inside the database.

All entries say service_role and name no user. They go where there is a partition for their month, else to the default.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
from psycopg import sql

from wedsync_db.postgres.queries import query

# the others came as they are
_STATES = frozenset(
    ("wedding_vendors", "forms", "contracts", "subscriptions", "invoices", "payments", "consents", "data_requests")
)


def write(connection: psycopg.Connection) -> Iterator[tuple[float, int]]:
    """Log every table that is logged; after each the share of the work done, and its entries."""
    connection.execute("set local timezone = 'UTC'")  # how a time looks in a log entry
    connection.execute("set local jit = off")  # compiling takes longer than most of these tables
    logged = [table for (table,) in connection.execute(query("seed", "logged_tables"))]
    for place, table in enumerate(logged, start=1):
        yield place / len(logged), _log(connection, table)


def _log(connection: psycopg.Connection, table: str) -> int:
    own = {"organizations": ("id", "wedding_id"), "weddings": ("organization_id", "id")}
    organization, wedding = own.get(table, ("organization_id", "wedding_id"))
    statement = sql.SQL(query("seed", "log_history")).format(
        table=sql.Identifier("public", table),
        states=sql.SQL(query("seed_states", table if table in _STATES else "any")),
        relation=sql.Literal(f"public.{table}"),
        organization=sql.Literal(organization),
        wedding=sql.Literal(wedding),
    )
    return connection.execute(statement).rowcount
