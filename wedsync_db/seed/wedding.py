"""Made-up weddings as facts: when, where, who, which suppliers. Every table's rows follow from these.

Sources of the shares: most weddings are on Saturdays and in late summer (published UK and US surveys), 85 guests
are the median, a supplier is booked a good year ahead, most suppliers have ten to thirty weddings a year. The rest are
guesses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from random import Random
from typing import NamedTuple

from wedsync_db.seed.chance import between, dice, digest, happens, key, pick, poisson, weighted
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
# kind, hours after the ceremony begins, minutes it lasts, how usual it is
_EVENTS = (("ceremony", 0, 60, 1.0), ("reception", 1, 540, 1.0), ("rehearsal", -20, 60, 0.3), ("brunch", 21, 150, 0.2))


class Name(NamedTuple):
    """A name as forms ask for it, in two parts; either may be of several words."""

    given: str
    family: str

    @property
    def full(self) -> str:
        """Both parts."""
        return f"{self.given} {self.family}"


class Partner(NamedTuple):
    """One of a couple; `account` is the key of the profile, if there is one."""

    name: Name
    email: str
    account: str | None


class Hire(NamedTuple):
    """What a supplier was asked to do at a wedding, and what it said; `answered` is None while it has not."""

    supplier: Supplier
    status: str
    scopes: str
    invited: datetime
    answered: datetime | None


class Event(NamedTuple):
    """A part of a wedding."""

    id: str
    starts: datetime
    ends: datetime


class When(NamedTuple):
    """Where and when a wedding is, and since when the platform knows of it."""

    city: City
    ceremony: datetime
    created_at: datetime


@dataclass(frozen=True)  # without slots, for cached_property
class Wedding:
    """Wedding `place` of those that came through one supplier; `steps` are places in words.STEPS."""

    lead: Supplier
    place: int
    when: When
    couple: tuple[Partner, Partner]
    guests: int
    status: str
    venue: str
    relatives: tuple[tuple[str, Name], ...]
    hires: tuple[Hire, ...]
    events: dict[str, Event]
    shift: timedelta
    steps: tuple[int, ...]

    @cached_property
    def id(self) -> str:
        """The key of its row."""
        return self.key("wedding")

    @property
    def created_at(self) -> datetime:
        """Since when the platform knows of it."""
        return self.when.created_at

    @property
    def over(self) -> bool:
        """Whether its day has passed."""
        return self.when.ceremony < EPOCH

    @property
    def cancelled(self) -> bool:
        """Whether it will not take place."""
        return self.status == "cancelled"

    @property
    def date(self) -> date:
        """The day it is where it takes place."""
        return (self.when.ceremony + timedelta(hours=self.when.city.ahead)).date()

    @property
    def title(self) -> str:
        """What its pages are headed with."""
        return f"{self.couple[0].name.given} & {self.couple[1].name.given}"

    def key(self, kind: str, *place: object) -> str:
        """The key of one of its rows."""
        return _key(self.lead, self.created_at, self.place, kind, *place)

    def dice(self, what: str) -> Random:
        """A stream of chance of its own for one sort of its rows."""
        return dice(self.lead.seed, what, self.lead.number, self.place)


def diary(lead: Supplier, organizations: int, share: float = 1.0) -> Iterator[Wedding]:
    """The weddings that came through a supplier, or the first of them when only a share (at most 1) is wanted.

    Further suppliers at a wedding are any of the `organizations` there are in all.
    """
    chance = dice(lead.seed, "diary", lead.number)
    busy = between(chance, *weighted(chance, _PER_SUPPLIER))
    for place in range(math.ceil(busy * share)):
        yield _wedding(lead, place, organizations)


def _wedding(lead: Supplier, place: int, organizations: int) -> Wedding:
    """The order of these lines is the order of the dice: each has to stay where it is."""
    chance = dice(lead.seed, "wedding", lead.number, place)
    when = _when(lead, chance)
    names = (_name(chance), _name(chance))
    guests = min(900, max(10, round(85 * math.exp(0.55 * _normal(chance)))))
    planned = "confirmed" if happens(chance, 0.7) else "planning"
    status = "cancelled" if happens(chance, 0.04) else "completed" if when.ceremony < EPOCH else planned
    venue = f"{when.city.name} {pick(chance, PLACES)}"
    couple = (
        _partner(lead, place, 0, names[0], when.created_at),
        _partner(lead, place, 1, names[1], when.created_at if happens(chance, 0.6) else None),
    )
    relatives = tuple((weighted(chance, _RELATIVES), _name(chance)) for _ in range(min(poisson(chance, 1.6), 8)))
    hires = tuple(_hires(lead, when, chance, organizations))
    events = {kind: event for kind, event in _events(lead, place, when, chance) if event}
    shift = timedelta(minutes=5 * between(chance, -3, 3))
    steps = tuple(number for number, step in enumerate(STEPS) if happens(chance, step.share))
    return Wedding(lead, place, when, couple, guests, status, venue, relatives, hires, events, shift, steps)


def _key(lead: Supplier, at: datetime, wedding: int, kind: str, *place: object) -> str:
    return key(lead.seed, at, kind, lead.number, wedding, *place)


def _when(lead: Supplier, chance: Random) -> When:
    city = lead.city if happens(chance, 0.8) else pick(chance, CITIES)
    first = datetime(pick(chance, _YEARS), weighted(chance, _MONTHS), 1 + 7 * between(chance, 0, 3), tzinfo=UTC)
    day = first + timedelta(days=(weighted(chance, _WEEKDAYS) - first.weekday()) % 7)
    ceremony = day + timedelta(hours=between(chance, 11, 17) - city.ahead)
    booked = ceremony - timedelta(days=between(chance, 330, 540), minutes=between(chance, 0, 1439))
    latest = EPOCH - timedelta(days=between(chance, 61, 300))
    return When(city, ceremony, min(booked, latest))


def _name(chance: Random) -> Name:
    return Name(pick(chance, GIVEN_NAMES), pick(chance, FAMILY_NAMES))


def _normal(chance: Random) -> float:
    """Close enough to a standard normal: the sum of twelve even chances, less its mean."""
    return sum(chance.random() for _ in range(12)) - 6.0


def _partner(lead: Supplier, wedding: int, place: int, name: Name, signed_up: datetime | None) -> Partner:
    unique = digest(lead.seed, "mail", lead.number, wedding, place)[:8]
    account = _key(lead, signed_up, wedding, "account", place) if signed_up else None
    return Partner(name, f"{letters(name.given)}.{unique}@example.com", account)


def _hires(lead: Supplier, when: When, chance: Random, organizations: int) -> Iterator[Hire]:
    """The supplier it came through, and others, one of each trade."""
    hired = {lead.category: lead}
    for _ in range(poisson(chance, 2.2)):
        other = supplier(lead.seed, between(chance, 0, organizations - 1))
        hired.setdefault(other.category, other)
    for who in hired.values():
        status = weighted(chance, _ANSWERS) if who is not lead else "accepted"
        invited = when.created_at + timedelta(days=between(chance, 1, 50))
        answered = None if status == "invited" else invited + timedelta(hours=between(chance, 1, 200))
        yield Hire(who, status, weighted(chance, _SCOPES), invited, answered)


def _events(lead: Supplier, place: int, when: When, chance: Random) -> Iterator[tuple[str, Event | None]]:
    for kind, hours, minutes, probability in _EVENTS:
        starts = when.ceremony + timedelta(hours=hours)
        event = Event(_key(lead, when.created_at, place, "event", kind), starts, starts + timedelta(minutes=minutes))
        yield kind, event if happens(chance, probability) else None
