"""The rows of 0007_guests: households, guests, answers, and the seating plan of weddings that are near or over.

Guests are lognormal around 85; surveys know more lists of 500 to 900 than that gives, so one wedding in a hundred has
one. Households and answers a guest (1.5) are guesses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from random import Random

from wedsync_db.seed.chance import between, happens, pick, weighted
from wedsync_db.seed.rows import Row
from wedsync_db.seed.suppliers import EPOCH, letters
from wedsync_db.seed.texts import DIETS, MEALS, STREETS, WISHES, phone
from wedsync_db.seed.wedding import Name, Wedding
from wedsync_db.seed.words import FAMILY_NAMES, GIVEN_NAMES

_HOUSEHOLD = ((2, 0.42), (1, 0.3), (3, 0.13), (4, 0.12), (5, 0.03))
_SIDES = (("first", 0.45), ("second", 0.45), ("both", 0.1))
_ASKED_TO = (("reception", 1.0), ("ceremony", 0.43), ("rehearsal", 0.1), ("brunch", 0.3))  # of a wedding's events
_ANSWERS = (("yes", 0.82), ("no", 0.13), ("invited", 0.03), ("maybe", 0.02))
_EARLY_ANSWERS = (("invited", 0.8), ("yes", 0.17), ("no", 0.03))
_PARENTS = 2  # in a household; the others are its children
_ANSWERS_BEFORE, _PLAN_BEFORE = timedelta(days=120), timedelta(days=30)  # the day


@dataclass(frozen=True)  # without slots, for cached_property
class _Guest:
    wedding: Wedding
    place: int
    household: int
    first_of_household: int
    member: int  # of the household
    name: Name
    side: str
    coming: str  # the answer of the household, which most of its members share
    answered_at: datetime

    @cached_property
    def id(self) -> str:
        return self.wedding.key("guest", self.place)

    @property
    def child(self) -> bool:
        return self.member >= _PARENTS


def rows(wedding: Wedding) -> Iterator[tuple[str, Row]]:
    """The rows of one wedding."""
    chance = wedding.dice("guests")
    seated: list[_Guest] = []
    for party in _households(wedding, chance):
        yield "households", _household(wedding, party[0], chance)
        for guest in party:
            yield "guests", _guest(guest, chance)
            answers = dict(_answers(guest, chance))
            for kind, answer in answers.items():
                yield "rsvps", _rsvp(guest, kind, answer, chance)
            if answers["reception"] == "yes":
                seated.append(guest)
    if not wedding.cancelled and wedding.when.ceremony - _PLAN_BEFORE < EPOCH:
        yield from _seating(wedding, seated, chance)


def _households(wedding: Wedding, chance: Random) -> Iterator[list[_Guest]]:
    total, place, number = _total(wedding, chance), 0, 0
    while place < total:
        size = min(weighted(chance, _HOUSEHOLD), total - place)
        yield list(_party(wedding, place, number, size, chance))
        place, number = place + size, number + 1


def _total(wedding: Wedding, chance: Random) -> int:
    return between(chance, 500, 900) if happens(chance, 0.01) else wedding.guests


def _party(wedding: Wedding, first: int, number: int, size: int, chance: Random) -> Iterator[_Guest]:
    family, side, added = pick(chance, FAMILY_NAMES), weighted(chance, _SIDES), _added(wedding, chance)
    early = wedding.when.ceremony - _ANSWERS_BEFORE > EPOCH
    coming = weighted(chance, _EARLY_ANSWERS if early else _ANSWERS)
    at = added + timedelta(minutes=between(chance, 1, 60 * 24 * 20))
    for member in range(size):
        own = pick(chance, FAMILY_NAMES) if member == 1 and happens(chance, 0.2) else family
        name = Name(pick(chance, GIVEN_NAMES), own)
        yield _Guest(wedding, first + member, number, first, member, name, side, coming, min(at, EPOCH))


def _added(wedding: Wedding, chance: Random) -> datetime:
    """When the couple wrote a household down: within two months of signing up."""
    return wedding.created_at + timedelta(minutes=between(chance, 1, 60 * 24 * 58))


def _household(wedding: Wedding, guest: _Guest, chance: Random) -> Row:
    name = f"{guest.name.family} household" if happens(chance, 0.7) else guest.name.full
    address = f"{between(chance, 1, 180)} {pick(chance, STREETS)}, {wedding.when.city.name}"
    email = _email(guest) if happens(chance, 0.5) else None
    at = wedding.created_at
    return wedding.key("household", guest.household), wedding.id, name, address, email, at, at


def _email(guest: _Guest) -> str:
    return f"{letters(guest.name.given)}.{guest.id[-8:]}@example.org"


def _guest(guest: _Guest, chance: Random) -> Row:
    wedding, at = guest.wedding, guest.wedding.created_at
    plus_one = wedding.key("guest", guest.first_of_household) if guest.member == 1 and happens(chance, 0.3) else None
    kind = "adult" if not guest.child else "infant" if happens(chance, 0.2) else "child"
    email = _email(guest) if not guest.child and happens(chance, 0.6) else None
    number = phone(chance) if not guest.child and happens(chance, 0.4) else None
    dietary = pick(chance, DIETS) if happens(chance, 0.15) else None
    arrived = wedding.when.ceremony - timedelta(minutes=between(chance, 2, 40))
    came = arrived if wedding.over and not wedding.cancelled and guest.coming == "yes" else None
    household = wedding.key("household", guest.household)
    head = (guest.id, wedding.id, household, plus_one, *guest.name, kind, guest.side, email, number)
    return *head, dietary, came, at, at


def _answers(guest: _Guest, chance: Random) -> Iterable[tuple[str, str]]:
    for kind, share in _ASKED_TO:
        if kind in guest.wedding.events and happens(chance, share):
            yield kind, guest.coming if happens(chance, 0.93) else "invited"


def _rsvp(guest: _Guest, kind: str, answer: str, chance: Random) -> Row:
    wedding, at = guest.wedding, guest.wedding.created_at
    event, said = wedding.events[kind].id, answer != "invited"
    meal = pick(chance, MEALS) if answer == "yes" and kind == "reception" else None
    message = pick(chance, WISHES) if said and happens(chance, 0.06) else None
    when = guest.answered_at if said else None
    identity = wedding.key("rsvp", guest.place, kind)
    return identity, wedding.id, guest.id, event, answer, meal, message, when, at, when or at


def _seating(wedding: Wedding, seated: list[_Guest], chance: Random) -> Iterator[tuple[str, Row]]:
    """Round tables of one size, filled in the order of the list, so that households stay together."""
    event, capacity = wedding.events["reception"].id, pick(chance, (8, 8, 10, 12))
    at = min(wedding.when.ceremony - timedelta(days=between(chance, 12, 29)), EPOCH)
    for table in range(-(-len(seated) // capacity)):
        head = (wedding.key("table", table), wedding.id, event)
        yield "seating_tables", (*head, f"Table {table + 1}", capacity, at, at)
    for place, guest in enumerate(seated):
        table, seat = divmod(place, capacity)
        where = (wedding.key("seat", guest.place), wedding.id, event, wedding.key("table", table))
        yield "seat_assignments", (*where, guest.id, seat + 1, at, at)
