"""What the server did during a run: its pictures, its statements and its figures. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean
from typing import TypeVar

from wedsync_db.load.measure import spans as measured_spans
from wedsync_db.load.observed import COUNTERS, IDLE, Observed, Plateau, Second, type_of
from wedsync_db.load.run import LoadTest
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.summary import Summary
from wedsync_db.report.daily.chart import Colour
from wedsync_db.report.daily.words import counted_short, percent
from wedsync_db.report.load.pictures import plot_over
from wedsync_db.report.load.plot import Layer, Plot, Scale
from wedsync_db.report.load.setup import Fact
from wedsync_db.report.load.words import milliseconds
from wedsync_db.report.markdown import size

_COLOURS: tuple[Colour, ...] = ("c1", "c2", "c3", "c4", "c5", "c7")
_REST = "others"
_MOST_POINTS = 240
_NAMES = {"CPU": "CPU", "Client": "Client (network)", "IO": "IO (disk)", "LWLock": "LWLock (bookkeeping)"}
_STATEMENT = 240
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One of the longest statements."""

    text: str
    share: str
    calls: str
    mean: str


def of_server(test: LoadTest, run: Summary) -> tuple[Plot, ...]:
    """The pictures of what the server did; none where nobody looked."""
    if run.observed is None:
        return ()
    scenario, seen = test.scenario, run.observed
    found = [_waits(scenario, seen), _locks(scenario, seen), _wal(scenario, seen)]
    if seen.pooled:
        found.append(_pooler(scenario, seen))
    return tuple(found)


def plateau(test: LoadTest, run: Summary) -> Plateau | None:
    """What happened in the measured phases."""
    return run.observed.over(measured_spans(test.scenario, None, run)) if run.observed else None


def server_facts(test: LoadTest, run: Summary) -> tuple[Fact, ...]:
    """Its figures over the measured phases; what is not known is left out."""
    found = plateau(test, run)
    return tuple(_facts(found)) if found else ()


def statements(run: Summary) -> tuple[Row, ...]:
    """The longest statements."""
    return tuple(
        Row(
            one.text if len(one.text) <= _STATEMENT else f"{one.text[: _STATEMENT - 1]}…",
            percent(one.share),
            "–" if one.calls is None else f"{one.calls:,}",
            milliseconds(one.mean_ms),
        )
        for one in (run.observed.statements if run.observed else ())
    )


def _facts(found: Plateau) -> Iterator[Fact]:
    if found.cache_hit is not None:
        yield Fact("Found in the cache", percent(found.cache_hit), "the rest was read from disk, or the system's cache")
    if found.waits:
        busy, most = sum(found.at_work.values()), found.most_work
        yield Fact("Sessions at work", counted_short(round(busy, 1)), f"most of it {most}" if most else "")
    if found.lock_waits_max is not None:
        yield Fact("Waiting for a lock", counted_short(found.lock_waits_max), "sessions, at the worst moment")
    for name, label, more in (
        ("deadlocks", "Deadlocks", "each ended a request"),
        ("checkpoints", "Checkpoints", "each writes out what was changed"),
    ):
        many = found.grown[name]
        if many is not None:
            yield Fact(label, counted_short(many), more)
    if found.wal_by_transaction is not None:
        yield Fact("Written ahead (WAL)", size(found.wal_by_transaction), "for each transaction")
    if found.grown["temp_bytes"]:
        yield Fact("Temporary files", size(found.grown["temp_bytes"]), "did not fit into work_mem")


def _waits(scenario: Scenario, seen: Observed) -> Plot:
    seconds = _inside(seen.seconds, scenario)
    kinds = {type_of(wait) for second in seconds for wait in second.waits} - IDLE
    total = {kind: sum(_of_type(second, kind) for second in seconds) for kind in kinds}
    ranked = sorted(kinds, key=lambda kind: (-total[kind], kind))
    named, rest = ranked[: len(_COLOURS) - 1], ranked[len(_COLOURS) - 1 :]
    layers = [
        Layer(_NAMES.get(kind, kind), colour, _sums(seconds, [kind]), "area")
        for kind, colour in zip(named, _COLOURS, strict=False)
    ]
    if rest:
        layers.append(Layer(_REST, _COLOURS[-1], _sums(seconds, rest), "area"))
    return _over(scenario, "waits", "count", [one.at + 0.5 for one in seconds], layers)


def _locks(scenario: Scenario, seen: Observed) -> Plot:
    seconds = _inside(seen.seconds, scenario)
    most = tuple(float(one.most_lock_waits) if one.taken else None for one in seconds)
    if not any(most):
        is_known = seen.between(0.0, scenario.seconds).lock_waits_max is not None
        said = "None ever did." if is_known else "Not known: nobody saw what all of its sessions did."
        return replace(_over(scenario, "locks", "count", [], []), notes=(said,))
    layer = Layer("sessions waiting", "c4", most, "bars")
    return _over(scenario, "locks", "count", [one.at + 0.5 for one in seconds], [layer])


def _wal(scenario: Scenario, seen: Observed) -> Plot:
    wal, checkpoints = COUNTERS.index("wal_bytes"), COUNTERS.index("checkpoints")
    at, rates, marks = [], [], []
    for one, other in pairwise(seen.counted):
        if not (other.at > one.at >= -1 and one.at < scenario.seconds):
            continue
        grown = other.values[wal] - one.values[wal]
        at.append(min(max((one.at + other.at) / 2, 0.0), scenario.seconds))
        rates.append(grown / (other.at - one.at) if grown >= 0 else None)
        if other.values[checkpoints] > one.values[checkpoints]:
            marks.append(at[-1])
    plot = _over(scenario, "wal", "bytes_per_second", at, [Layer("written", "c3", tuple(rates), "area")] if at else [])
    return replace(plot, marks=tuple((mark, "checkpoint") for mark in marks))


def _pooler(scenario: Scenario, seen: Observed) -> Plot:
    inside = [one for one in seen.pooled if 0 <= one.at <= scenario.seconds]
    layer = Layer("clients waiting", "c5", tuple(one.clients_waiting for one in inside), "area")
    return _over(scenario, "pooler", "count", [one.at for one in inside], [layer])


def _over(scenario: Scenario, key: str, unit: Scale, at: Sequence[float], layers: Sequence[Layer]) -> Plot:
    """A picture over the run; of more values in a row than fit side by side the average, of maxima the maximum."""
    width = -(-len(at) // _MOST_POINTS) or 1
    drawn = [replace(one, values=_thinned(one.values, width, max if one.kind == "bars" else fmean)) for one in layers]
    return plot_over(scenario, key, unit, [fmean(group) for group in _groups(at, width)], drawn, float(width))


def _thinned(
    values: Sequence[float | None], width: int, of: Callable[[Sequence[float]], float]
) -> tuple[float | None, ...]:
    known = [[one for one in group if one is not None] for group in _groups(values, width)]
    return tuple(of(group) if group else None for group in known)


def _groups(values: Sequence[T], width: int) -> list[Sequence[T]]:
    return [values[n : n + width] for n in range(0, len(values), width)]


def _inside(seconds: Sequence[Second], scenario: Scenario) -> list[Second]:
    return [one for one in seconds if 0 <= one.at < scenario.seconds]


def _of_type(second: Second, kind: str) -> float:
    return sum(many for wait, many in second.waits.items() if type_of(wait) == kind)


def _sums(seconds: Sequence[Second], kinds: Sequence[str]) -> tuple[float | None, ...]:
    return tuple(sum(_of_type(one, kind) for kind in kinds) if one.taken else None for one in seconds)
