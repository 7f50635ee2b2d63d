"""Made-up suppliers with their people, invitations and API keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from random import Random

from wedsync_db.seed.chance import between, dice, digest, happens, key, pick, poisson, weighted
from wedsync_db.seed.rows import Row, Rows, collect
from wedsync_db.seed.words import CATEGORIES, CITIES, FAMILY_NAMES, FIRST_WORDS, GIVEN_NAMES, SECOND_WORDS, City

EPOCH = datetime(2026, 6, 1, tzinfo=UTC)  # the day the made-up data calls today
_ROLES = (("admin", 0.25), ("member", 0.55), ("viewer", 0.2))


@dataclass(frozen=True)  # without slots, for cached_property
class Supplier:
    """Supplier `number` of a seed, as far as others need to know it."""

    seed: int
    number: int
    name: str
    category: str
    city: City
    created_at: datetime

    @cached_property
    def id(self) -> str:
        """The key of its row in organizations."""
        return self.key("organization")

    @property
    def slug(self) -> str:
        """Its name for addresses; the number keeps it unique."""
        return f"{self.name.lower().replace(' ', '-')}-{self.number}"

    def key(self, kind: str, *place: object) -> str:
        """The key of one of its rows."""
        return key(self.seed, self.created_at, kind, self.number, *place)

    def secret(self, kind: str, *place: object) -> bytes:
        """What a token or an API key hashes to."""
        return sha256(digest(self.seed, kind, self.number, *place).encode()).digest()


def supplier(seed: int, number: int) -> Supplier:
    """Supplier `number`: the same whether or not any other is made."""
    chance = dice(seed, "supplier", number)
    category, noun = pick(chance, CATEGORIES)
    name = f"{pick(chance, FIRST_WORDS)} {pick(chance, SECOND_WORDS)} {noun}"
    created = EPOCH - timedelta(days=between(chance, 1100, 2500), seconds=between(chance, 0, 86_399))
    return Supplier(seed, number, name, category, pick(chance, CITIES), created)


def suppliers(seed: int, numbers: Iterable[int]) -> Rows:
    """The rows of these suppliers, table by table."""
    return collect(row for number in numbers for row in _rows(supplier(seed, number)))


def _rows(made: Supplier) -> Iterable[tuple[str, Row]]:
    chance = dice(made.seed, "office", made.number)
    status = "active" if happens(chance, 0.98) else "closed"
    at = made.created_at
    yield "organizations", (made.id, made.name, made.slug, made.category, made.city.zone, status, at, at)
    for place in range(1 + min(poisson(chance, 2.0), 9)):
        yield from _colleague(made, place, chance)
    if made.number and happens(chance, 0.05):  # somebody from next door helps out, and so is in two tenants
        helper = supplier(made.seed, made.number - 1).key("staff", 0)
        yield "memberships", (made.key("membership", "helper"), made.id, helper, "viewer", "active", at, at)
    for place in range(poisson(chance, 0.8)):
        yield "invitations", _invitation(made, place, chance)
    if happens(chance, 0.3):
        yield "api_keys", _api_key(made)


def _colleague(made: Supplier, place: int, chance: Random) -> Iterable[tuple[str, Row]]:
    """Somebody who works there; the first one owns it."""
    given, family = pick(chance, GIVEN_NAMES), pick(chance, FAMILY_NAMES)
    joined = made.created_at + timedelta(days=place * between(chance, 1, 40))
    person = made.key("staff", place)
    role = weighted(chance, _ROLES) if place else "owner"
    status = "suspended" if place and happens(chance, 0.03) else "active"
    yield "profiles", (person, f"{letters(given)}.{place}@{made.slug}.example", f"{given} {family}", joined, joined)
    yield "memberships", (made.key("membership", place), made.id, person, role, status, joined, joined)


def _invitation(made: Supplier, place: int, chance: Random) -> Row:
    """An open one, sent by the owner in the last days."""
    sent = EPOCH - timedelta(hours=between(chance, 1, 96))
    owner, expires = made.key("membership", 0), sent + timedelta(days=7)
    email, token = f"new.colleague.{place}@{made.slug}.example", made.secret("token", place)
    return made.key("invitation", place), made.id, email, weighted(chance, _ROLES), token, owner, expires, sent


def _api_key(made: Supplier) -> Row:
    at = made.created_at + timedelta(days=30)
    prefix, owner = digest(made.seed, "prefix", made.number)[:8], made.key("membership", 0)
    return made.key("api_key"), made.id, "Website", prefix, made.secret("api_key"), "{read}", owner, at


def letters(name: str) -> str:
    """The plain small letters of a name, for an e-mail address."""
    return "".join(c for c in name.lower() if "a" <= c <= "z")
