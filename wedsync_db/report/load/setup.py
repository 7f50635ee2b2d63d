"""With what a load test was made, and how to make the same again. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from wedsync_db.load.run import LoadTest
from wedsync_db.load.scenario import Scenario, shipped
from wedsync_db.load.schedule import mean_rate
from wedsync_db.report.markdown import counted, duration

_UNSEEN = {"pgbench": "it looks at no row that comes back; "}
_EXACT_BELOW = 100  # seconds
_ENGINES = {"threads": "our generator", "pgbench": "pgbench"}


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure of the set-up, and what it means."""

    label: str
    value: str
    more: str = ""


def setup_line(test: LoadTest) -> str:
    """In a line."""
    measured = sum(phase.seconds for phase in test.scenario.phases if phase.measured)
    return (
        f"{len(test.runs)} × {measured:.0f} s, {mean_rate(test.scenario.phases):.0f} arrivals a second, "
        f"pool {test.scenario.pool}, {test.server}, seed {test.seed}"
        + (", sent by pgbench, which looks at no rows" if test.engine == "pgbench" else "")
    )


def facts(test: LoadTest) -> Sequence[Fact]:
    """For the page."""
    scenario = test.scenario
    measured = sum(one.seconds for one in scenario.phases if one.measured)
    return (
        Fact("Load", f"{_range(scenario, 1)} requests a second", _at_work(scenario)),
        Fact("Length", f"{counted(len(test.runs), 'run')} of {_length(measured)}", "measured, after warming up"),
        Fact("Connections", _connections(scenario), "all requests share them"),
        Fact("Server", test.server, f"{counted(len(test.migrations), 'migration')}, {_rows(test)}"),
        Fact("People", f"{scenario.users:,} users", f"of {counted(scenario.tenants, 'supplier')}, drawn by chance"),
        Fact("Made by", _maker(test), f"{_UNSEEN.get(test.engine, '')}seed {test.seed}: the same seed, the same load"),
    )


def repro(test: LoadTest) -> str:
    """The command that does it again."""
    scenario = test.scenario
    name = scenario.name if scenario.name in shipped() else f"{scenario.name}.toml"
    given = [name, "--pool", str(scenario.pool), "--repeats", str(scenario.repeats), "--seed", str(test.seed)]
    compared = test.comparison.before if test.comparison else ""
    chosen = {"--engine": test.engine if test.engine != "threads" else "", "--copy": test.backup, "--before": compared}
    given += [word for option, chosen_ in chosen.items() if chosen_ for word in (option, chosen_)]
    given += ["--calibrate"] if test.calibration else []
    given += ["--shards", str(test.shards)] if test.shards > 1 else []
    return shlex.join(["./dev", "load-test", test.environment, *given])


def _maker(test: LoadTest) -> str:
    return f"{_ENGINES[test.engine]} on {test.shards} machines" if test.shards > 1 else _ENGINES[test.engine]


def _length(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < _EXACT_BELOW else duration(seconds)


def _at_work(scenario: Scenario) -> str:
    """Users and their time to think, which make the rate."""
    think = scenario.think_seconds
    return f"as of {_range(scenario, think)} people at work, each of whom does something every {think:g} seconds"


def _range(scenario: Scenario, factor: float) -> str:
    """From the lowest to the highest rate of what is measured, times a factor."""
    rates = [factor * rate for one in scenario.phases if one.measured for rate in (one.rate, one.rate_at_end)]
    low, high = f"{min(rates):,.0f}", f"{max(rates):,.0f}"
    return low if low == high else f"{low} to {high}"


def _rows(test: LoadTest) -> str:
    return f"the rows of the backup {test.backup}" if test.backup else "a database of its own"


def _connections(scenario: Scenario) -> str:
    if scenario.connections == "direct":
        return f"a pool of {scenario.pool}"
    return f"{scenario.held:,} through pgbouncer, onto {scenario.pool}"
