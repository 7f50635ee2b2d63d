"""What a night's work is, in which order, and what is left for another night. Pure.

Freezing comes first, as it cannot wait for ever; then what has most dead rows; then statistics. A table that is being
written hard, or worked on already, is left alone. Time is planned from how long the same took before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from wedsync_db.settings import MaintenanceSettings

Action = Literal["freeze", "vacuum", "analyze"]
_ORDER: Mapping[Action, int] = {"freeze": 0, "vacuum": 1, "analyze": 2}
_SLOWER = 1.5  # tonight may take longer than last time
_BYTES_PER_SECOND = 50_000_000  # of a table that nobody timed yet: a modest disk, read once


@dataclass(frozen=True, slots=True)
class Candidate:
    """A table that needs something. Debts are multiples of what starts autovacuum; `priority` is larger for more need.

    `changes_per_minute` is what was written to it between two looks just now; None where that is not known.
    """

    table: str
    action: Action
    priority: float
    bytes: int
    freeze_ratio: float = 0.0
    changes_per_minute: float | None = None
    running: bool = False
    requested: bool = False  # somebody asked for it by ops.vacuum_analyze_table


@dataclass(frozen=True, slots=True)
class Work:
    """One table to work on, with the seconds it will probably take."""

    table: str
    action: Action
    seconds: float


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A table that needs something and gets nothing tonight, and why."""

    table: str
    action: Action
    reason: Literal["running", "hot", "over_budget"]


def plan(
    candidates: Iterable[Candidate],
    settings: MaintenanceSettings,
    *,
    budget_seconds: float,
    took_before: Mapping[tuple[str, Action], float],
) -> tuple[tuple[Work, ...], tuple[LeftAlone, ...]]:
    """The night's work in order, and what is left alone. A short piece may still fit where a long one did not.

    Freezing is begun, however long it takes, while there is time at all: it cannot wait for ever, and what it did in
    one night the next need not do again.
    """
    work: list[Work] = []
    left: list[LeftAlone] = []
    spent = 0.0
    for one in sorted(candidates, key=lambda c: (not c.requested, _ORDER[c.action], -c.priority, c.table)):
        if reason := _reason(one, settings):
            left.append(LeftAlone(one.table, one.action, reason))
            continue
        seconds = _predicted(one, took_before)
        if one.action == "freeze":
            seconds = min(seconds, budget_seconds - spent)
        if spent + seconds > budget_seconds or seconds <= 0 < spent:
            left.append(LeftAlone(one.table, one.action, "over_budget"))
            continue
        spent += seconds
        work.append(Work(one.table, one.action, seconds))
    return tuple(work), tuple(left)


def _reason(one: Candidate, settings: MaintenanceSettings) -> Literal["running", "hot"] | None:
    if one.running:
        return "running"
    # wraparound waits for no quiet night
    is_hot = one.changes_per_minute is not None and one.changes_per_minute >= settings.hot_changes_per_minute
    return "hot" if is_hot and one.action != "freeze" else None


def _predicted(one: Candidate, took_before: Mapping[tuple[str, Action], float]) -> float:
    known = took_before.get((one.table, one.action))
    if known is not None:
        return known * _SLOWER
    share = 0.1 if one.action == "analyze" else 1.0  # it reads a sample
    return one.bytes * share / _BYTES_PER_SECOND * _SLOWER


Outcome = Literal[
    "done", "busy", "denied", "skipped_locked", "blocked_by_xmin", "over_budget", "yielded", "gone", "failed"
]


@dataclass(frozen=True, slots=True)
class Counters:
    """What the server counts of a table: how often it was vacuumed and analyzed, its dead rows, its frozen age."""

    vacuums: int
    analyzes: int
    dead_rows: int
    xid_age: int


def judged(action: Action, before: Counters, after: Counters, warnings: Iterable[str]) -> Outcome:
    """What became of it, by the counters: VACUUM ends well, too, when it had no right, no lock or no effect.

    `warnings` are the SQLSTATEs of the server's warnings: 01000 for a missing right, 55P03 for a lock.
    """
    said = tuple(warnings)
    counted = after.analyzes > before.analyzes if action == "analyze" else after.vacuums > before.vacuums
    if not counted:
        return next(_without_effect(said), "failed")
    if action == "vacuum" and before.dead_rows > 0 and after.dead_rows >= before.dead_rows:
        return "blocked_by_xmin"
    if action == "freeze" and after.xid_age >= before.xid_age > 0:
        return "blocked_by_xmin"
    return "done"


def _without_effect(warnings: tuple[str, ...]) -> Iterator[Outcome]:
    if "55P03" in warnings:
        yield "skipped_locked"
    if "01000" in warnings or "42501" in warnings:
        yield "denied"
