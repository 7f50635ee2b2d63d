"""Made-up weddings with their people, suppliers, events and running order.

Sources of the shares: most weddings are on Saturdays and in late summer (published UK and US surveys), 85 guests
are the median, a supplier is booked a good year ahead, most suppliers have ten to thirty weddings a year. The rest are
guesses.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from random import Random

from wedsync_db.seed.chance import between, dice, digest, happens, key, pick, poisson, weighted
from wedsync_db.seed.rows import Row, Rows, collect
from wedsync_db.seed.suppliers import EPOCH, Supplier, letters, supplier
from wedsync_db.seed.words import CITIES, FAMILY_NAMES, GIVEN_NAMES, PLACES, STEPS, City

_PER_SUPPLIER = (((10, 30), 0.70), ((3, 9), 0.25), ((31, 80), 0.04), ((300, 400), 0.01))
_WEEKDAYS = ((5, 0.55), (4, 0.19), (6, 0.1), (3, 0.06), (0, 0.04), (1, 0.03), (2, 0.03))  # Monday is 0
_MONTHS = ((8, 0.15), (7, 0.14), (9, 0.13), (6, 0.13), (5, 0.11), (10, 0.08),
           (4, 0.07), (12, 0.06), (3, 0.05), (11, 0.04), (2, 0.02), (1, 0.02))  # fmt: skip
_YEARS = (2025, 2026, 2026, 2027)
_RELATIVES = (("parent", 0.4), ("attendant", 0.5), ("officiant", 0.1))
_SCOPES = (("{overview,timeline}", 0.5), ("{overview,timeline,timeline_edit}", 0.25), ("{overview}", 0.15),
           ("{overview,people,timeline,timeline_edit,guests}", 0.1))  # fmt: skip
_ANSWERS = (("accepted", 0.82), ("invited", 0.12), ("declined", 0.06))
_RECEPTION_MINUTE = 60  # after the ceremony began; what comes later in the day belongs to the reception

Couple = tuple[tuple[str, str], tuple[str, str]]


@dataclass(frozen=True)  # without slots, for cached_property
class _Wedding:
    """Wedding `place` of those that came through one supplier."""

    lead: Supplier
    place: int
    city: City
    ceremony: datetime
    created_at: datetime

    @cached_property
    def id(self) -> str:
        return self.key("wedding")

    @property
    def over(self) -> bool:
        return self.ceremony < EPOCH

    @property
    def date(self) -> date:
        """The day it is where it takes place."""
        return (self.ceremony + timedelta(hours=self.city.ahead)).date()

    def key(self, kind: str, *place: object) -> str:
        return key(self.lead.seed, self.created_at, kind, self.lead.number, self.place, *place)


def weddings(seed: int, numbers: Iterable[int], organizations: int) -> Rows:
    """The rows of the weddings that came through these suppliers, table by table.

    Further suppliers at a wedding are any of the `organizations` there are in all.
    """
    return collect(row for number in numbers for row in _of(supplier(seed, number), organizations))


def _of(lead: Supplier, organizations: int) -> Iterable[tuple[str, Row]]:
    chance = dice(lead.seed, "diary", lead.number)
    for place in range(between(chance, *weighted(chance, _PER_SUPPLIER))):
        own = dice(lead.seed, "wedding", lead.number, place)
        yield from _rows(_wedding(lead, place, own), own, organizations)


def _wedding(lead: Supplier, place: int, chance: Random) -> _Wedding:
    city = lead.city if happens(chance, 0.8) else pick(chance, CITIES)
    first = datetime(pick(chance, _YEARS), weighted(chance, _MONTHS), 1 + 7 * between(chance, 0, 3), tzinfo=UTC)
    day = first + timedelta(days=(weighted(chance, _WEEKDAYS) - first.weekday()) % 7)
    ceremony = day + timedelta(hours=between(chance, 11, 17) - city.ahead)
    booked = ceremony - timedelta(days=between(chance, 330, 540), minutes=between(chance, 0, 1439))
    latest = EPOCH - timedelta(days=between(chance, 61, 300))
    return _Wedding(lead, place, city, ceremony, min(booked, latest))


def _rows(wedding: _Wedding, chance: Random, organizations: int) -> Iterable[tuple[str, Row]]:
    couple = (_name(chance), _name(chance))
    yield "weddings", _row(wedding, couple, chance)
    yield from _couple(wedding, couple, chance)
    for place in range(min(poisson(chance, 1.6), 8)):
        yield "wedding_people", _person(wedding, place, weighted(chance, _RELATIVES), _name(chance))
    at_work: dict[str, str] = {}
    for hired in _trades(wedding.lead, chance, organizations).values():
        status = weighted(chance, _ANSWERS) if hired is not wedding.lead else "accepted"
        yield "wedding_vendors", _hire(wedding, hired, status, chance)
        if status == "accepted":
            at_work[hired.category] = wedding.key("vendor", hired.number)
    for kind, hours, minutes, probability in _EVENTS:
        if happens(chance, probability):
            yield "wedding_events", _event(wedding, kind, hours, minutes)
    yield from _timeline(wedding, at_work, chance)


def _name(chance: Random) -> tuple[str, str]:
    return pick(chance, GIVEN_NAMES), pick(chance, FAMILY_NAMES)


def _row(wedding: _Wedding, couple: Couple, chance: Random) -> Row:
    guests = min(900, max(10, round(85 * math.exp(0.55 * _normal(chance)))))
    planned = "confirmed" if happens(chance, 0.7) else "planning"
    status = "cancelled" if happens(chance, 0.04) else "completed" if wedding.over else planned
    title, venue = f"{couple[0][0]} & {couple[1][0]}", f"{wedding.city.name} {pick(chance, PLACES)}"
    at = wedding.created_at
    return wedding.id, title, wedding.date, wedding.city.zone, venue, guests, status, at, at


def _normal(chance: Random) -> float:
    """Close enough to a standard normal: the sum of twelve even chances, less its mean."""
    return sum(chance.random() for _ in range(12)) - 6.0


def _couple(wedding: _Wedding, couple: Couple, chance: Random) -> Iterable[tuple[str, Row]]:
    """Both partners; the first has signed up, the second often."""
    for place, (given, family) in enumerate(couple):
        unique = digest(wedding.lead.seed, "mail", wedding.lead.number, wedding.place, place)[:8]
        email, account, at = f"{letters(given)}.{unique}@example.com", None, wedding.created_at
        if place == 0 or happens(chance, 0.6):
            account = wedding.key("account", place)
            yield "profiles", (account, email, f"{given} {family}", at, at)
        person = wedding.key("partner", place)
        yield "wedding_people", (person, wedding.id, account, "partner", given, family, email, at, at)


def _person(wedding: _Wedding, place: int, role: str, name: tuple[str, str]) -> Row:
    at = wedding.created_at
    return wedding.key("person", place), wedding.id, None, role, *name, None, at, at


def _trades(lead: Supplier, chance: Random, organizations: int) -> Mapping[str, Supplier]:
    """The supplier it came through, and others, one of each trade."""
    hired = {lead.category: lead}
    for _ in range(poisson(chance, 2.2)):
        other = supplier(lead.seed, between(chance, 0, organizations - 1))
        hired.setdefault(other.category, other)
    return hired


def _hire(wedding: _Wedding, hired: Supplier, status: str, chance: Random) -> Row:
    invited = wedding.created_at + timedelta(days=between(chance, 1, 50))
    answered = None if status == "invited" else invited + timedelta(hours=between(chance, 1, 200))
    identity, scopes, email = (
        wedding.key("vendor", hired.number),
        weighted(chance, _SCOPES),
        f"hello@{hired.slug}.example",
    )
    last = answered or invited
    return identity, wedding.id, hired.id, hired.category, status, scopes, email, invited, answered, last


# kind, hours after the ceremony begins, minutes it lasts, how usual it is
_EVENTS = (("ceremony", 0, 60, 1.0), ("reception", 1, 540, 1.0), ("rehearsal", -20, 60, 0.3), ("brunch", 21, 150, 0.2))


def _event(wedding: _Wedding, kind: str, hours: int, minutes: int) -> Row:
    starts, at = wedding.ceremony + timedelta(hours=hours), wedding.created_at
    ends = starts + timedelta(minutes=minutes)
    return wedding.key("event", kind), wedding.id, kind, kind.capitalize(), wedding.city.name, starts, ends, at, at


def _timeline(wedding: _Wedding, at_work: Mapping[str, str], chance: Random) -> Iterable[tuple[str, Row]]:
    shift, at = 5 * between(chance, -3, 3), wedding.created_at
    for place, step in enumerate(STEPS):
        if happens(chance, step.share):
            starts = wedding.ceremony + timedelta(minutes=step.minute + shift)
            ends = starts + timedelta(minutes=step.lasts)
            event = wedding.key("event", "reception" if step.minute >= _RECEPTION_MINUTE else "ceremony")
            vendor, done = at_work.get(step.category or ""), ends if wedding.over else None
            item = wedding.key("item", place)
            yield (
                "timeline_items",
                (item, wedding.id, event, vendor, step.title, step.notes, starts, ends, done, at, at),
            )
