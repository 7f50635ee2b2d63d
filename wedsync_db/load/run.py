"""A load test from begin to end: the database beside the target, repeated runs, the verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import psycopg

from wedsync_db.installation import Installation
from wedsync_db.load.before import before
from wedsync_db.load.calibration import Calibration, calibrate, doubts_of
from wedsync_db.load.engines import RUNS, fitted
from wedsync_db.load.feasible import expected
from wedsync_db.load.options import Engine, Options
from wedsync_db.load.permitted import require_permitted, require_room
from wedsync_db.load.places import places
from wedsync_db.load.rounds import Earlier, Run, in_turn, repeat, with_earlier
from wedsync_db.load.safety import standby_lag, warn_of_hidden_standbys
from wedsync_db.load.sampler import observing
from wedsync_db.load.scenario import Scenario, with_options
from wedsync_db.load.shards import Shards, run_in_shards
from wedsync_db.load.stopping import KillSwitch
from wedsync_db.load.summary import Summary, summary_of
from wedsync_db.load.verdict import Comparison, Result
from wedsync_db.load.worker import Progress
from wedsync_db.maintain.giving_way import Watch, watching
from wedsync_db.migrate.plan import plan_of, require_sound
from wedsync_db.model import Backup
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import Environment

_SEEDS_APART = 10  # a run draws from a few seeds that follow each other

Tell = Callable[[Progress], None]
Baseline = Callable[[str], Earlier | None]


@dataclass(frozen=True, slots=True, eq=False)
class LoadTest:
    """What was done and what came of it."""

    environment: str
    scenario: Scenario
    server: str
    seed: int
    started_at: datetime
    migrations: tuple[tuple[str, str], ...]  # id and SHA-256 of deploy.sql
    runs: tuple[Summary, ...]
    result: Result
    fingerprint: str = ""
    engine: Engine = "threads"
    calibration: Calibration | None = None
    backup: str = ""  # that was restored for it; "" for made-up suppliers alone
    shards: int = 1  # machines that sent

    @property
    def comparison(self) -> Comparison | None:
        """What the runs were compared with."""
        return self.result.comparison


def load_test(  # noqa: PLR0913 what a test is made of
    installation: Installation,
    environment: Environment,
    scenario: Scenario,
    *,
    options: Options,
    clock: Callable[[], datetime],
    backup: Backup | None = None,
    baseline: Baseline = lambda _: None,
    shards: Shards | None = None,
    say: Callable[[str], None] = lambda _: None,
    tell: Tell = lambda _: None,
) -> LoadTest:
    """Run a scenario beside an environment's target as often as the verdict needs, and judge it.

    Args:
        installation: Where we are.
        environment: Beside whose target, with whose migrations.
        scenario: What is done, and asked for.
        options: How it is done.
        clock: The time.
        backup: Run on a copy of it, on a scratch server of our own, instead of beside the target.
        baseline: Gives the runs of earlier tests, by fingerprint.
        shards: How those who send are started on other machines; without it, this machine sends.
        say: Gets each run in a line.
        tell: Gets the progress about once a second.

    Raises:
        Refused: the environment is not for load tests, now or without its name typed, or the server or this machine has
            too little for it.
        UsageError: there is no such migration to compare with, or the engine cannot do this scenario.
        TargetHeld: somebody holds the target, or a deployment wanted it meanwhile.
        Unreachable: the connections are not to be had.
        BackupError: the backup is damaged.
        Inconclusive: a process of the generator was lost, or there is no server here that could hold the backup.
    """
    started_at = clock()
    scenario = fitted(with_options(scenario, pool=options.pool, repeats=options.repeats), options.engine, say)
    require_permitted(environment, scenario, options, started_at, say)
    plan = plan_of(environment.migrations, ())
    require_sound(plan)
    with installation.target(environment.name, create=True) as target:
        if backup is None:
            require_room(target, scenario, say)
        older = before(target, plan.pending, options.before)
        wait = environment.guard.wait_for_holder_seconds
        with (
            target_lock(target, "load-test", wait_seconds=wait, say=say) as lock,
            watching(target, lock.pid) as watch,
            session(target, "load-test-standbys") as looking,
            places(
                installation,
                environment,
                target,
                plan.pending,
                older,
                scenario,
                backup=backup,
                engine=options.engine if options.shards == 1 else f"{options.engine} x{options.shards}",
                say=say,
            ) as place,
        ):
            say(f"{scenario.title}: {scenario.seconds:.0f} s a run, {scenario.repeats} runs, on {place.server}")
            say(expected(scenario))
            warn_of_hidden_standbys(looking, say)
            calibration = _calibrated(scenario, place.newest, options, say)
            send = _sender(scenario, options, shards, watch, say)

            def run(where: Address, number: int) -> Run:
                sent = partial(send, where, seed=options.seed + _SEEDS_APART * number)
                once = observing(sent, scenario, where, through=place.beside, sent_elsewhere=bool(shards))
                return _doubted(_one(scenario, once, watch, looking, tell), calibration)

            if place.older is None or older is None:
                compare = with_earlier(scenario, plan.pending, lambda: baseline(place.fingerprint))
                runs, result = repeat(scenario, place.newest, run, compare, say)
            else:
                what = f"before {plan.pending[len(older)].id}"
                runs, result = in_turn(scenario, place.newest, place.older, run, what, say)
    return LoadTest(
        environment=environment.name,
        scenario=scenario,
        server=place.server,
        seed=options.seed,
        started_at=started_at,
        migrations=tuple((one.id, one.deploy.sha256) for one in plan.pending),
        runs=runs,
        result=result,
        fingerprint=place.fingerprint,
        engine=options.engine,
        calibration=calibration,
        backup=backup.id if backup else "",
        shards=options.shards,
    )


def _calibrated(
    scenario: Scenario, address: Address, options: Options, say: Callable[[str], None]
) -> Calibration | None:
    """What generator and pgbench measure in turn, where that is wanted."""
    if not options.calibrate:
        return None
    found = calibrate(scenario, address, seed=options.seed)
    say(str(found))
    return found


def _doubted(run: Run, calibration: Calibration | None) -> Run:
    """The run, with what speaks against the generator as a whole."""
    doubts = doubts_of(calibration) if calibration else ()
    return replace(run, summary=replace(run.summary, problems=(*run.summary.problems, *doubts)))


def _sender(
    scenario: Scenario, options: Options, shards: Shards | None, watch: Watch, say: Callable[[str], None]
) -> Callable[..., Summary]:
    """What sends a run to a database: this machine, or several."""
    if shards:
        return partial(run_in_shards, scenario, shards=shards, idle=watch.require_nobody, say=say)
    return lambda where, **given: summary_of(RUNS[options.engine](scenario, where, **given))


def _one(
    scenario: Scenario, send: Callable[..., Summary], watch: Watch, looking: psycopg.Connection, tell: Tell
) -> Run:
    """One run, which ends early when a deployment wants the target, or it does nothing but harm."""
    watch.require_nobody()
    switch = KillSwitch(scenario.criteria, scenario.safety)

    def hear(progress: Progress) -> bool:
        tell(progress)
        watch.look()
        pulled = switch.is_pulled(progress, standby_lag(looking))
        return not (pulled or watch.wanted_by or watch.is_lost)

    run = send(tell=hear)
    watch.require_nobody()
    return Run(run, switch.why)
