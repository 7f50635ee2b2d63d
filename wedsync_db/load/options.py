"""What somebody may want of a load test besides its scenario."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """How to run a scenario; what is None is the scenario's own.

    `before` is a migration: the scenario also runs as the schema is before it, in turn, and both are compared.
    """

    pool: int | None = None
    repeats: int | None = None
    seed: int = 1
    before: str = ""
