"""Fill a database with made-up suppliers and weddings, the same on every machine, through COPY.

Everything follows from the seed and the number of suppliers: no clock, no global chance, no time-zone data. Memory is
bounded by one batch of suppliers; it all commits together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

import psycopg
from psycopg import sql

from wedsync_db.errors import Refused, UsageError, WedsyncError
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.seed.rows import COLUMNS, Rows
from wedsync_db.seed.suppliers import suppliers
from wedsync_db.seed.weddings import weddings

SEED = 20260601
_BATCH = 25  # suppliers; about 15,000 rows
_SUPPLIERS_SHARE = 0.05  # of the work


def seed(
    address: Address,
    *,
    organizations: int,
    seed: int = SEED,
    say: Callable[[str], None],
    progress: Callable[[float], None],
) -> Mapping[str, int]:
    """Fill the tables of 0003_tenancy and 0004_weddings and analyze them; 120 organizations give about 60,000 rows.

    Returns:
        How many rows each table got.

    Raises:
        UsageError: fewer than one organization.
        Refused: a table is missing, or already holds rows.
        WedsyncError: the database refused a row, or the role may not see or write all rows.
    """
    if organizations < 1:
        raise UsageError(f"cannot make {organizations} organizations", hint="Ask for at least one.")
    written: Counter[str] = Counter()
    try:
        with session(address, "seed", statement_timeout_ms=0, settings={"row_security": "off"}) as connection:
            with connection.transaction():
                _require_empty(connection)
                say(f"filling {address.dbname} with {organizations} organizations")
                for done, rows in _batches(seed, organizations):
                    written.update(_copy(connection, rows))
                    progress(done)
            for table in COLUMNS:
                connection.execute(sql.SQL("analyze {}").format(_name(table)))
    except psycopg.Error as error:
        raise WedsyncError(
            f"filling {address.dbname} failed: {error.diag.message_primary or type(error).__name__}",
            hint="Nothing was kept. It has to run as the role that owns the tables.",
            sqlstate=error.sqlstate,
        ) from None
    say(f"{written.total():,} rows in {len(written)} tables")
    return dict(written)


def _require_empty(connection: psycopg.Connection) -> None:
    missing = connection.execute(query("seed", "missing_tables"), [list(COLUMNS)]).fetchall()
    if missing:
        raise Refused(
            f"there is no table public.{missing[0][0]} to fill", hint="Deploy the migrations up to 0004_weddings first."
        )
    connection.execute(sql.SQL(query("seed", "lock_out_others")).format(table=_name("organizations")))
    for table in COLUMNS:
        occupied = connection.execute(sql.SQL(query("seed", "holds_rows")).format(table=_name(table))).fetchone()
        if occupied != (False,):
            raise Refused(f"public.{table} already holds rows", hint="Made-up data goes into an empty database only.")


def _batches(seed: int, organizations: int) -> Iterator[tuple[float, Rows]]:
    """First all suppliers, since any may work at any wedding; each batch with the share of the work done by then."""
    for numbers in _ranges(organizations):
        yield numbers.stop / organizations * _SUPPLIERS_SHARE, suppliers(seed, numbers)
    for numbers in _ranges(organizations):
        share = numbers.stop / organizations
        yield _SUPPLIERS_SHARE + share * (1 - _SUPPLIERS_SHARE), weddings(seed, numbers, organizations)


def _ranges(organizations: int) -> Iterable[range]:
    return (range(first, min(first + _BATCH, organizations)) for first in range(0, organizations, _BATCH))


def _copy(connection: psycopg.Connection, rows: Rows) -> Mapping[str, int]:
    for table, columns in COLUMNS.items():
        if table in rows:
            names = sql.SQL(", ").join(map(sql.Identifier, columns))
            into = sql.SQL("copy {} ({}) from stdin").format(_name(table), names)
            with connection.cursor() as cursor, cursor.copy(into) as copy:
                for row in rows[table]:
                    copy.write_row(row)
    return {table: len(found) for table, found in rows.items()}


def _name(table: str) -> sql.Identifier:
    return sql.Identifier("public", table)
