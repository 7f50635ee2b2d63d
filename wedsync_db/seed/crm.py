"""The rows of 0006_crm: a supplier's clients, with what colleagues note and have to do about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from random import Random

from wedsync_db.seed.chance import between, dice, digest, happens, key, pick, poisson, weighted
from wedsync_db.seed.rows import Row
from wedsync_db.seed.suppliers import EPOCH, Supplier, letters
from wedsync_db.seed.texts import NOTES, OFFICE_TASKS, SOURCES, TASKS, phone
from wedsync_db.seed.wedding import Hire, Name, Wedding
from wedsync_db.seed.words import FAMILY_NAMES, GIVEN_NAMES

_ENQUIRIES = 6  # a supplier, that came to no wedding on the platform
_ENQUIRY_STAGES = (("lost", 0.5), ("lead", 0.3), ("quoted", 0.2))
_STAGE_OF = {"invited": "quoted", "declined": "lost", "accepted": "booked"}


@dataclass(frozen=True)  # without slots, for cached_property
class Client:
    """A customer of one supplier; `path` tells it from all others of the seed.

    `accepted` is when the supplier said yes to the wedding, None if it did not.
    """

    supplier: Supplier
    path: tuple[object, ...]
    wedding: Wedding | None
    name: Name
    partner: Name | None
    email: str
    stage: str
    day: date | None
    created_at: datetime
    accepted: datetime | None = None

    @cached_property
    def id(self) -> str:
        """The key of its row."""
        return self.key("client")

    def key(self, kind: str, *place: object) -> str:
        """The key of one of its rows."""
        return key(self.supplier.seed, self.created_at, kind, *self.path, *place)

    def dice(self, what: str) -> Random:
        """A stream of chance of its own for one sort of its rows."""
        return dice(self.supplier.seed, what, *self.path)


def clients(wedding: Wedding) -> Iterator[Client]:
    """One for every supplier that was asked to work at a wedding."""
    for hired in wedding.hires:
        yield _client(wedding, hired)


def _client(wedding: Wedding, hired: Hire) -> Client:
    first, second = wedding.couple
    path = (wedding.lead.number, wedding.place, hired.supplier.number)
    stage = "lost" if wedding.cancelled else _STAGE_OF[hired.status]
    stage = "completed" if stage == "booked" and wedding.over else stage
    accepted = hired.answered if hired.status == "accepted" else None
    who = (first.name, second.name, first.email)
    return Client(hired.supplier, path, wedding, *who, stage, wedding.date, hired.invited, accepted)


def enquiries(supplier: Supplier) -> Iterator[Client]:
    """Those who asked a supplier, and have no wedding on the platform."""
    chance = supplier.dice("enquiries")
    for place in range(poisson(chance, _ENQUIRIES)):
        name = Name(pick(chance, GIVEN_NAMES), pick(chance, FAMILY_NAMES))
        partner = Name(pick(chance, GIVEN_NAMES), pick(chance, FAMILY_NAMES)) if happens(chance, 0.6) else None
        at = EPOCH - timedelta(days=between(chance, 2, 400), seconds=between(chance, 0, 86_399))
        day = (at + timedelta(days=between(chance, 200, 600))).date() if happens(chance, 0.8) else None
        email = f"{letters(name.given)}.{digest(supplier.seed, 'asks', supplier.number, place)[:8]}@example.net"
        path = ("enquiry", supplier.number, place)
        yield Client(supplier, path, None, name, partner, email, weighted(chance, _ENQUIRY_STAGES), day, at)


def rows(client: Client) -> Iterable[tuple[str, Row]]:
    """The rows of one client."""
    chance = client.dice("crm")
    yield "clients", _row(client, chance)
    for place in range(poisson(chance, 1.5)):
        yield "client_notes", _note(client, place, chance)
    for place in range(poisson(chance, 2.0)):
        yield "tasks", _task(client, place, chance)


def office_tasks(supplier: Supplier) -> Iterable[tuple[str, Row]]:
    """What a supplier has to do for itself."""
    for place, title in enumerate(OFFICE_TASKS):
        at, due = EPOCH - timedelta(days=20), EPOCH + timedelta(days=3 + 5 * place)
        head = (supplier.key("office_task", place), supplier.id, None, supplier.team[0].membership)
        yield "tasks", (*head, title, 1 + place % 3, due, None, at, at)


def _row(client: Client, chance: Random) -> Row:
    at, supplier = client.created_at, client.supplier
    wedding, partner = client.wedding.id if client.wedding else None, client.partner.full if client.partner else None
    number = phone(chance) if happens(chance, 0.7) else None
    budget = between(chance, 5, 80) * 10_000 if happens(chance, 0.6) else None
    assigned = pick(chance, supplier.team).membership if happens(chance, 0.8) else None
    head = (client.id, supplier.id, wedding, client.name.full, partner, client.email, number, client.stage)
    money = (budget, supplier.city.currency if budget else None)
    return *head, pick(chance, SOURCES), client.day, *money, assigned, at, at


def _note(client: Client, place: int, chance: Random) -> Row:
    at = within(client.created_at, chance)
    head = (client.key("note", place), client.supplier.id, client.id, pick(chance, client.supplier.writers).membership)
    return *head, pick(chance, NOTES).format(client.name.full), happens(chance, 0.1), at, at


def _task(client: Client, place: int, chance: Random) -> Row:
    at = within(client.created_at, chance)
    due = at + timedelta(days=between(chance, 1, 60))
    done = due - timedelta(minutes=between(chance, 0, 1400)) if happens(chance, 0.85) else None
    done = done if done and done <= EPOCH else None
    assigned = pick(chance, client.supplier.writers).membership if happens(chance, 0.9) else None
    head = (client.key("task", place), client.supplier.id, client.id, assigned)
    title = pick(chance, TASKS).format(client.name.full)
    return *head, title, between(chance, 1, 3), due, done, at, done or at


def within(start: datetime, chance: Random, end: datetime = EPOCH) -> datetime:
    """A moment between two, to the second; the first when they are not in order."""
    return start + timedelta(seconds=max(0, int((end - start).total_seconds() * chance.random())))
