"""Load-test validation: does the database hold so many users?"""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from pydantic import Field

from tasks.each import all_ended
from tasks.load import ScenarioName, run_load_test
from tasks.names import EnvironmentName
from wedsync_db.load.options import MOST_SHARDS, Engine, Options
from wedsync_db.load.safety import MOST_CONNECTIONS
from wedsync_db.load.scenario import MOST_RUNS

Connections = Annotated[int, Field(ge=1, le=MOST_CONNECTIONS)]
Shards = Annotated[int, Field(ge=1, le=MOST_SHARDS)]
Repeats = Annotated[int, Field(ge=1, le=MOST_RUNS)]


def _run_name() -> str:
    return f"load_test-{flow_run.parameters.get('environment')}-{flow_run.parameters.get('scenario')}"


@flow(name="load_test", flow_run_name=_run_name, retries=0, persist_result=False)
def load_test(  # noqa: PLR0913, PLR0917 each is a field of the form
    environment: EnvironmentName,
    scenario: ScenarioName = "users_1000",
    pool: Connections | None = None,
    repeats: Repeats | None = None,
    seed: int = 1,
    before: str = "",
    engine: Engine = "threads",
    calibrate: bool = False,
    confirm: str | None = None,
    shards: Shards = 1,
    backup: str = "",
) -> State[object]:
    """Run a scenario in a database of its own beside the target, as often as a verdict needs, and judge it.

    PASS and FAIL are findings about the database. INCONCLUSIVE says that the runs differ too much to tell; INVALID that
    the generator or the machine was the slow one. Neither passes.

    Args:
        environment: One that says `load_test = true` in environments.toml. Nothing of its own is read or written, but
            its server is busy with this.
        scenario: What people do, how many they are, and what is asked of the database.
        pool: Connections they share; the scenario's own by default.
        repeats: Runs; the scenario's own by default. A verdict needs two, five are better.
        seed: Everything that is drawn comes from it: the same seed, the same load.
        before: A migration: run also as the schema was before it, in turn, at least eight times, and compare; `pending`
            stands for the first one that the target has not yet.
        engine: Who sends: threads of our own, or pgbench, which looks at no rows and so counts for no promotion.
        calibrate: Let both engines run for ten seconds before: where they do not agree, the test is INVALID.
        confirm: The environment's name, where deployments to it have to be approved.
        shards: How many machines send, where one cannot send enough; each needs a worker of the work pool
            wedsync-db-load.
        backup: A backup, or `newest`: run on a copy of it, on a scratch server here, instead of beside the target.
    """
    options = Options(pool, repeats, seed, before, engine, calibrate, confirm, shards, backup)
    return all_ended([run_load_test(environment, scenario, options)])
