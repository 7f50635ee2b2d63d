"""How many connections an account may use at once, by what it pays for."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

TierName = Literal["pro", "free"]


@dataclass(frozen=True, slots=True)
class Tier:
    """The limits of a pool: every one is bounded, so that a slow database is an error and no endless queue."""

    name: TierName
    size: int  # connections at the most
    kept: int  # that stay open when nobody wants one
    queue: int  # requests that may wait; one more is refused at once
    patience_seconds: float = 5.0  # how long a request waits
    idle_seconds: float = 600.0  # after which a connection above `kept` is closed
    lifetime_seconds: float = 3600.0  # after which one is replaced: what a backend gathers in memory goes with it


TIERS = MappingProxyType(
    {"pro": Tier("pro", size=100, kept=10, queue=500), "free": Tier("free", size=20, kept=2, queue=100)}
)
