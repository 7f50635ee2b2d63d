"""environments.toml: the named targets and their policies, checked before anything else happens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from wedsync_db import setting_values as values
from wedsync_db.errors import UsageError
from wedsync_db.model import Event
from wedsync_db.monitor.thresholds import THRESHOLDS
from wedsync_db.toml_tables import known_keys, read_document, read_table, table_of

Policy = Literal["off", "warn", "refuse"]


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """What the guard asks, and what it does about a bad answer (off: not asked, warn: said, refuse: stops)."""

    freeze: Policy = "refuse"
    zone: str = "UTC"  # IANA name of the platform's zone, in which Saturdays and the Friday freeze are meant
    freeze_from_friday_hour: int = 18
    weddings: Policy = "refuse"
    locked_weddings_allowed: int = 0  # so many may be near while migrations run that nobody notices
    long_transaction_seconds: int = 300
    free_disk_factor: float = 2.0  # free bytes here for backup and scratch, as a multiple of the database's size
    clock_skew_seconds: float = 2.0
    wait_for_holder_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class LockSettings:
    """How a migration gets its locks, and how long a statement may take."""

    poll_seconds: float = 30.0  # NOWAIT polling: nobody queues behind us
    lock_timeout_ms: int = 500  # when that starves: how long readers may queue behind us, each try
    attempts: int = 10
    roll_back_seconds: float = 300.0  # polling of a roll back: nobody queues, and giving up needs a person
    statement_timeout_ms: int = 600_000
    hold_budget_seconds: float = 10.0  # above it, consecutive migrations do not share a transaction


@dataclass(frozen=True, slots=True)
class MaintenanceSettings:
    """What the nightly work may do, and for how long."""

    budget_minutes: int = 60
    lock_timeout_ms: int = 2_000  # how long a query may queue behind maintenance
    freeze_ratio: float = 0.8  # freeze from this share of autovacuum_freeze_max_age on
    reindex_bloat_ratio: float = 0.4  # rebuild an index that is emptier than this …
    reindex_least_mb: int = 100  # … and larger
    hot_changes_per_minute: int = 10_000  # a table that is written more than this is left to another night
    cost_delay_ms: float = 2.0  # vacuum_cost_delay: 0 is full speed
    partitions_ahead_months: int = 3
    audit_keep_months: int = 24


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """Which backups stay. By time, never by count: two bad nights must not push out the good one."""

    keep_days: int = 14  # every backup younger than this
    keep_weeks: int = 8  # and the newest of each week
    keep_months: int = 12  # and of each month


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """Where the history store is: an embedded server of ours, or the database of the URL in the variable `url_env`."""

    embedded_major: int | None = 18
    database: str | None = "wedsync_history"
    url_env: str | None = None
    raw_days: int = 14
    hourly_days: int = 90
    daily_days: int = 730


@dataclass(frozen=True, slots=True)
class Environment:
    """One named target. Either `embedded_major` (a server of ours) or `url_env` (the name of a variable with a URL)."""

    name: str
    description: str = ""
    embedded_major: int | None = None
    database: str | None = None
    url_env: str | None = None
    role: str | None = None  # SET ROLE after login: who owns what migrations create
    migrations: Path = Path("migrations")
    allow_data_copy: bool = False
    load_test: bool = False  # its server may be loaded until it hurts
    atomic: Literal["deployment", "migration"] = "deployment"
    require_tls: bool = False
    require_exact_revert: bool = True  # False: an inexact revert is only warned of, and a later failure needs a person
    approval: bool = False
    approval_timeout_minutes: int = 60  # after which nobody said yes
    promoted_from: str | None = None  # the environment where everything is deployed and verified first
    require_load_test: str | None = None  # the scenario that has to pass there with these migrations
    backup_jobs: int = 2
    backup_key_env: str | None = None  # the variable with the key that backups are encrypted with
    pooler_url_env: str | None = None  # the variable with the URL of its pgbouncer's admin console
    notify: tuple[str, ...] = ()  # notification blocks of Prefect: slack-webhook/on-call
    notify_on: tuple[str, ...] = tuple(Event)
    guard: GuardSettings = field(default_factory=GuardSettings)
    locks: LockSettings = field(default_factory=LockSettings)
    maintenance: MaintenanceSettings = field(default_factory=MaintenanceSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    health: Mapping[str, Mapping[str, float | bool]] = field(default_factory=dict)  # overrides, by check


SUPPORTED_MAJORS = (15, 16, 17, 18)
_LONGEST_WAIT_MINUTES = 7 * 24 * 60  # a plan and a backup of last week are of no use
_MILLISECONDS = values.whole(1, 2**31 - 1)  # PostgreSQL's own limit; 0 would mean "for ever"
_ENVIRONMENT_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")  # it becomes a folder's name
_PASSWORD_INSIDE = re.compile(r"://[^\s/@]*:[^\s/]*@|password\s*=", re.IGNORECASE)

_GUARD: Mapping[str, values.Reader] = {
    "freeze": values.one_of("off", "warn", "refuse"),
    "zone": values.zone,
    "freeze_from_friday_hour": values.whole(0, 24),
    "weddings": values.one_of("off", "warn", "refuse"),
    "locked_weddings_allowed": values.whole(0, 1_000_000),
    "long_transaction_seconds": values.whole(1, 7 * 86_400),
    "free_disk_factor": values.number(),
    "clock_skew_seconds": values.number(),
    "wait_for_holder_seconds": values.number(zero=True),
}
_LOCKS: Mapping[str, values.Reader] = {
    "poll_seconds": values.number(zero=True),
    "lock_timeout_ms": _MILLISECONDS,
    "attempts": values.whole(1, 1000),
    "roll_back_seconds": values.number(zero=True),
    "statement_timeout_ms": _MILLISECONDS,
    "hold_budget_seconds": values.number(),
}
_MAINTENANCE: Mapping[str, values.Reader] = {
    "budget_minutes": values.whole(1, 24 * 60),
    "lock_timeout_ms": _MILLISECONDS,
    "freeze_ratio": values.number(),
    "reindex_bloat_ratio": values.number(),
    "reindex_least_mb": values.whole(0, 1_000_000),
    "hot_changes_per_minute": values.whole(1, 1_000_000_000),
    "cost_delay_ms": values.number(zero=True),
    "partitions_ahead_months": values.whole(1, 24),
    "audit_keep_months": values.whole(1, 120),
}
_RETENTION: Mapping[str, values.Reader] = {
    "keep_days": values.whole(1, 3660),
    "keep_weeks": values.whole(0, 520),
    "keep_months": values.whole(0, 240),
}
_HISTORY: Mapping[str, values.Reader] = {
    "embedded_major": values.one_of(*SUPPORTED_MAJORS),
    "database": values.database_name,
    "url_env": values.variable_name,
    "raw_days": values.whole(1, 366),
    "hourly_days": values.whole(1, 3660),
    "daily_days": values.whole(1, 36_600),
}
_HEALTH: Mapping[str, values.Reader] = {
    "degraded": values.number(zero=True),
    "unhealthy": values.number(zero=True),
    "for_seconds": values.whole(0, 7 * 86_400),
    "off": values.flag,
}
_ENVIRONMENT: Mapping[str, values.Reader] = {
    "description": values.text,
    "embedded_major": values.one_of(*SUPPORTED_MAJORS),
    "database": values.database_name,
    "url_env": values.variable_name,
    "role": values.database_name,
    "allow_data_copy": values.flag,
    "load_test": values.flag,
    "atomic": values.one_of("deployment", "migration"),
    "require_tls": values.flag,
    "require_exact_revert": values.flag,
    "approval": values.flag,
    "approval_timeout_minutes": values.whole(1, _LONGEST_WAIT_MINUTES),
    "promoted_from": values.text,
    "require_load_test": values.text,
    "backup_jobs": values.whole(1, 64),
    "backup_key_env": values.variable_name,
    "pooler_url_env": values.variable_name,
    "notify": values.listed(values.block_name),
    "notify_on": values.listed(values.one_of(*(event.value for event in Event))),
}


def load_environment(path: Path, name: str) -> Environment:
    """One environment of the file.

    Raises:
        UsageError: the file is not as it must be, or has no environment of this name.
    """
    environments = load_environments(path)
    if name not in environments:
        shown = values.shown_word(name) or "of that name"
        raise UsageError(
            f"there is no environment {shown}{values.suggestion(name, environments)}",
            hint=f"{path.name} knows: {', '.join(environments) or 'none'}",
        )
    return environments[name]


def load_environments(path: Path) -> Mapping[str, Environment]:
    """Every environment of the file by name, in the file's order; paths in it are relative to its folder.

    Raises:
        UsageError: one line with the file, the key and what is wrong with it; never a value that might be a secret.
    """
    document = _checked_document(path)
    _history(document, path.name)
    tables = table_of(document.get("environments", {}), f"{path.name}: environments")
    environments = {name: _environment(path, name, table) for name, table in tables.items()}
    for name, environment in environments.items():
        if environment.require_load_test and not environment.promoted_from:
            where = f"{path.name}: environments.{name}.require_load_test"
            raise UsageError(f"{where} needs promoted_from", hint="A load test of which environment?")
        _promotable(environments, name, f"{path.name}: environments.{name}.promoted_from")
    return MappingProxyType(environments)


def load_history(path: Path) -> HistorySettings:
    """The file's table [history]; an embedded store where there is none.

    Raises:
        UsageError: the file is not as it must be.
    """
    return _history(_checked_document(path), path.name)


def _history(document: Mapping[str, Any], file: str) -> HistorySettings:
    given = read_table(document.get("history", {}), _HISTORY, f"{file}: history")
    if "url_env" in given:
        if given.keys() & {"embedded_major", "database"}:
            raise UsageError(f"{file}: history has both a server of ours and url_env", hint="Give one of them.")
        given |= {"embedded_major": None, "database": None}
    return HistorySettings(**given)


def _checked_document(path: Path) -> Mapping[str, Any]:
    document = read_document(path)
    _refuse_secrets(document, path.name)
    known_keys(document, {"environments", "history"}, path.name)
    return document


def _refuse_secrets(value: object, where: str) -> None:
    """A password anywhere in the file is refused before a line is shown, whichever key it hides under."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_secrets(inner, f"{where}: {key}" if where.endswith(".toml") else f"{where}.{key}")
    elif isinstance(value, str) and _PASSWORD_INSIDE.search(value):
        raise UsageError(
            f"{where} holds a password",
            hint="Put the URL into the variable that url_env names, and change the password: it was written down",
        )


def _environment(path: Path, name: str, raw: object) -> Environment:
    where = f"{path.name}: environments.{values.shown_word(name) or '?'}"
    if not _ENVIRONMENT_NAME.fullmatch(name):
        raise UsageError(f"{where} is no good name", hint="Small letters, digits, _ and -, beginning with a letter")
    table = table_of(raw, where)
    parts = {"guard", "locks", "maintenance", "retention", "health"}
    readers = {**_ENVIRONMENT, "migrations": values.path_below(path.parent)}
    known_keys(table, readers.keys() | parts, where)
    given = {"migrations": "migrations", **{key: value for key, value in table.items() if key not in parts}}
    environment = Environment(
        name=name,
        guard=GuardSettings(**read_table(table.get("guard", {}), _GUARD, f"{where}.guard")),
        locks=LockSettings(**read_table(table.get("locks", {}), _LOCKS, f"{where}.locks")),
        maintenance=MaintenanceSettings(
            **read_table(table.get("maintenance", {}), _MAINTENANCE, f"{where}.maintenance")
        ),
        retention=RetentionSettings(**read_table(table.get("retention", {}), _RETENTION, f"{where}.retention")),
        health=_health(table.get("health", {}), f"{where}.health"),
        **read_table(given, readers, where),
    )
    _one_target(environment, where)
    return environment


def _health(raw: object, where: str) -> Mapping[str, Mapping[str, Any]]:
    """Overrides of health checks, by the check's name."""
    table = table_of(raw, where)
    known_keys(table, THRESHOLDS, where)
    return {name: read_table(given, _HEALTH, f"{where}.{name}") for name, given in table.items()}


def _one_target(environment: Environment, where: str) -> None:
    if (environment.embedded_major is None) == (environment.url_env is None):
        both = environment.url_env is not None
        raise UsageError(
            f"{where} has {'both' if both else 'neither'} embedded_major {'and' if both else 'nor'} url_env",
            hint="embedded_major = 18 for a server of ours, or url_env with the name of a variable that holds a URL",
        )
    if environment.url_env is not None and environment.database is not None:
        raise UsageError(f"{where}.database is for embedded servers", hint="A URL names its database itself")


def _promotable(environments: Mapping[str, Environment], name: str, where: str) -> None:
    """An environment is promoted from another one of the file, and not, by whatever way, from itself."""
    way = [name]
    while (source := environments[way[-1]].promoted_from) is not None:
        if source not in environments:
            known = ", ".join(one for one in environments if one != name)
            shown = values.shown_word(source)
            said = f"names no environment{f': {shown!r}' if shown else ''}{values.suggestion(source, environments)}"
            raise UsageError(f"{where} {said}", hint=f"It can be one of: {known or 'none, there is no other'}")
        if source in way:
            raise UsageError(f"{where} leads back to {source}", hint="One environment has to come first")
        way.append(source)
