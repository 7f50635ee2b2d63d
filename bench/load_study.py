"""How often a comparison of load tests finds what is not there, and how often it finds what is.

The same build runs twice and a build that is made 30 % slower at p50 once, in turn, many times over, with the real
engine on WedSync's schema. From these runs comparisons are drawn as a user would make them: of pairs, and with earlier
runs. `python -m bench load_study` also writes the runs to tests/data/load_study.json, from which a test works the same
figures out again. Budget: false alarms 5 %, power 90 %.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from wedsync_db.installation import CHECKOUT
from wedsync_db.load.beside import load_database
from wedsync_db.load.compare import MOST_OLD_RUNS, MOST_PAIRS, PAIRS, USUAL, compared_pairs, compared_runs, response_of
from wedsync_db.load.criteria import Criterion
from wedsync_db.load.engine import run
from wedsync_db.load.scenario import SHIPPED, Scenario, read_scenario
from wedsync_db.load.schedule import Phase
from wedsync_db.load.summary import summary_of
from wedsync_db.load.verdict import Compared, Verdict
from wedsync_db.migrate.plan import plan_of
from wedsync_db.postgres.cluster import scratch
from wedsync_db.postgres.session import Address

TURNS, SECONDS, RATE = 24, 3, 200
SLOWER, DRAWN, REPEATS = 1.30, 2000, 5
DATA = CHECKOUT / "tests" / "data" / "load_study.json"
_WORK = "select pg_catalog.count(*) from pg_catalog.generate_series(1, {});\n"
Times = Mapping[str, Sequence[Mapping[str, float]]]  # by build, the percentiles of each run


def measure() -> str:
    times = _made()
    DATA.parent.mkdir(exist_ok=True)
    DATA.write_text(json.dumps(times, indent=1) + "\n")
    return told(times)


def told(times: Times) -> str:
    """The runs in words: how far apart they are, and what comparisons of them come to."""
    lines = [
        "## What a comparison of load tests finds",
        "",
        f"{len(times['same'])} times in turn: a build, the same again, and one slower by {SLOWER - 1:.0%} at p50;",
        f"{SECONDS} s each at {RATE} a second. {DRAWN:,} comparisons are drawn of these runs: {PAIRS} to {MOST_PAIRS}",
        f"pairs, or {REPEATS} runs against {MOST_OLD_RUNS} earlier ones. Budget: false alarms 5 %, power 90 %.",
        "",
        "| | p50 ms | spread from run to run | p95 ms | spread |",
        "|---|---|---|---|---|",
        *(_row(name, held) for name, held in times.items()),
        "",
        "| | found in the same | found in the slower | detectable |",
        "|---|---|---|---|",
    ]
    for how, compare in (("pairs", drawn_pairs), ("earlier runs", drawn_earlier)):
        for asked in USUAL:
            alarms, power, smallest = shares(times, asked, compare)
            lines.append(f"| p{asked.percent:g}, {how} | {alarms:.1%} | {power:.1%} | {smallest - 1:.0%} |")
    return "\n".join(lines)


Draw = Callable[[Times, Criterion, str, np.random.Generator], Compared]


def shares(times: Times, asked: Criterion, compare: Draw, many: int = DRAWN) -> tuple[float, float, float]:
    """How often the same build fails, how often the slower one does, and what would have been found; of many draws."""
    rng = np.random.default_rng(1)
    same = [compare(times, asked, "again", rng) for _ in range(many)]
    slower = [compare(times, asked, "slower", rng) for _ in range(many)]
    smallest = float(np.median([one.detectable or np.inf for one in same]))
    return _failed(same), _failed(slower), smallest


def drawn_pairs(times: Times, asked: Criterion, build: str, rng: np.random.Generator) -> Compared:
    """Some of the turns, and more while they cannot tell, as a load test does."""
    turns = rng.choice(len(times["same"]), MOST_PAIRS, replace=False)
    for many in range(PAIRS, MOST_PAIRS + 1):
        own, theirs = (tuple(times[name][n][_key(asked)] for n in turns[:many]) for name in (build, "same"))
        found = compared_pairs(asked, own, theirs)
        if found.verdict is not Verdict.INCONCLUSIVE:
            break
    return found


def drawn_earlier(times: Times, asked: Criterion, build: str, rng: np.random.Generator) -> Compared:
    """Runs in a row, as a night makes them, against others."""
    many = len(times["same"])
    first = int(rng.integers(0, many - REPEATS))
    own = tuple(one[_key(asked)] for one in times[build][first : first + REPEATS])
    earlier = tuple(times["same"][n][_key(asked)] for n in rng.choice(many, MOST_OLD_RUNS, replace=False))
    return compared_runs(asked, own, earlier)


def _failed(found: Sequence[Compared]) -> float:
    return float(np.mean([one.verdict is Verdict.FAIL for one in found]))


def _key(asked: Criterion) -> str:
    return f"p{asked.percent:g}"


def _row(name: str, held: Sequence[Mapping[str, float]]) -> str:
    cells = []
    for key in ("p50", "p95"):
        values = [one[key] for one in held]
        cells += [f"{np.median(values):.2f}", f"{np.std(np.log(values), ddof=1):.3f}"]
    return f"| {name} | {' | '.join(cells)} |"


def _made() -> dict[str, list[dict[str, float]]]:
    base = replace(
        read_scenario(SHIPPED / "users_1000.toml"),
        phases=(Phase("steady", SECONDS, RATE, RATE),),
        repeats=1,
    )
    found: dict[str, list[dict[str, float]]] = {"same": [], "again": [], "slower": []}
    with TemporaryDirectory(prefix="wedsync-bench-") as folder:
        Path(folder).chmod(0o711)
        plan = plan_of(CHECKOUT / "migrations", ())
        with scratch(18, Path(folder), {"max_connections": "100"}) as cluster:
            target = cluster.address()
            with load_database(target, plan.pending, base) as address:
                builds = {"same": base, "again": base, "slower": _slower(base, address)}
                for turn in range(TURNS):
                    order = list(builds)[turn % len(builds) :] + list(builds)[: turn % len(builds)]
                    for name in order:
                        found[name].append(_times(builds[name], address, turn))
    return found


def _slower(base: Scenario, address: Address) -> Scenario:
    """The scenario with so much more work in each transaction that its p50 is slower by what was asked for."""

    def with_work(rows: float) -> Scenario:
        return replace(base, prelude=_WORK.format(round(rows)) + base.prelude)

    def middle(rows: float) -> float:
        return float(np.median([_times(with_work(rows), address, 100 + turn)["p50"] for turn in range(3)]))

    middle(0)
    none, much = middle(0), middle(10_000)
    return with_work(10_000 * (SLOWER - 1) * none / (much - none))


def _times(scenario: Scenario, address: Address, seed: int) -> dict[str, float]:
    found = summary_of(run(scenario, address, seed=seed))
    return {f"p{percent}": round(response_of(scenario, found, percent) or 0.0, 4) for percent in (50, 95)}
