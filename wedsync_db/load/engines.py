"""The two engines, and what of a scenario each can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from wedsync_db.errors import UsageError
from wedsync_db.load import engine, pgbench
from wedsync_db.load.engine import Measured
from wedsync_db.load.options import Engine
from wedsync_db.load.scenario import Scenario

RUNS: Mapping[Engine, Callable[..., Measured]] = {"threads": engine.run, "pgbench": pgbench.run}
_NOT_SEEN = frozenset({"leaks"})  # by pgbench, which looks at no row that comes back


def fitted(scenario: Scenario, name: Engine, say: Callable[[str], None] = lambda _: None) -> Scenario:
    """The scenario without what this engine cannot judge, which is said: all that is left can be believed.

    A test by pgbench therefore counts for no promotion.

    Raises:
        UsageError: it cannot do the scenario at all.
    """
    if name == "threads":
        return scenario
    if scenario.connections != "direct" or scenario.connect != "once":
        raise UsageError(
            f"pgbench does not do {scenario.name}: it holds the pool's connections to the server, and no others",
            hint="--engine threads does.",
        )
    unseen = [one.text for one in scenario.criteria if one.metric in _NOT_SEEN]
    left = tuple(replace(one, abort=False) for one in scenario.criteria if one.metric not in _NOT_SEEN)
    if not left:
        raise UsageError(f"pgbench can judge nothing of {scenario.name}", hint="--engine threads does.")
    if unseen:
        say(f"not judged, as pgbench looks at no rows: {', '.join(unseen)}")
    if any(one.abort for one in scenario.criteria):
        say("nothing ends a run early, as pgbench tells no percentile while it runs")
    return replace(scenario, criteria=left)
