"""Fill a database with made-up suppliers and weddings, the same on every machine, through COPY.

Everything follows from the seed and the size: no clock, no global chance, no time-zone data. Memory is bounded by one
batch of rows; it all commits together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import psycopg
from psycopg import sql

from wedsync_db.errors import Refused, UsageError, WedsyncError
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.seed import history
from wedsync_db.seed.everything import Piece, Plan
from wedsync_db.seed.rows import COLUMNS, MODULES, PUBLISHED, REQUIRED, Row, Rows, collect
from wedsync_db.seed.sizes import SIZES, Size
from wedsync_db.seed.triggers import without_triggers

SEED = 20260601
_LOG = "audit.log"
_LOG_SHARE = 0.05  # of the work
_BATCH = 15_000  # rows, and those of one more wedding: a list of 900 guests is about 3,500


def seed(
    address: Address,
    *,
    organizations: int | None = None,
    size: str | None = None,
    seed: int = SEED,
    say: Callable[[str], None],
    progress: Callable[[float], None],
) -> Mapping[str, int]:
    """Fill the tables of all migrations that are deployed, and analyze them.

    Either `organizations`, each with all its weddings, or a name from SIZES. Required is 0004_weddings; the tables of
    later migrations are filled where they are. Triggers do not act on the rows, which are as they would have let them
    be; constraints are all checked.

    Returns:
        How many rows each table got.

    Raises:
        UsageError: fewer than one organization, an unknown size, both or neither.
        Refused: a table is missing, or already holds rows.
        WedsyncError: the database refused a row, or the role may not see or write all rows.
    """
    wanted = _size(organizations, size)
    written: Counter[str] = Counter()
    try:
        with session(address, "seed", statement_timeout_ms=0, settings={"row_security": "off"}) as connection:
            with connection.transaction():
                plan = Plan(seed, wanted, _modules(connection))
                tables = [table for module in plan.modules for table in MODULES[module]]
                log = [_LOG] if _LOG not in _missing(connection, [_LOG]) else []
                _require_empty(connection, tables)
                say(f"filling {address.dbname} with {wanted.organizations} organizations: {_extent(plan)}")
                for done, counted in _fill(connection, plan, tables):
                    written.update(counted)
                    progress(done)
                progress(1.0)
            for table in [*tables, *log]:
                connection.execute(sql.SQL("analyze {}").format(_name(table)))
    except psycopg.Error as error:
        raise WedsyncError(
            f"filling {address.dbname} failed: {error.diag.message_primary or type(error).__name__}",
            hint="Nothing was kept. It has to run as the role that owns the tables.",
            sqlstate=error.sqlstate,
        ) from None
    say(f"{written.total():,} rows in {len(written)} tables")
    return dict(written)


def _size(organizations: int | None, size: str | None) -> Size:
    if (organizations is None) == (size is None):
        raise UsageError("how much is to be made is not clear", hint="Name a number of organizations, or a size.")
    if organizations is not None:
        return Size(organizations)
    if size is None or size not in SIZES:
        raise UsageError(f"there is no size {size}", hint=f"Sizes are {', '.join(SIZES)}.")
    return SIZES[size]


def _modules(connection: psycopg.Connection) -> list[str]:
    """The migrations whose tables are there; a migration's tables are there all together."""
    missing = _missing(connection, COLUMNS)
    modules = [name for name, tables in MODULES.items() if name in REQUIRED or not missing.issuperset(tables)]
    for name in modules:
        for table in MODULES[name]:
            if table in missing:
                raise Refused(f"there is no table public.{table} to fill", hint=f"Deploy {name} first.")
    return modules


def _missing(connection: psycopg.Connection, tables: Iterable[str]) -> set[str]:
    names = {_qualified(table): table for table in tables}
    return {names[name] for (name,) in connection.execute(query("seed", "missing_tables"), [list(names)])}


def _extent(plan: Plan) -> str:
    """Which migrations' tables are filled, and which not."""
    absent = [name for name in MODULES if name not in plan.modules]
    return f"the tables up to {max(plan.modules)}" + (f", as there are none of {', '.join(absent)}" if absent else "")


def _require_empty(connection: psycopg.Connection, tables: Iterable[str]) -> None:
    connection.execute(sql.SQL(query("seed", "lock_out_others")).format(table=_name("organizations")))
    for table in tables:
        occupied = connection.execute(sql.SQL(query("seed", "holds_rows")).format(table=_name(table))).fetchone()
        if occupied != (False,):
            raise Refused(
                f"{_qualified(table)} already holds rows", hint="Made-up data goes into an empty database only."
            )


def _fill(
    connection: psycopg.Connection, plan: Plan, tables: Sequence[str]
) -> Iterator[tuple[float, Mapping[str, int]]]:
    """Write everything; after each batch the share of the work done, and its rows by table."""
    with without_triggers(connection, [_qualified(table) for table in tables]):
        for done, rows in _batches(plan.pieces()):
            yield done * (1 - _LOG_SHARE), _copy(connection, rows)
    for done, entries in history.write(connection):
        yield 1 - _LOG_SHARE + done * _LOG_SHARE, {_LOG: entries}


def _batches(pieces: Iterable[tuple[float, Piece]]) -> Iterator[tuple[float, Rows]]:
    """Pieces put together until they are large enough to be written; each with the share of the work done by then."""
    held: list[tuple[str, Row]] = []
    for done, piece in pieces:
        if len(held) >= _BATCH:
            yield done, collect(held)
            held.clear()
        held.extend(piece)
    yield 1.0, collect(held)


def _copy(connection: psycopg.Connection, rows: Rows) -> Mapping[str, int]:
    """Write a batch, parents first; a form is published when its version is there."""
    for table, columns in COLUMNS.items():
        if table in rows:
            names = sql.SQL(", ").join(map(sql.Identifier, columns))
            into = sql.SQL("copy {} ({}) from stdin").format(_name(table), names)
            with connection.cursor() as cursor, cursor.copy(into) as copy:
                for row in rows[table]:
                    copy.write_row(row)
    if PUBLISHED in rows:
        connection.execute(query("seed", "publish_forms"), list(map(list, zip(*rows[PUBLISHED], strict=True))))
    return {table: len(found) for table, found in rows.items() if table in COLUMNS}


def _qualified(table: str) -> str:
    return table if "." in table else f"public.{table}"


def _name(table: str) -> sql.Identifier:
    return sql.Identifier(*_qualified(table).split("."))
