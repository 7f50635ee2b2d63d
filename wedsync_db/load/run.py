"""A load test from begin to end: the database beside the target, repeated runs, the verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import psycopg

from wedsync_db.errors import Refused
from wedsync_db.installation import Installation
from wedsync_db.load.before import before
from wedsync_db.load.beside import load_database
from wedsync_db.load.calibration import Calibration, calibrate, doubts_of
from wedsync_db.load.compare import PAIRS
from wedsync_db.load.engine import Measured, require_machine
from wedsync_db.load.engines import RUNS, fitted
from wedsync_db.load.feasible import cost_of_sending, expected, require_rate
from wedsync_db.load.fingerprint import fingerprint
from wedsync_db.load.options import Engine, Options
from wedsync_db.load.rounds import Earlier, Run, in_turn, repeat, with_earlier
from wedsync_db.load.safety import require_confirmed, require_disk, require_no_freeze, standby_lag
from wedsync_db.load.scenario import Scenario, with_options
from wedsync_db.load.stopping import KillSwitch
from wedsync_db.load.summary import Summary, summary_of
from wedsync_db.load.verdict import Comparison, Result
from wedsync_db.load.worker import Progress
from wedsync_db.maintain.giving_way import Watch, watching
from wedsync_db.migrate.plan import plan_of, require_sound
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import Environment

_SEEDS_APART = 10  # a run draws from a few seeds that follow each other
_MOST_OF_CONNECTIONS = 0.8

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

    @property
    def comparison(self) -> Comparison | None:
        """What the runs were compared with."""
        return self.result.comparison


def load_test(
    installation: Installation,
    environment: Environment,
    scenario: Scenario,
    *,
    options: Options,
    clock: Callable[[], datetime],
    baseline: Baseline = lambda _: None,
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
        baseline: Gives the runs of earlier tests, by fingerprint.
        say: Gets each run in a line.
        tell: Gets the progress about once a second.

    Raises:
        Refused: the environment is not for load tests, now or without its name typed, or the server or this machine has
            too little for it.
        UsageError: there is no such migration to compare with, or the engine cannot do this scenario.
        TargetHeld: somebody holds the target, or a deployment wanted it meanwhile.
        Unreachable: the connections are not to be had.
        Inconclusive: a process of the generator was lost.
    """
    started_at, seed = clock(), options.seed
    scenario = with_options(scenario, pool=options.pool, repeats=options.repeats)
    _require_allowed(environment, scenario, options, started_at, say)
    scenario = fitted(scenario, options.engine, say)
    require_machine(scenario)
    require_rate(scenario, cost_of_sending(scenario))
    plan = plan_of(environment.migrations, ())
    require_sound(plan)
    with installation.target(environment.name, create=True) as target:
        server, print_of = _server(target, scenario, options.engine, say)
        older = before(target, plan.pending, options.before)
        wait = environment.guard.wait_for_holder_seconds
        with (
            target_lock(target, "load-test", wait_seconds=wait, say=say) as lock,
            watching(target, lock.pid) as watch,
            load_database(target, plan.pending, scenario) as address,
            session(target, "load-test-standbys") as looking,
        ):
            say(f"{scenario.title}: {scenario.seconds:.0f} s a run, {scenario.repeats} runs, on {server}")
            say(expected(scenario))
            calibration = _calibrated(scenario, address, options, say)
            send = RUNS[options.engine]

            def run(where: Address, number: int) -> Run:
                once = partial(send, scenario, where, seed=seed + _SEEDS_APART * number)
                return _doubted(_one(scenario, once, watch, looking, tell), calibration)

            if older is None:
                compare = with_earlier(scenario, plan.pending, lambda: baseline(print_of))
                runs, result = repeat(scenario, address, run, compare, say)
            else:
                with load_database(target, older, scenario, before=True) as other:
                    what = f"before {plan.pending[len(older)].id}"
                    runs, result = in_turn(scenario, address, other, run, what, say)
    migrations = tuple((one.id, one.deploy.sha256) for one in plan.pending)
    return LoadTest(
        environment.name,
        scenario,
        server,
        seed,
        started_at,
        migrations,
        runs,
        result,
        print_of,
        options.engine,
        calibration,
    )


def _require_allowed(
    environment: Environment, scenario: Scenario, options: Options, now: datetime, say: Callable[[str], None]
) -> None:
    runs = 2 * PAIRS if options.before else scenario.repeats
    require_marked(environment)
    require_confirmed(environment, options.confirm)
    require_no_freeze(environment, now, scenario.seconds * runs, say)
    if options.calibrate:
        fitted(scenario, "pgbench")


def require_marked(environment: Environment) -> None:
    """Make sure that this environment is one for load tests.

    Raises:
        Refused: nothing says so.
    """
    if not environment.load_test:
        raise Refused(
            f"{environment.name} is not for load tests",
            hint="They slow down all on its server. Where that harms nobody: load_test = true in environments.toml.",
        )


def _server(target: Address, scenario: Scenario, engine: Engine, say: Callable[[str], None]) -> tuple[str, str]:
    """The server's version, and the fingerprint of this test on it; it has room for the pool and the rows.

    Raises:
        Refused: it has not.
    """
    pool = scenario.pool
    with session(target, "load-test") as connection:
        version, room = connection.execute(query("load", "server"), {}).fetchall()[0]
        print_of = fingerprint(connection, scenario, engine)
        require_disk(connection, scenario.safety.needed_mb(scenario.tenants), say)
    if pool > room * _MOST_OF_CONNECTIONS:
        raise Refused(
            f"a pool of {pool} takes more than {_MOST_OF_CONNECTIONS:.0%} of the {room} connections there are",
            hint=f"Raise max_connections to {round(pool / _MOST_OF_CONNECTIONS) + 10}, or test a smaller pool.",
        )
    return f"PostgreSQL {version}", print_of


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


def _one(
    scenario: Scenario, send: Callable[..., Measured], watch: Watch, looking: psycopg.Connection, tell: Tell
) -> Run:
    """One run, which ends early when a deployment wants the target, or it does nothing but harm."""
    watch.require_nobody()
    switch = KillSwitch(scenario.criteria, scenario.safety)

    def hear(progress: Progress) -> bool:
        tell(progress)
        watch.look()
        pulled = switch.is_pulled(progress, standby_lag(looking))
        return not (pulled or watch.wanted_by or watch.is_lost)

    run = summary_of(send(tell=hear))
    watch.require_nobody()
    return Run(run, switch.why)
