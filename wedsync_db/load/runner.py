"""One run of a load test: sent, looked at, and ended before its time where it has to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import psycopg

from wedsync_db.load.calibration import Calibration, doubts_of
from wedsync_db.load.engines import RUNS
from wedsync_db.load.options import Options
from wedsync_db.load.rounds import Run
from wedsync_db.load.safety import standby_lag
from wedsync_db.load.sampler import Sampler, sampling
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.shards import Shards, run_in_shards
from wedsync_db.load.stopping import KillSwitch
from wedsync_db.load.summary import Summary, summary_of
from wedsync_db.load.worker import Progress
from wedsync_db.maintain.giving_way import Watch
from wedsync_db.postgres.session import Address

Tell = Callable[[Progress], None]
_SEEDS_APART = 10  # a run draws from a few seeds that follow each other


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs a scenario once each time it is called.

    `beside` is another database of the server, from which it is looked at; `standbys` a session of the target's, which
    says how far they are behind; `shards` start who sends elsewhere. `calibration` may speak against the generator.
    """

    scenario: Scenario
    options: Options
    beside: Address
    watch: Watch
    standbys: psycopg.Connection
    shards: Shards | None
    calibration: Calibration | None
    say: Callable[[str], None]
    tell: Tell

    def __call__(self, where: Address, number: int) -> Run:
        """The run of this number, on this database; what is drawn follows from the number.

        Raises:
            TargetHeld: a deployment wants the target.
            Displaced: the target is not ours any more.
            Unreachable: the connections are not to be had.
            Inconclusive: a process of the generator was lost.
        """
        self.watch.require_nobody()
        switch = KillSwitch(self.scenario.criteria, self.scenario.safety)
        seed = self.options.seed + _SEEDS_APART * number
        with sampling(where, through=self.beside, prelude=self.scenario.prelude) as sampler:
            found = self._send(where, sampler, seed=seed, tell=partial(self._goes_on, switch))
            summary = replace(found, observed=sampler.observed(found.began))
        self.watch.require_nobody()
        doubts = doubts_of(self.calibration) if self.calibration else ()
        return Run(replace(summary, problems=(*summary.problems, *doubts)), switch.why)

    def _send(self, where: Address, sampler: Sampler, **given: Any) -> Summary:
        """By this machine, or by several; only a pooler of this machine can be asked."""
        if self.shards:
            idle = self.watch.require_nobody
            return run_in_shards(self.scenario, where, self.shards, idle=idle, say=self.say, **given)
        if self.scenario.connections == "pgbouncer":
            given["pooled"] = sampler.ask
        return summary_of(RUNS[self.options.engine](self.scenario, where, **given))

    def _goes_on(self, switch: KillSwitch, progress: Progress) -> bool:
        """Whether the run does: no deployment wants the target, and it does more than harm."""
        self.tell(progress)
        try:
            self.watch.look()
            pulled = switch.is_pulled(progress, standby_lag(self.standbys))
        except psycopg.Error:
            self.watch.is_lost = True  # nobody could hear a deployment, or see what happens to the standbys
            return False
        return not (pulled or self.watch.wanted_by or self.watch.is_lost)
