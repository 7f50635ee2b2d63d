"""One look at an environment: measured, judged, told and kept. A lost history store takes nothing but memory away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import psycopg

from wedsync_db.errors import Unreachable, WedsyncError
from wedsync_db.history import alerts, disk, samples, statements
from wedsync_db.history.best_effort import said
from wedsync_db.history.store import open_history
from wedsync_db.installation import Installation
from wedsync_db.monitor.alerts import Notice
from wedsync_db.monitor.beside import beside
from wedsync_db.monitor.collect import collect
from wedsync_db.monitor.health import BackupFacts, Counters, look
from wedsync_db.monitor.judge import worst
from wedsync_db.monitor.metrics import Sample, Tier
from wedsync_db.monitor.observed import observed
from wedsync_db.monitor.statements import read_statements, texts
from wedsync_db.monitor.states import Checked, State, overall
from wedsync_db.monitor.thresholds import limits
from wedsync_db.postgres.session import QUICK, Address, session
from wedsync_db.settings import Environment, load_history

NO_MEMORY = "the history store does not answer: nothing is kept, and alerts have no memory"
NOT_KEPT = "the history store does not take what was measured"
_EVERY: Mapping[Tier, timedelta] = {
    "tables": timedelta(minutes=5),
    "sizes": timedelta(hours=1),
    "nightly": timedelta(days=1),
}
_EARLY = timedelta(seconds=30)  # a run that starts a little before its time is not one too early
_OLDEST_COUNTERS = timedelta(minutes=10)  # a rate over hours says nothing about now
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Look:
    """What was found. `remembered` is False where alerts had no memory, and so nobody was told of any.

    `problems`: what could not be measured or kept, in words that stay the same while it is so. `details` say more.
    """

    environment: str
    found: tuple[Checked, ...]
    remembered: bool
    problems: tuple[str, ...] = ()
    details: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """How the environment is."""
        return overall(self.found)

    @property
    def line(self) -> str:
        """For people: the state, the checks that are not healthy, and what could not be kept."""
        bad = sorted({one.name for one in self.found if one.state is not State.HEALTHY})
        text = f"{self.environment}: {self.state.value}" + (f" ({', '.join(bad)})" if bad else "")
        return "; ".join([text, *self.problems])


def look_at(
    installation: Installation,
    environment: Environment,
    *,
    clock: Callable[[], datetime],
    backups: BackupFacts | None,
    tell: Callable[[Notice], None],
) -> Look:
    """Measure an environment, judge it, go on with its alerts and keep it all.

    Raises:
        UsageError: its address is missing or wrong.
        Refused: it is embedded, and was never started.
    """
    details: list[str] = []
    with _history(installation, details) as store, installation.target(environment.name) as address:
        now = clock()
        before = _try(lambda: store and samples.newest(store, environment.name, "fast", now), details)
        fresh = _fresh(address, store, environment.name, clock, details)
        earlier = counters_of(before, now) if before else None
        more = beside(environment, installation.environ, address if fresh else None)
        fresh = tuple(map(more.added_to, fresh))
        found = worst((*look(address, environment.health, now=clock, backups=backups, before=earlier), *more.found))
        found = worst(_with_outlook(store, environment.name, found, now, details))
        fresh = tuple(_with_observed(sample, found) for sample in fresh)
        remembered = _alerted(store, environment, found, clock(), tell, details)
        kept = _kept(store, environment.name, fresh, installation, clock(), details)
        if any(sample.tier == "tables" for sample in fresh):
            _keep_statements(address, store, environment.name, clock(), details)
    problems = () if remembered and kept else (NOT_KEPT,) if remembered else (NO_MEMORY,)
    unread = tuple(problem for sample in fresh for problem in sample.problems)
    return Look(environment.name, found, remembered, problems, (*details, *unread))


def _with_outlook(
    store: psycopg.Connection | None, environment: str, found: tuple[Checked, ...], now: datetime, details: list[str]
) -> tuple[Checked, ...]:
    """What is found, the disk by its growth, too; nothing is asked where its room is not known."""
    if store is None or not any(one.name == disk.CHECK and one.observed is not None for one in found):
        return found
    return disk.with_forecast(found, _try(lambda: disk.days_until_full(store, environment, now), details))


def tiers_due(last: Mapping[str, datetime], now: datetime) -> tuple[Tier, ...]:
    """What to measure now besides what is measured each time. Pure."""
    return tuple(tier for tier, every in _EVERY.items() if tier not in last or now - last[tier] >= every - _EARLY)


def counters_of(sample: Sample, now: datetime) -> Counters | None:
    """A kept sample as the earlier of two looks at the counters; None where it is too old, or lacks one."""
    known = {metric.name: value for metric, value in sample.values.items() if metric.kind == "counter"}
    names = ("commits", "rollbacks", "blocks_hit", "blocks_read", "deadlocks")
    age = now - sample.at
    if not timedelta() < age <= _OLDEST_COUNTERS or any(known.get(name) is None for name in names):
        return None
    commits, rollbacks, hits, reads, deadlocks = (int(known[name] or 0) for name in names)
    failures = known.get("checksum_failures")
    return Counters(
        time.monotonic() - age.total_seconds(),
        sample.epoch,
        commits,
        rollbacks,
        hits,
        reads,
        deadlocks,
        None if failures is None else int(failures),
    )


@contextmanager
def _history(installation: Installation, details: list[str]) -> Iterator[psycopg.Connection | None]:
    """A session with the history store, or None and the reason."""
    found: psycopg.Connection | None = None
    with ExitStack() as stack:
        try:
            found = stack.enter_context(open_history(stack.enter_context(installation.history()), "monitor"))
        except (WedsyncError, psycopg.Error, OSError) as error:
            details.append(said(error))
        yield found


def _fresh(
    address: Address,
    store: psycopg.Connection | None,
    environment: str,
    clock: Callable[[], datetime],
    details: list[str],
) -> tuple[Sample, ...]:
    """What is due, measured; nothing where the server is gone, which health says. Without a store nothing is needed."""
    if store is None:
        return ()
    last = _try(lambda: samples.last_at(store, environment, clock()), details)
    tiers: tuple[Tier, ...] = ("fast",) if last is None else ("fast", *tiers_due(last, clock()))
    try:
        return tuple(collect(address, tier, clock=clock, before=_memory(store, environment, tier)) for tier in tiers)
    except (Unreachable, psycopg.Error) as error:
        details.append(said(error))
        return ()


def _memory(store: psycopg.Connection, environment: str, tier: Tier) -> str:
    return _try(lambda: samples.memory(store, environment, tier), []) or ""


def _with_observed(sample: Sample, found: tuple[Checked, ...]) -> Sample:
    """The sample of each minute has what health observed in it."""
    if sample.tier != "fast":
        return sample
    return replace(sample, values={**sample.values, **observed(found, sample.at)})


def _keep_statements(
    address: Address, store: psycopg.Connection | None, environment: str, now: datetime, details: list[str]
) -> None:
    """What statements cost since the look before; where nobody counts them, or may read it, that is a detail."""

    def keep() -> None:
        with session(address, "collect", lock_timeout_ms=100, statement_timeout_ms=3_000, settings=QUICK) as target:
            read = read_statements(target, now)
            details.extend(read.problems)
            if store:
                statements.keep(store, environment, read, partial(texts, target))

    _try(keep, details)


def _alerted(
    store: psycopg.Connection | None,
    environment: Environment,
    found: tuple[Checked, ...],
    now: datetime,
    tell: Callable[[Notice], None],
    details: list[str],
) -> bool:
    """Go on with the alerts; False where they have no memory."""
    if store is None:
        return False
    done = _try(
        lambda: alerts.stepped(store, environment.name, found, limits(environment.health), now=now, tell=tell), details
    )
    return done is not None


def _kept(
    store: psycopg.Connection | None,
    environment: str,
    fresh: tuple[Sample, ...],
    installation: Installation,
    now: datetime,
    details: list[str],
) -> bool:
    """Keep what was measured, and tidy up once an hour."""
    if store is None:
        return False

    def keep() -> bool:
        for sample in fresh:
            samples.store(store, environment, sample)
        if any(sample.tier == "sizes" for sample in fresh):
            settings = load_history(installation.settings_file)
            samples.tidy(store, settings, now)
            statements.forget(store, now - timedelta(days=settings.raw_days))
        return True

    return bool(_try(keep, details))


def _try(work: Callable[[], T], details: list[str]) -> T | None:
    """What the store answers, or None and the reason."""
    try:
        return work()
    except (WedsyncError, psycopg.Error) as error:
        details.append(said(error))
        return None
