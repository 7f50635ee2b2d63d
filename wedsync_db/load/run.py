"""A load test from begin to end: the database beside the target, repeated runs, the verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from wedsync_db.installation import Installation
from wedsync_db.load.before import before
from wedsync_db.load.calibration import Calibration, calibrate
from wedsync_db.load.engines import fitted
from wedsync_db.load.feasible import expected
from wedsync_db.load.options import Engine, Options
from wedsync_db.load.permitted import require_permitted, require_room
from wedsync_db.load.places import places
from wedsync_db.load.rounds import Earlier, in_turn, repeat, with_earlier
from wedsync_db.load.runner import Runner, Tell
from wedsync_db.load.safety import warn_of_hidden_standbys
from wedsync_db.load.scenario import Scenario, with_options
from wedsync_db.load.shards import Shards
from wedsync_db.load.summary import Summary
from wedsync_db.load.verdict import Comparison, Result
from wedsync_db.maintain.giving_way import watching
from wedsync_db.migrate.plan import plan_of, require_sound
from wedsync_db.model import Backup
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import Environment

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
            require_room(target, scenario, options, say)
        older = before(target, plan.pending, options.before)
        wait = environment.guard.wait_for_holder_seconds
        how = options.engine if options.shards == 1 else f"{options.engine} x{options.shards}"
        with (
            target_lock(target, "load-test", wait_seconds=wait, say=say) as lock,
            watching(target, lock.pid) as watch,
            places(
                installation, environment, target, plan.pending, older, scenario, backup=backup, engine=how, say=say
            ) as place,
            session(place.beside, "load-test-standbys") as standbys,
        ):
            say(f"{scenario.title}: {scenario.seconds:.0f} s a run, {scenario.repeats} runs, on {place.server}")
            say(expected(scenario))
            warn_of_hidden_standbys(standbys, say)
            calibration = _calibrated(scenario, place.newest, options, say)
            run = Runner(scenario, options, place.beside, watch, standbys, shards, calibration, say, tell)
            if place.older is None or older is None:
                compare = with_earlier(scenario, plan.pending, lambda: baseline(place.fingerprint))
                runs, result = repeat(scenario, place.newest, run, compare, say)
            else:
                migration = plan.pending[len(older)].id
                runs, result = in_turn(scenario, place.newest, place.older, run, migration, say)
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
