"""Which of a run's round trips to kill it at."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from tests.support.runners import Boundary, Trip

# what only asks, or sets what is gone with the session: of several in a row the server cannot tell one end from another
_ASKS = re.compile(
    r"postgres/(session:connect|fingerprint:|content:|locks:(_flag|_held))"
    r"|migrate/(ledger:(installed_version|entries)|touched:|loss:|way:|reconcile:|run:reset|alone:_patience)"
    r"|migrate/journal:(steps|tries|read|proofs|migrations|unfinished|attached|_backend|_as_login)"
)


def boundaries(trips: Sequence[Trip], share: float, rng: random.Random) -> list[Boundary]:
    """Before and after each statement, and while it is under way.

    What one statement leaves is what the next one finds, so each stands for the moment before the next. Those with
    which something is committed are always among them, of the others a share, from 0 to 1.
    """
    return [one for always, one in _all(trips) if always or rng.random() < share]


def _all(trips: Sequence[Trip]) -> Iterator[tuple[bool, Boundary]]:
    passed: Counter[str] = Counter()
    for index, trip in enumerate(trips):
        passed[trip.place] += 1
        asks = bool(_ASKS.match(trip.place))
        if asks and index + 1 < len(trips) and _ASKS.match(trips[index + 1].place):
            continue
        for how in ("answered",) if asks else ("sent", "answered"):
            yield trip.settled and not asks, Boundary(trip.place, passed[trip.place], how)


def last(trips: Sequence[Trip], place: str, *, but: int = 0) -> Boundary:
    """The end of the last trip at a place, or of the one `but` that many before it."""
    at = [index for index, trip in enumerate(trips) if trip.place.startswith(place)][-1 - but]
    return Boundary(trips[at].place, sum(trip.place == trips[at].place for trip in trips[: at + 1]), "answered")
