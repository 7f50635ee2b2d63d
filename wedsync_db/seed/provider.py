"""Events of the payment provider, as it would have sent them and as schema api's functions would have stored them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from wedsync_db.seed.chance import digest, key
from wedsync_db.seed.rows import Row

_DELIVERY = timedelta(seconds=2)


class Verdict(NamedTuple):
    """What came of an event; the reason in the functions' own words."""

    outcome: str = "done"
    reason: str | None = None


DONE = Verdict()


class Event(NamedTuple):
    """Something the provider told; `about` tells it from all others of the seed, `payment` is its key of a payment."""

    about: tuple[object, ...]
    type: str
    made: datetime
    content: Mapping[str, object]
    payment: str | None = None
    verdict: Verdict = DONE


def name(kind: str, seed: int, *about: object) -> str:
    """A key as the provider makes them: `pi_…`, `re_…`, `cus_…`."""
    return f"{kind}_{digest(seed, kind, *about)}"


def row(seed: int, organization: str, event: Event) -> Row:
    """The row of an event that arrived at once and was acted on at once."""
    identity, at = name("evt", seed, event.type, *event.about), event.made + _DELIVERY
    payload = {
        "id": identity,
        "object": "event",
        "type": event.type,
        "created": int(event.made.timestamp()),
        "livemode": True,
        "data": {"object": event.content},
    }
    head = (key(seed, at, "event", event.type, *event.about), identity, event.type)
    tail = (organization, event.payment, *event.verdict, at, at)
    return *head, json.dumps(payload, ensure_ascii=False), True, *tail


def dashed(identity: str) -> str:
    """A UUID as the database prints it."""
    return "-".join((identity[:8], identity[8:12], identity[12:16], identity[16:20], identity[20:]))
