"""environments.toml: the named targets and their policies, checked before anything else happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Policy = Literal["off", "warn", "refuse"]


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """What the guard asks, and what it does about a bad answer (off: not asked, warn: said, refuse: stops)."""

    freeze: Policy = "refuse"
    zone: str = "UTC"  # IANA name of the platform's zone, in which Saturdays and the Friday freeze are meant
    freeze_from_friday_hour: int = 18
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
    statement_timeout_ms: int = 600_000
    hold_budget_seconds: float = 10.0  # above it, consecutive migrations do not share a transaction


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
    atomic: Literal["deployment", "migration"] = "deployment"
    require_tls: bool = False
    require_exact_revert: bool = True  # False: an inexact revert is only warned of, and a later failure needs a person
    approval: bool = False
    backup_jobs: int = 2
    guard: GuardSettings = field(default_factory=GuardSettings)
    locks: LockSettings = field(default_factory=LockSettings)
