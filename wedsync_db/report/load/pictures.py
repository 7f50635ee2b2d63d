"""The pictures of one run, as plain values. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from wedsync_db.load.criteria import Criterion
from wedsync_db.load.measure import TIMES
from wedsync_db.load.run import LoadTest
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import placed
from wedsync_db.load.steady import drift
from wedsync_db.load.summary import Cell, Summary
from wedsync_db.load.verdict import Verdict
from wedsync_db.report.daily.chart import Colour
from wedsync_db.report.load.explained import EXPLAINED
from wedsync_db.report.load.plot import Layer, Limit, Plot, Row, Scale, Span, Strip
from wedsync_db.report.load.series import (
    Steps,
    heat,
    measured_cell,
    planned,
    pool_use,
    spectrum,
    spectrum_places,
    steps_of,
)
from wedsync_db.report.load.words import capital, percentile, state_words, subject, value, where
from wedsync_db.report.markdown import counted

_KINDS: tuple[Colour, ...] = ("bad", "c5", "c4", "c7", "c2")
_MOST_FIELDS = 100  # of a heat map, side by side
_OTHERS: Colour = "soft"
_OF_LIMIT = ((1.0, "the limit"), (0.1, "10 %"), (10.0, "10 times"), (0.01, "1 %"), (0.5, "half"), (2.0, "twice"))
_OF_OTHERS = (
    (1.0, "the same"), (2.0, "twice"), (0.5, "half"), (10.0, "10 times"), (1.25, "25 % more"), (0.8, "20 % less"),
    (1.1, "10 % more"), (0.9, "10 % less"),
)  # fmt: skip
_NO_QUEUE = "At no time did more than one request in twenty have to wait for a connection."
_POOLED = "What waits in pgbouncer for a connection to the server is part of the solid line."
_LINES: tuple[tuple[float, Colour, str], ...] = ((50, "c3", ""), (95, "c1", "7 2"), (99, "c2", "2 2"))


def of_run(test: LoadTest, run: Summary) -> tuple[Plot, ...]:
    """The pictures of this run, in the order of the page."""
    scenario, steps = test.scenario, steps_of(run)
    return (
        _arrivals(scenario, steps),
        _response(scenario, run, steps),
        _queue(scenario, steps),
        *([_waited(scenario, "connect", steps)] if scenario.connect == "each" else []),
        _pool(scenario, steps),
        _bad_ends(scenario, steps),
        _heat(scenario, run),
        _spectrum(scenario, run),
    )


def spans(scenario: Scenario) -> tuple[Span, ...]:
    """The phases over the seconds of a run."""
    return tuple(Span(phase.name, begin, end, phase.measured) for phase, begin, end in placed(scenario.phases))


def strip(test: LoadTest) -> Strip:
    """Each timed condition in each run, against its limit."""
    rows = [
        Row(
            capital(subject(one.criterion).removeprefix("the ")),
            tuple(value / one.criterion.limit for value in one.values if value is not None),
            one.interval.low / one.criterion.limit,
            one.interval.high / one.criterion.limit,
            _colour(one.verdict),
        )
        for one in test.result.judged
        if one.interval and one.criterion.limit > 0 and one.criterion.op in ("<", "<=")
    ]
    notes = () if rows else ("It takes two runs of something above zero to have an interval.",)
    return Strip("runs", *EXPLAINED["runs"], tuple(rows), _OF_LIMIT, notes)


def against(test: LoadTest) -> Strip:
    """Each run beside those it was compared with; 1 is the middle of the others."""
    rows: list[Row] = []
    for one in test.comparison.found if test.comparison else ():
        if one.own and one.theirs:
            middle = sorted(one.theirs)[(len(one.theirs) - 1) // 2]
            name = capital(percentile(one.criterion.percent or 0)) + where(one.criterion)
            limit = one.criterion.limit
            for label, values, colour, asked in (
                ("these runs", one.own, _colour(one.verdict), limit),
                ("the others", one.theirs, _OTHERS, None),
            ):
                runs = tuple(value / middle for value in values)
                rows.append(Row(f"{name}, {label}", runs, min(runs), max(runs), colour, asked))
    return Strip("against", *EXPLAINED["against"], tuple(rows), _OF_OTHERS)


def _colour(verdict: Verdict) -> Colour:
    return "good" if verdict is Verdict.PASS else "bad" if verdict is Verdict.FAIL else "warn"


def plot_over(
    scenario: Scenario, key: str, unit: Scale, at: Sequence[float], layers: Sequence[Layer], step: float
) -> Plot:
    """A picture over the seconds of a run, with its phases; of values that are of `step` seconds each."""
    every = (f"Each value is of {step:g} seconds.",) if step > 1 else ()
    return Plot(
        key,
        *EXPLAINED[key],
        unit,
        end=scenario.seconds,
        at=tuple(at),
        layers=tuple(layers),
        spans=spans(scenario),
        step=step,
        notes=every,
    )


def over_time(scenario: Scenario, key: str, unit: Scale, steps: Steps, *layers: Layer) -> Plot:
    """A picture of what came of a run, step by step."""
    at = [min(at + steps.seconds / 2, scenario.seconds) for at in steps.at]
    return plot_over(scenario, key, unit, at, layers, float(steps.seconds))


def _arrivals(scenario: Scenario, steps: Steps) -> Plot:
    return over_time(
        scenario,
        "arrivals",
        "per_second",
        steps,
        Layer("answered", "c1", steps.answers, "area"),
        Layer("asked by the scenario", "soft", planned(scenario, steps), look="6 3"),
    )


def _response(scenario: Scenario, run: Summary, steps: Steps) -> Plot:
    plot = _waited(scenario, "response", steps)
    return replace(plot, notes=(*plot.notes, *drift(scenario, run)))


def _waited(scenario: Scenario, key: str, steps: Steps) -> Plot:
    """Three percentiles of a time, and what is asked of it."""
    metric = f"{key}_ms"
    layers = [
        Layer(_percent_label(percent), colour, steps.percentiles(TIMES[metric], percent), look=look)
        for percent, colour, look in _LINES
    ]
    asked = [
        one for one in scenario.criteria if one.metric == metric and one.percent and not one.script and not one.window
    ]
    return replace(over_time(scenario, key, "milliseconds", steps, *layers), limits=_limits(scenario, asked))


def _queue(scenario: Scenario, steps: Steps) -> Plot:
    service, response, queue = (
        steps.percentiles(TIMES[name], 95) for name in ("service_ms", "response_ms", "queue_ms")
    )
    plot = over_time(
        scenario,
        "queue",
        "milliseconds",
        steps,
        Layer("in the database (service)", "c3", service),
        Layer("before it was sent", "c5", response, "between"),
        Layer("both (response)", "c1", response, look="7 2"),
    )
    waited = tuple(one or None for one in queue)
    if any(waited):
        plot = replace(plot, layers=(*plot.layers, Layer("wait for a connection (queue)", "c2", waited, look="2 2")))
    notes = {_NO_QUEUE: not any(waited), _POOLED: scenario.connections == "pgbouncer"}
    return replace(plot, notes=(*plot.notes, *(note for note, holds in notes.items() if holds)))


def _pool(scenario: Scenario, steps: Steps) -> Plot:
    asked = [one for one in scenario.criteria if one.metric == "pool_util"]
    layer = Layer("at work", "c1", pool_use(steps, scenario.pool), "area")
    plot = over_time(scenario, "pool", "ratio", steps, layer)
    title = plot.title.replace("the", f"the {scenario.pool}")
    return replace(plot, title=title, limits=_limits(scenario, asked))


def _bad_ends(scenario: Scenario, steps: Steps) -> Plot:
    everything = Cell.sum(steps.cells)
    ranked = sorted(everything.errors, key=lambda state: (-everything.errors[state], state))
    layers = [
        Layer(state_words(state), colour, steps.rates(_count_of(state)), "bars")
        for state, colour in zip(ranked, _KINDS, strict=False)
    ]
    if everything.dropped:
        layers.append(Layer("never answered", "soft", steps.rates(lambda cell: cell.dropped), "bars"))
    plot = over_time(scenario, "errors", "per_second", steps, *layers)
    if not layers:
        return replace(plot, notes=("There were none.",))
    more = len(ranked) - len(_KINDS)
    return replace(plot, notes=(*plot.notes, f"{counted(more, 'rarer kind')} not drawn.")) if more > 0 else plot


def _heat(scenario: Scenario, run: Summary) -> Plot:
    steps = steps_of(run, _MOST_FIELDS)
    return replace(over_time(scenario, "heat", "milliseconds", steps), heat=heat(steps))


def _spectrum(scenario: Scenario, run: Summary) -> Plot:
    cell = measured_cell(scenario, run)
    at = spectrum_places(cell.response.count)
    layers = (
        Layer("in the database (service)", "c3", spectrum(cell.service, at)),
        Layer("all of it (response)", "c1", spectrum(cell.response, at), look="7 2"),
    )
    notes = () if at else ("Nothing was answered.",)
    return Plot("spectrum", *EXPLAINED["spectrum"], "milliseconds", at=at, layers=layers, over="one in", notes=notes)


def _limits(scenario: Scenario, asked: Sequence[Criterion]) -> tuple[Limit, ...]:
    """Over the phases that each is about, those that follow each other as one."""
    found: list[Limit] = []
    for one in asked:
        first = len(found)
        for span in spans(scenario):
            if not (span.name == one.phase if one.phase else span.measured):
                continue
            if len(found) > first and found[-1].end == span.begin:
                found[-1] = replace(found[-1], end=span.end)
            else:
                label = _percent_label(one.percent) if one.percent else ""
                found.append(Limit(label, value(one, one.limit), one.limit, span.begin, span.end))
    return tuple(found)


def _percent_label(percent: float) -> str:
    return percentile(percent).replace(" percentile", "")


def _count_of(state: str) -> Callable[[Cell], int]:
    return lambda cell: cell.errors.get(state, 0)
