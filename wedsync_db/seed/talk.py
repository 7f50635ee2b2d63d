"""The rows of 0011_communication: conversations, messages, what people are told, and a supplier's files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from random import Random

from wedsync_db.seed.chance import between, happens, pick, poisson
from wedsync_db.seed.crm import Client, within
from wedsync_db.seed.rows import Row
from wedsync_db.seed.suppliers import EPOCH, Supplier
from wedsync_db.seed.texts import FILES, MESSAGES, TOLD_COUPLES, TOLD_SUPPLIERS
from wedsync_db.seed.wedding import Wedding

_LAST_WORDS = timedelta(days=10)  # after the ceremony
_Writer = tuple[str, str]  # a profile, and the name to address it by


def wedding_rows(wedding: Wedding) -> Iterator[tuple[str, Row]]:
    """A conversation with each supplier that accepted, often one with all of them, and what the couple is told."""
    chance = wedding.dice("talk")
    couple = [(one.account, one.name.given) for one in wedding.couple if one.account]
    accepted = [(hired.supplier, hired.answered) for hired in wedding.hires if hired.status == "accepted"]
    for supplier, since in accepted:
        if since:
            subject, number = f"{supplier.name} and {wedding.title}", supplier.number
            yield from _talk(wedding, (number, supplier.id, subject), since, [*couple, *_writers(supplier)], chance)
    latest = max((since for _, since in accepted if since), default=None)
    if latest and happens(chance, 0.4):
        everybody = [*couple, *(one for supplier, _ in accepted for one in _writers(supplier)[:1])]
        yield from _talk(wedding, ("all", None, "The day itself"), latest, everybody, chance)
    for account, _ in couple:
        yield from _told_couple(wedding, account, chance)


def _writers(supplier: Supplier) -> list[_Writer]:
    return [(one.profile, one.name) for one in supplier.writers[:2]]


def _talk(
    wedding: Wedding,
    what: tuple[object, str | None, str],
    since: datetime,
    people: Sequence[_Writer],
    chance: Random,
) -> Iterator[tuple[str, Row]]:
    place, organization, subject = what
    identity, end = wedding.key("conversation", place), min(EPOCH, wedding.when.ceremony + _LAST_WORDS)
    closed = end if end < EPOCH and happens(chance, 0.5) else None
    yield "conversations", (identity, wedding.id, organization, subject, closed, since, closed or since)
    times = sorted(within(since, chance, end) for _ in range(poisson(chance, 7.0)))
    for number, at in enumerate(times):
        sender, addressed = pick(chance, people), pick(chance, people)
        body = pick(chance, MESSAGES).format(addressed[1])
        yield "messages", (wedding.key("message", place, number), wedding.id, identity, sender[0], body, at)


def _told_couple(wedding: Wedding, account: str, chance: Random) -> Iterable[tuple[str, Row]]:
    for number in range(poisson(chance, 4.0)):
        kind, title = pick(chance, TOLD_COUPLES)
        at = within(wedding.created_at, chance)
        head = (wedding.key("told", account, number), account, None, wedding.id, kind)
        yield (
            "notifications",
            (*head, title.format(pick(chance, wedding.hires).supplier.name), None, *_read(at, chance)),
        )


def _read(at: datetime, chance: Random) -> tuple[datetime | None, datetime]:
    """When it was read, if it was, and when it came."""
    read = at + timedelta(minutes=between(chance, 1, 3000))
    return read if happens(chance, 0.8) and read <= EPOCH else None, at


def client_rows(client: Client) -> Iterator[tuple[str, Row]]:
    """What a supplier's people are told of one client, and the files they keep about it."""
    chance, supplier = client.dice("talk"), client.supplier
    wedding = client.wedding.id if client.wedding else None
    for number in range(poisson(chance, 1.5)):
        kind, title = pick(chance, TOLD_SUPPLIERS)
        at = within(client.created_at, chance)
        head = (client.key("told", number), pick(chance, supplier.writers).profile, supplier.id, wedding, kind)
        yield "notifications", (*head, title.format(client.name.full), None, *_read(at, chance))
    for number in range(poisson(chance, 1.2)):
        yield "files", _file(client, number, chance)


def _file(client: Client, number: int, chance: Random) -> Row:
    name, kind = pick(chance, FILES)
    supplier, identity, at = client.supplier, client.key("file", number), within(client.created_at, chance)
    wedding = client.wedding.id if client.wedding else None
    by = pick(chance, supplier.writers).membership if happens(chance, 0.9) else None
    head = (identity, supplier.id, client.id, wedding, by, name.format(client.name.full))
    contents = sha256(identity.encode()).digest() if happens(chance, 0.9) else None
    return *head, f"{supplier.slug}/{identity}", kind, between(chance, 2_000, 9_000_000), contents, at, at
