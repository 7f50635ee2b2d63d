"""All figures of a load test, for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from wedsync_db.load.histogram import Histogram
from wedsync_db.load.run import LoadTest
from wedsync_db.load.schedule import mean_rate
from wedsync_db.load.statistics import detectable, spread_of
from wedsync_db.load.summary import Cell, Summary
from wedsync_db.load.verdict import Compared, Judged
from wedsync_db.report.load.series import measured_cell, representative
from wedsync_db.report.load.server import plateau
from wedsync_db.report.load.setup import repro

_PERCENTILES = (50, 95, 99)


def load_data(test: LoadTest) -> Mapping[str, Any]:
    """All that the page shows but its pictures; docs/guide.md says what each key is."""
    scenario = test.scenario
    return {
        "environment": test.environment,
        "scenario": scenario.name,
        "verdict": test.result.verdict.value,
        "server": test.server,
        "engine": test.engine,
        "backup": test.backup or None,
        "fingerprint": test.fingerprint,
        "seed": test.seed,
        "users": scenario.users,
        "think_seconds": scenario.think_seconds,
        "arrivals_per_second": mean_rate(scenario.phases),
        "pool": scenario.pool,
        "connections": scenario.connections,
        "runs": len(test.runs),
        "shown_run": representative(test) + 1,
        "again": repro(test),
        "migrations": [{"id": name, "sha256": sha256} for name, sha256 in test.migrations],
        "criteria": [_judged(one) for one in test.result.judged],
        "doubts": list(test.result.doubts),
        "ended": list(test.result.ended),
        "calibration": asdict(test.calibration) if test.calibration else None,
        "each_run": [_run(test, run) for run in test.runs],
        "comparison": _comparison(test),
        "detectable_ratio": found_from(test),
    }


def found_from(test: LoadTest) -> float | None:
    """The ratio of p95s from which on as many runs again would show a difference; None where that is not known."""
    times = [one for one in test.result.judged if one.criterion.percent and None not in one.values]
    if not times:
        return None
    values = [value for value in times[0].values if value]
    spread = spread_of(values)
    return None if math.isnan(spread) else detectable(spread, len(values), len(values))


def _judged(one: Judged) -> Mapping[str, Any]:
    return {
        "criterion": one.criterion.text,
        "verdict": one.verdict.value,
        "why": one.why,
        "values": list(one.values),
        "interval": [one.interval.low, one.interval.high] if one.interval else None,
    }


def _run(test: LoadTest, run: Summary) -> Mapping[str, Any]:
    scenario, was = test.scenario, run.generator
    return {
        **_cell(measured_cell(scenario, run)),
        "phases": {
            one.name: _cell(measured_cell(scenario, run, phase=one.name)) for one in scenario.phases if one.measured
        },
        "scripts": {one.name: _cell(measured_cell(scenario, run, one.name)) for one in scenario.scripts},
        "leaks": run.leaks,
        "server": _server(test, run),
        "generator": {
            "processes": was.processes,
            "cores": was.cores,
            "late_ms_p99": was.late.percentile(99),
            "woken_ms_p99": was.woken.percentile(99),
        },
    }


def _cell(cell: Cell) -> Mapping[str, Any]:
    return {
        "arrivals": cell.arrivals,
        "answered": cell.answered,
        "dropped": cell.dropped,
        "errors": dict(cell.errors),
        "response_ms": _times(cell.response),
        "service_ms": _times(cell.service),
        "queue_ms": _times(cell.queue),
        **({"connect_ms": _times(cell.connect)} if cell.connect.count else {}),
    }


def _times(found: Histogram) -> Mapping[str, float | None]:
    return {f"p{one}": found.percentile(one) for one in _PERCENTILES}


def _server(test: LoadTest, run: Summary) -> Mapping[str, Any] | None:
    """What the server did in the measured phases; None where nobody looked."""
    found = plateau(test, run)
    if run.observed is None or found is None:
        return None
    return {
        "cache_hit": found.cache_hit,
        "transactions": found.transactions,
        "wal_bytes_by_transaction": found.wal_by_transaction,
        "grown": dict(found.grown),
        "sessions": dict(found.waits),
        "lock_waits_max": found.lock_waits_max,
        "clients_waiting_max": found.clients_waiting_max,
        "samples_lost": found.lost,
        "statements": [asdict(one) for one in run.observed.statements],
        "statements_sampled": run.observed.statements_sampled,
        "notes": list(run.observed.notes),
    }


def _comparison(test: LoadTest) -> Mapping[str, Any] | None:
    against = test.result.comparison
    if against is None:
        return None
    return {
        "with": against.with_what,
        "decides": against.decides,
        "differing_migrations": list(against.differing),
        "found": [_compared(one) for one in against.found],
    }


def _compared(one: Compared) -> Mapping[str, Any]:
    return {
        "criterion": one.criterion.text,
        "verdict": one.verdict.value,
        "why": one.why,
        "own": list(one.own),
        "theirs": list(one.theirs),
        "ratio": one.ratio,
        "probability": one.probability and float(f"{one.probability:.3g}"),
        "detectable_ratio": one.detectable,
    }
