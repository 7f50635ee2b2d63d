"""The rows of 0009_booking: what a supplier sells, who does it when, and what was agreed with each client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from wedsync_db.seed.chance import between, happens, weighted
from wedsync_db.seed.crm import Client, clients
from wedsync_db.seed.rows import Row
from wedsync_db.seed.suppliers import EPOCH, Supplier
from wedsync_db.seed.texts import PACKAGES
from wedsync_db.seed.wedding import Wedding

MONEY_STEP = 10_000  # all prices are multiples of it: shares and taxes come out even, however they are rounded
_KINDS = {"venue": "room", "musician": "equipment"}  # what is taken at a wedding; with the others it is a person
_BEFORE, _AFTER = timedelta(hours=4), timedelta(hours=9)  # of the ceremony
_CHOICES = ((0, 0.3), (1, 0.5), (2, 0.2))


class Package(NamedTuple):
    """What a supplier sells, `price` in the smallest unit of its currency."""

    id: str
    name: str
    price: int


class Agreement(NamedTuple):
    """What a supplier and a client agreed; `signed` is None until they have."""

    id: str
    wedding: Wedding
    made: datetime
    package: Package
    status: str
    sent: datetime | None
    signed: datetime | None


class Slot(NamedTuple):
    """A time for which a client takes, or keeps for the moment, one resource of a supplier."""

    start: datetime
    end: datetime
    client: Client
    status: str


Taken = Mapping[str, tuple[int, Slot]]


def packages(supplier: Supplier) -> tuple[Package, ...]:
    """A supplier's packages, cheapest first."""
    base = between(supplier.dice("packages"), 6, 20)
    return tuple(
        Package(supplier.key("package", place), name, base * size * MONEY_STEP)
        for place, (name, _, size) in enumerate(PACKAGES)
    )


def supplier_rows(supplier: Supplier) -> Iterable[tuple[str, Row]]:
    """What a supplier sells."""
    at = supplier.created_at
    for package, (_, text, _) in zip(packages(supplier), PACKAGES, strict=True):
        head = (package.id, supplier.id, package.name, text, package.price)
        yield "packages", (*head, supplier.city.currency, True, at, at)


def taken(weddings: Iterable[Wedding], asking: Iterable[Client]) -> Taken:
    """The place among a supplier's resources of each day it keeps, by its client.

    The weddings are those that came through it; those that ask may have a day kept for them, too.
    """
    slots = [_wedding_slot(wedding) for wedding in weddings]
    slots += [slot for slot in map(_held_slot, asking) if slot]
    return {slot.client.id: (place, slot) for place, slot in _shared_out(slots)}


def _wedding_slot(wedding: Wedding) -> Slot:
    client = next(client for client in clients(wedding) if client.supplier.number == wedding.lead.number)
    planned = "confirmed" if wedding.status in {"confirmed", "completed"} else "held"
    status = "cancelled" if wedding.cancelled else planned
    return Slot(wedding.when.ceremony - _BEFORE, wedding.when.ceremony + _AFTER, client, status)


def _held_slot(client: Client) -> Slot | None:
    """The day that is kept free for somebody who has got a quotation."""
    if client.stage != "quoted" or client.day is None or client.day <= EPOCH.date():
        return None
    start = EPOCH + timedelta(days=(client.day - EPOCH.date()).days, hours=8)
    return Slot(start, start + timedelta(hours=14), client, "held")


def _shared_out(slots: Iterable[Slot]) -> Iterator[tuple[int, Slot]]:
    """Give each slot the first resource that is free, as many as that takes; what is cancelled takes none."""
    free_from: list[datetime] = []
    for slot in sorted(slots, key=lambda one: (one.start, one.client.id)):
        place = next((n for n, since in enumerate(free_from) if since <= slot.start), len(free_from))
        if slot.status != "cancelled" or place == len(free_from):
            free_from[place : place + 1] = [slot.end]
        yield place, slot


def resource_rows(supplier: Supplier, given: Taken) -> Iterable[tuple[str, Row]]:
    """What takes part in a supplier's weddings."""
    kind, at = _KINDS.get(supplier.category, "person"), supplier.created_at
    for place in range(1 + max((place for place, _ in given.values()), default=-1)):
        person = supplier.team[place].name if place < len(supplier.team) else f"Freelancer {place}"
        name = person if kind == "person" else f"{kind.capitalize()} {place + 1}"
        yield "resources", (supplier.key("resource", place), supplier.id, name, kind, True, at, at)


def client_rows(client: Client, given: Taken) -> Iterable[tuple[str, Row]]:
    """The day that is kept for a client, and the contract with it."""
    if client.id in given:
        yield "bookings", _booking(*given[client.id])
    agreed = agreement(client)
    if agreed:
        yield "contracts", _contract(client, agreed)


def _booking(place: int, slot: Slot) -> Row:
    client, supplier = slot.client, slot.client.supplier
    wedding, agreed = client.wedding, agreement(client)
    during = f"[{slot.start.isoformat()},{slot.end.isoformat()})"
    expires = EPOCH + timedelta(days=14) if slot.status == "held" else None
    package = agreed.package.id if agreed else None
    head = (client.key("booking"), supplier.id, supplier.key("resource", place), client.id, package)
    at = client.accepted or client.created_at
    return *head, wedding.id if wedding else None, during, slot.status, expires, at, at


def agreement(client: Client) -> Agreement | None:
    """What was agreed with a client; None with one that no supplier has said yes to."""
    if client.wedding is None or client.accepted is None:
        return None
    chance = client.dice("contract")
    package = packages(client.supplier)[weighted(chance, _CHOICES)]
    sent = client.accepted + timedelta(minutes=between(chance, 20, 1200))
    signed = sent + timedelta(days=between(chance, 1, 14), minutes=between(chance, 0, 600))
    void = client.wedding.cancelled
    head = (client.key("contract"), client.wedding, client.accepted, package)
    if sent > EPOCH:
        return Agreement(*head, "void" if void else "draft", None, None)
    if signed > EPOCH or happens(chance, 0.05):
        return Agreement(*head, "void" if void else "sent", sent, None)
    return Agreement(*head, "void" if void else "signed", sent, signed)


def _contract(client: Client, agreed: Agreement) -> Row:
    supplier, package, wedding = client.supplier, agreed.package, agreed.wedding
    title = f"{package.name}: {wedding.title}"
    body = f"{supplier.name} works at the wedding of {client.name.full} at {wedding.venue}."
    head = (agreed.id, supplier.id, client.id, package.id, wedding.id, title, body, package.price)
    signed = (agreed.signed, client.name.full if agreed.signed else None)
    last = agreed.signed or agreed.sent or agreed.made
    return *head, supplier.city.currency, agreed.status, agreed.sent, *signed, agreed.made, last
