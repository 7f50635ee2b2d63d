"""What a pgbouncer does for each database, as series and as checks: who waits there, and how much of it is in use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wedsync_db.errors import UsageError, WedsyncError
from wedsync_db.monitor.console import CONSOLE, Answers, Rows, ask
from wedsync_db.monitor.judge import judge, unknown, worst
from wedsync_db.monitor.metrics import Kind, Metric
from wedsync_db.monitor.states import Checked
from wedsync_db.monitor.thresholds import Threshold
from wedsync_db.postgres.session import Address
from wedsync_db.postgres.url import address_from_url, require_tls
from wedsync_db.settings import Environment

CHECKS = ("pooler_wait", "pooler_used", "pooler_clients")
OTHERS = "others"
_QUESTIONS = ("pools", "databases", "stats", "lists", "config")
_MOST_DATABASES = 50  # each is a label: a pooler that takes any name for a database must not fill the history
_GAUGE: Kind = "gauge"
_COUNTER: Kind = "counter"
_MICROSECONDS = 1e-6
# name, unit, the columns of SHOW POOLS that it is the sum of
_FROM_POOLS = (
    ("pooler_clients_active", "clients", ("cl_active",)),
    ("pooler_clients_waiting", "clients", ("cl_waiting",)),
    ("pooler_servers_active", "connections", ("sv_active", "sv_login", "sv_tested", "sv_being_canceled")),
    ("pooler_servers_idle", "connections", ("sv_idle", "sv_used")),
)
# name, unit, the column of SHOW STATS, and what its values are in
_FROM_STATS = (
    ("pooler_transactions", "transactions", "total_xact_count", 1.0),
    ("pooler_queries", "queries", "total_query_count", 1.0),
    ("pooler_received", "bytes", "total_received", 1.0),
    ("pooler_sent", "bytes", "total_sent", 1.0),
    ("pooler_transaction_time", "seconds", "total_xact_time", _MICROSECONDS),
    ("pooler_query_time", "seconds", "total_query_time", _MICROSECONDS),
    ("pooler_wait_time", "seconds", "total_wait_time", _MICROSECONDS),
)
_CLIENTS = Metric("pooler_clients", _GAUGE, "ratio")


@dataclass(frozen=True, slots=True)
class Pooler:
    """One look at it. What could not be read is None or missing, and `problems` say why."""

    values: Mapping[Metric, float | None]
    problems: tuple[str, ...] = ()
    version: str = ""  # as it calls itself: PgBouncer 1.18.0
    paused: frozenset[str] = frozenset()  # databases whose clients wait because somebody wants it


def look_at_pooler(environment: Environment, environ: Mapping[str, str]) -> Pooler | None:
    """What the environment's pooler does; None where it names none. Never raises."""
    if environment.pooler_url_env is None:
        return None
    try:
        address = console_address(environment, environ)
    except WedsyncError as error:
        return Pooler(dict.fromkeys([_CLIENTS]), (f"pooler: {error.message}",))
    return pooler_of(ask(address, _QUESTIONS))


def console_address(environment: Environment, environ: Mapping[str, str]) -> Address:
    """Where its console is. It may be a socket even where TLS is required: that does not leave the machine.

    Raises:
        UsageError: the variable is not set, or holds no URL.
        Refused: it is not encrypted, and the environment requires it.
    """
    variable = environment.pooler_url_env or ""
    url = environ.get(variable)
    if not url:
        raise UsageError(
            f"the variable {variable} is not set",
            hint=f"export {variable}='postgresql://user:password@host:6432/{CONSOLE}', or take pooler_url_env away",
        )
    address = address_from_url(url, variable, environ)
    return require_tls(address, variable) if environment.require_tls and not _is_socket(address) else address


def pooler_of(answers: Answers) -> Pooler:
    """What its answers come to. Pure."""
    tables = answers.tables
    version = tables["version"][0]["version"] if "version" in tables else ""
    values: dict[Metric, float | None] = {_CLIENTS: _clients(tables)}
    for name, rows in _by_database(tables.get("pools", ()), tables.get("stats", ())).items():
        values |= _of_database(name, rows, tables)
    paused = frozenset(row["name"] for row in tables.get("databases", ()) if row.get("paused") == "1")
    return Pooler(values, answers.problems, version, paused)


def judged(pooler: Pooler, chosen: Mapping[str, Threshold]) -> tuple[Checked, ...]:
    """The checks of a pooler that are not switched off. What could not be asked is unknown. Pure."""
    return worst(found for name in CHECKS if name in chosen for found in _check(pooler, name, chosen[name]))


def _check(pooler: Pooler, name: str, threshold: Threshold) -> Iterator[Checked]:
    values = {metric: value for metric, value in pooler.values.items() if _is_about(metric, name)}
    why = "; ".join(pooler.problems) or "it does not say"
    if not values and pooler.version and not pooler.problems:
        yield judge(name, threshold, 0.0, "no client has been there")
    elif not values:
        yield unknown(name, threshold, why)
    for metric, value in values.items():
        database = dict(metric.labels).get("database", "")
        evidence = _evidence(pooler, database) if value is not None else why
        yield judge(name, threshold, value, evidence, subject=database)


def _is_about(metric: Metric, check: str) -> bool:
    return metric.name == check and metric.kind == _GAUGE


def _evidence(pooler: Pooler, database: str) -> str:
    if not database:
        return "clients of the pooler, of those it takes (max_client_conn)"
    known = {m.name: v for m, v in pooler.values.items() if dict(m.labels).get("database") == database}
    text = "{:.0f} clients wait, {:.0f} connections are at work".format(
        known.get("pooler_clients_waiting") or 0, known.get("pooler_servers_active") or 0
    )
    return f"{text}; it is paused" if database in pooler.paused else text


def _of_database(name: str, rows: tuple[Rows, Rows], tables: Mapping[str, Rows]) -> Mapping[Metric, float | None]:
    """A database's series over all its users: sums, and of waiting and use the worst pool."""
    pools, stats = rows
    label = (("database", name),)
    sizes = {row["name"]: _number(row, "pool_size") for row in tables.get("databases", ())}
    values: dict[Metric, float | None] = {}
    if "pools" in tables:
        values[Metric("pooler_wait", _GAUGE, "seconds", label)] = _greatest(map(_waited, pools))
        values[Metric("pooler_used", _GAUGE, "ratio", label)] = _greatest(_used(row, sizes) for row in pools)
        for series, unit, columns in _FROM_POOLS:
            values[Metric(series, _GAUGE, unit, label)] = _sum(_busy(row, columns) for row in pools)
    if "stats" in tables:
        for series, unit, column, scale in _FROM_STATS:
            total = _sum(_number(row, column) for row in stats)
            values[Metric(series, _COUNTER, unit, label)] = None if total is None else total * scale
    return values


def _by_database(pools: Rows, stats: Rows) -> Mapping[str, tuple[Rows, Rows]]:
    """The rows of each database but the console's own; those of too many come together as `others`."""
    clients: dict[str, float] = {}
    for row in (*stats, *pools):
        here = _busy(row, ("cl_active", "cl_waiting")) or 0.0
        clients[row["database"]] = clients.get(row["database"], 0.0) + here
    clients.pop(CONSOLE, None)
    shown = sorted(clients, key=lambda name: (-clients[name], name))[:_MOST_DATABASES]
    groups = {name: {name} for name in shown} | (
        {OTHERS: set(clients) - set(shown)} if len(clients) > len(shown) else {}
    )
    return {
        name: (
            tuple(row for row in pools if row["database"] in group),
            tuple(row for row in stats if row["database"] in group),
        )
        for name, group in groups.items()
    }


def _clients(tables: Mapping[str, Rows]) -> float | None:
    """How many of the clients it takes are there."""
    used = next((_number(row, "items") for row in tables.get("lists", ()) if row["list"] == "used_clients"), None)
    most = next((_number(row, "value") for row in tables.get("config", ()) if row["key"] == "max_client_conn"), None)
    return used / most if used is not None and most else None


def _waited(row: Mapping[str, str]) -> float | None:
    seconds, rest = _number(row, "maxwait"), _number(row, "maxwait_us")
    return None if seconds is None else seconds + (rest or 0.0) * _MICROSECONDS


def _used(row: Mapping[str, str], sizes: Mapping[str, float | None]) -> float | None:
    """How many of the server connections that this pool may have do something."""
    size, busy = sizes.get(row["database"]), _busy(row, _FROM_POOLS[2][2])
    return busy / size if size and busy is not None else None


def _busy(row: Mapping[str, str], columns: Iterable[str]) -> float | None:
    """The sum of these columns; those that this version does not have are left out, unless it has none."""
    return _sum(_number(row, column) for column in columns if column in row)


def _sum(numbers: Iterable[float | None]) -> float | None:
    known = list(numbers)
    return None if not known or None in known else sum(number for number in known if number is not None)


def _greatest(numbers: Iterable[float | None]) -> float | None:
    known = list(numbers)
    return None if not known or None in known else max(number for number in known if number is not None)


def _number(row: Mapping[str, Any], column: str) -> float | None:
    try:
        return float(row[column])
    except (KeyError, ValueError):
        return None


def _is_socket(address: Address) -> bool:
    return all(host.startswith(("/", "@")) for host in address.host.split(","))
