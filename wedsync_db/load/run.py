"""A load test from begin to end: the database beside the target, repeated runs, the verdict."""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from wedsync_db.errors import Refused
from wedsync_db.installation import Installation
from wedsync_db.load.beside import load_database
from wedsync_db.load.engine import run as run_once
from wedsync_db.load.measure import doubts, value_of
from wedsync_db.load.scenario import MOST_RUNS, Scenario
from wedsync_db.load.summary import Cell, Summary, summary_of
from wedsync_db.load.verdict import Result, Verdict, judge
from wedsync_db.load.worker import Progress
from wedsync_db.maintain.giving_way import Watch, watching
from wedsync_db.migrate.plan import plan_of, require_sound
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import Environment

_SEEDS_APART = 10  # a run draws from a few seeds that follow each other
_SPARE_HANDLES = 200
_MOST_OF_CONNECTIONS = 0.8
_KILL_SHARE, _KILL_TURNS = 0.05, 10  # so many errors for so many seconds end a run


Tell = Callable[[Progress], None]


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


def load_test(
    installation: Installation,
    environment: Environment,
    scenario: Scenario,
    *,
    seed: int,
    clock: Callable[[], datetime],
    say: Callable[[str], None] = lambda _: None,
    tell: Tell = lambda _: None,
) -> LoadTest:
    """Run a scenario beside an environment's target as often as the verdict needs, and judge it.

    Raises:
        Refused: the environment is not for load tests, or the server or this machine has too little for it.
        TargetHeld: somebody holds the target, or a deployment wanted it meanwhile.
        Unreachable: the connections are not to be had.
        Inconclusive: a process of the generator was lost.
    """
    started_at = clock()
    require_marked(environment)
    require_handles(scenario.pool)
    plan = plan_of(environment.migrations, ())
    require_sound(plan)
    with installation.target(environment.name, create=True) as target:
        server = _server(target, scenario.pool)
        wait = environment.guard.wait_for_holder_seconds
        with (
            target_lock(target, "load-test", wait_seconds=wait, say=say) as lock,
            watching(target, lock.pid) as watch,
            load_database(target, plan.pending, scenario) as address,
        ):
            say(f"{scenario.title}: {scenario.seconds:.0f} s a run, {scenario.repeats} runs, on {server}")
            runs, result = _repeat(scenario, lambda number: _one(scenario, address, number, watch, tell), seed, say)
    migrations = tuple((one.id, one.deploy.sha256) for one in plan.pending)
    return LoadTest(environment.name, scenario, server, seed, started_at, migrations, runs, result)


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


def require_handles(connections: int) -> None:
    """Make sure that this machine lets us have so many connections.

    Raises:
        Refused: it does not; without this check clients would hang, with no error.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < connections + _SPARE_HANDLES:
        raise Refused(
            f"{connections} connections need {connections + _SPARE_HANDLES} file handles, {soft} are allowed",
            hint=f"ulimit -n {connections + _SPARE_HANDLES}",
        )


def _server(target: Address, pool: int) -> str:
    """The server's version; it has room for the pool.

    Raises:
        Refused: it has not.
    """
    with session(target, "load-test") as connection:
        version, room = connection.execute(query("load", "server"), {}).fetchall()[0]
    if pool > room * _MOST_OF_CONNECTIONS:
        raise Refused(
            f"a pool of {pool} takes more than {_MOST_OF_CONNECTIONS:.0%} of the {room} connections there are",
            hint=f"Raise max_connections to {round(pool / _MOST_OF_CONNECTIONS) + 10}, or test a smaller pool.",
        )
    return f"PostgreSQL {version}"


def _repeat(
    scenario: Scenario,
    run_with: Callable[[int], Summary],
    seed: int,
    say: Callable[[str], None],
) -> tuple[tuple[Summary, ...], Result]:
    """As many runs as were asked for, and more while the limit lies within the interval."""
    runs: list[Summary] = []
    while True:
        runs.append(run_with(seed + _SEEDS_APART * len(runs)))
        say(f"run {len(runs)}: {run_line(runs[-1])}")
        if len(runs) < scenario.repeats:
            continue
        result = judged(scenario, runs)
        if result.verdict is not Verdict.INCONCLUSIVE or len(runs) >= MOST_RUNS:
            return tuple(runs), result


def judged(scenario: Scenario, runs: Sequence[Summary]) -> Result:
    """The verdict over these runs of a scenario. Pure."""
    criteria = scenario.criteria
    values = [[value_of(criterion, scenario, run) for criterion in criteria] for run in runs]
    found = [f"run {number}: {doubt}" for number, run in enumerate(runs, 1) for doubt in doubts(criteria, run)]
    return judge(criteria, values, found)


def _one(scenario: Scenario, address: Address, seed: int, watch: Watch, tell: Tell) -> Summary:
    """One run, which ends early when a deployment wants the target, or hardly anything is answered any more."""
    watch.require_nobody()
    switch = KillSwitch()

    def hear(progress: Progress) -> bool:
        tell(progress)
        watch.look()
        return not (switch.is_pulled(progress) or watch.wanted_by or watch.is_lost)

    run = summary_of(run_once(scenario, address, seed=seed, tell=hear))
    watch.require_nobody()
    return run


class KillSwitch:
    """Ends a run that does nothing but harm: more than 5 % errors for ten seconds."""

    def __init__(self) -> None:
        self._before = Progress(0, 0, 0, None)
        self._bad = 0

    def is_pulled(self, progress: Progress) -> bool:
        """Whether to end the run; to be asked with each second's progress."""
        answered, errors = progress.answered - self._before.answered, progress.errors - self._before.errors
        self._before = progress
        self._bad = self._bad + 1 if errors > _KILL_SHARE * max(answered, 1) else 0
        return self._bad >= _KILL_TURNS


def run_line(run: Summary) -> str:
    """One run in a line."""
    all_of_it = Cell.sum(run.cells.values())
    said = ", ".join(f"{many} × {state}" for state, many in all_of_it.errors.items())
    return f"{all_of_it.answered} answered of {all_of_it.arrivals}" + (f", errors {said}" if said else "") + (
        f", {all_of_it.dropped} dropped" if all_of_it.dropped else ""
    )  # fmt: skip
