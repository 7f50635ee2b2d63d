"""What suppliers pay the platform: subscriptions of 0010_money, and the last event the provider sent about each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from wedsync_db.seed import provider
from wedsync_db.seed.chance import between, happens, weighted
from wedsync_db.seed.provider import Event
from wedsync_db.seed.rows import Row
from wedsync_db.seed.suppliers import EPOCH, Supplier

_PRO = 4900
_STATUSES = (("active", 0.85), ("past_due", 0.06), ("trialing", 0.05), ("cancelled", 0.04))
_TOLD = {"cancelled": "canceled"}  # the provider writes it so


def rows(made: Supplier) -> Iterator[tuple[str, Row]]:
    """The rows of one supplier."""
    chance, at = made.dice("subscription"), made.created_at
    head, currency = (made.key("subscription"), made.id), made.city.currency
    if happens(chance, 0.3):
        yield "subscriptions", (*head, "free", "active", 0, currency, None, None, None, None, at, at)
        return
    status = weighted(chance, _STATUSES)
    told = EPOCH - timedelta(days=between(chance, 1, 28), seconds=between(chance, 0, 86_399))
    names = (provider.name("cus", made.seed, made.number), provider.name("sub", made.seed, made.number))
    ends = told + timedelta(days=30)
    yield "subscriptions", (*head, "pro", status, _PRO, currency, *names, ends, told, at, told)
    yield "stripe_events", provider.row(made.seed, made.id, _event(made, status, names, told, ends))


def _event(made: Supplier, status: str, names: tuple[str, str], told: datetime, ends: datetime) -> Event:
    kind = "deleted" if status == "cancelled" else "updated"
    content = {
        "id": names[1], "object": "subscription", "customer": names[0], "currency": made.city.currency.lower(),
        "status": _TOLD.get(status, status), "current_period_end": int(ends.timestamp()),
        "items": {"data": [{"price": {"unit_amount": _PRO}}]},
    }  # fmt: skip
    return Event(("subscription", made.number), f"customer.subscription.{kind}", told, content)
