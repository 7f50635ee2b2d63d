"""Made-up suppliers with their people, invitations and API keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from random import Random
from typing import NamedTuple

from wedsync_db.seed.chance import between, dice, digest, happens, key, pick, poisson, weighted
from wedsync_db.seed.rows import Row
from wedsync_db.seed.words import CATEGORIES, CITIES, FAMILY_NAMES, FIRST_WORDS, GIVEN_NAMES, SECOND_WORDS, City

EPOCH = datetime(2026, 6, 1, tzinfo=UTC)  # the day the made-up data calls today
_ROLES = (("admin", 0.25), ("member", 0.55), ("viewer", 0.2))


class Colleague(NamedTuple):
    """Somebody who works for a supplier: the keys of the profile and of the membership, and as what."""

    profile: str
    membership: str
    name: str
    email: str
    role: str
    status: str
    joined: datetime


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

    @cached_property
    def team(self) -> tuple[Colleague, ...]:
        """Who works there; the first one owns it."""
        return _office(self, self.dice("office"))[1]

    @cached_property
    def writers(self) -> tuple[Colleague, ...]:
        """Those of the team who may write, the owner first."""
        return tuple(one for one in self.team if one.status == "active" and one.role != "viewer")

    def key(self, kind: str, *place: object) -> str:
        """The key of one of its rows."""
        return key(self.seed, self.created_at, kind, self.number, *place)

    def dice(self, what: str) -> Random:
        """A stream of chance of its own for one sort of its rows."""
        return dice(self.seed, what, self.number)

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


def rows(made: Supplier) -> Iterable[tuple[str, Row]]:
    """The rows of one supplier."""
    chance = made.dice("office")
    status, team = _office(made, chance)
    at = made.created_at
    yield "organizations", (made.id, made.name, made.slug, made.category, made.city.zone, status, at, at)
    for one in team:
        yield "profiles", (one.profile, one.email, one.name, one.joined, one.joined)
        yield "memberships", (one.membership, made.id, one.profile, one.role, one.status, one.joined, one.joined)
    if made.number and happens(chance, 0.05):  # somebody from next door helps out, and so is in two tenants
        helper = supplier(made.seed, made.number - 1).key("staff", 0)
        yield "memberships", (made.key("membership", "helper"), made.id, helper, "viewer", "active", at, at)
    for place in range(poisson(chance, 0.8)):
        yield "invitations", _invitation(made, place, chance)
    if happens(chance, 0.3):
        yield "api_keys", _api_key(made)


def _office(made: Supplier, chance: Random) -> tuple[str, tuple[Colleague, ...]]:
    status = "active" if happens(chance, 0.98) else "closed"
    return status, tuple(_colleague(made, place, chance) for place in range(1 + min(poisson(chance, 2.0), 9)))


def _colleague(made: Supplier, place: int, chance: Random) -> Colleague:
    given, family = pick(chance, GIVEN_NAMES), pick(chance, FAMILY_NAMES)
    joined = made.created_at + timedelta(days=place * between(chance, 1, 40))
    role = weighted(chance, _ROLES) if place else "owner"
    status = "suspended" if place and happens(chance, 0.03) else "active"
    email, person = f"{letters(given)}.{place}@{made.slug}.example", made.key("staff", place)
    return Colleague(person, made.key("membership", place), f"{given} {family}", email, role, status, joined)


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
