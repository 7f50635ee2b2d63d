"""Chance that comes out the same on every machine, and keys that follow from it.

Python promises the same sequence for the same seed in every version for `random()` alone, not for choice or gauss: so
everything here is built on that one method.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from random import Random
from typing import TypeVar

T = TypeVar("T")


def dice(seed: int, *path: object) -> Random:
    """A stream of chance of its own for one thing, say (7, "wedding", 12, 3), whatever else is made before it."""
    return Random("/".join(map(str, (seed, *path))))  # noqa: S311 - made-up data, nothing secret


def happens(chance: Random, probability: float) -> bool:
    """Whether something of this probability comes about."""
    return chance.random() < probability


def between(chance: Random, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return low + int(chance.random() * (high - low + 1))


def pick(chance: Random, options: Sequence[T]) -> T:
    """One of the options, each as likely."""
    return options[int(chance.random() * len(options))]


def weighted(chance: Random, options: Sequence[tuple[T, float]]) -> T:
    """One of the options by weights that add up to 1."""
    left = chance.random()
    for option, weight in options:
        left -= weight
        if left < 0:
            return option
    return options[-1][0]


def poisson(chance: Random, mean: float) -> int:
    """How many of a rare thing there are; Knuth's method, for small means."""
    limit, product, count = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count


def digest(seed: int, *path: object) -> str:
    """Twenty hexadecimal digits that belong to one thing."""
    return blake2b("/".join(map(str, (seed, *path))).encode(), digest_size=10).hexdigest()


def key(seed: int, at: datetime, *path: object) -> str:
    """The key of one row in the shape of a version 7 UUID: its time in front as the application's keys have it."""
    tail = digest(seed, *path)
    milliseconds = int(at.timestamp()) * 1000
    return f"{milliseconds:012x}7{tail[:3]}{'89ab'[int(tail[3], 16) & 3]}{tail[4:19]}"
