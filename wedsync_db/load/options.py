"""What somebody may want of a load test besides its scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Engine = Literal["threads", "pgbench"]
MOST_SHARDS = 64
LOAD_POOL = "wedsync-db-load"  # Prefect's work pool of the machines that send


@dataclass(frozen=True, slots=True)
class Options:
    """How to run a scenario; what is None is the scenario's own.

    `before` is a migration: the scenario also runs as the schema is before it, in turn, and both are compared. `engine`
    is who sends; with `calibrate` both engines do for a few seconds before, to see that they measure the same.
    `confirm` is the environment's name, typed by who answers for it. With more than one of `shards` as many machines
    send. `copy` is a backup by its name, or `newest`: it is restored on a scratch server, and the test runs there.
    """

    pool: int | None = None
    repeats: int | None = None
    seed: int = 1
    before: str = ""
    engine: Engine = "threads"
    calibrate: bool = False
    confirm: str | None = None
    shards: int = 1
    copy: str = ""
