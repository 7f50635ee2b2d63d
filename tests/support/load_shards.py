"""A load test whose every arrival leaves a row: what arrived at the server is compared with what was to arrive."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from tests.support.case import Case
from wedsync_db.load.scenario import Scenario, read_scenario
from wedsync_db.load.schedule import schedule
from wedsync_db.postgres.session import Address, session

MIGRATION = "create table public.arrived (who integer not null, mark bigint not null);"
_SCENARIO = """
title = "Who arrives leaves a row"
users = 50
tenants = 5
pool = 5
repeats = {repeats}
[scripts.mark]
share = 1
file = "mark.sql"
draw.mark = {{least = 1, most = 1000000000}}
[[phases]]
name = "steady"
seconds = {seconds}
rate = 100
rate_at_end = 60
[thresholds]
response_ms = ["p(95)<60000"]
dropped = ["count==0"]
"""


def write_scenario(folder: Path, *, seconds: float, repeats: int = 1) -> Path:
    """A scenario file: a hundred arrivals a second, and then fewer."""
    (folder / "mark.sql").write_text("insert into public.arrived values (:user, :mark);\n")
    path = folder / "arrivals.toml"
    path.write_text(_SCENARIO.format(seconds=seconds, repeats=repeats))
    return path


def scenario_of(case: Case, seconds: float) -> Scenario:
    """The scenario, and the migration that makes its table."""
    case.migration("0001_arrived", MIGRATION, "drop table public.arrived;")
    return read_scenario(write_scenario(case.folder, seconds=seconds))


def expected(scenario: Scenario, seed: int) -> Counter[tuple[int, int]]:
    """Who is to arrive with what, however many generators there are: the whole schedule, drawn in one process."""
    whole = schedule(scenario.phases, [1], scenario.users, seed)
    rng = np.random.default_rng(seed + 2)
    marks = scenario.scripts[0].draws["mark"].draw(rng, len(whole))
    return Counter(zip(whole.user.tolist(), marks.tolist(), strict=True))


def arrived(address: Address) -> Counter[tuple[int, int]]:
    """Who did."""
    with session(address, "test") as connection:
        return Counter(connection.execute("select who, mark from public.arrived").fetchall())
