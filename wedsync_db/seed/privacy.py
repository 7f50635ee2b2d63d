"""The rows of 0012_compliance: what people agreed to, and what they asked of a supplier about their data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from wedsync_db.seed.chance import between, dice, happens, key, pick, poisson, weighted
from wedsync_db.seed.rows import Row
from wedsync_db.seed.suppliers import EPOCH, Supplier
from wedsync_db.seed.texts import REASONS
from wedsync_db.seed.wedding import Wedding

_VERSIONS = ("2024-05", "2025-01")
_SOURCES = (("web", 0.6), ("app", 0.4))
_STATUSES = (("done", 0.6), ("open", 0.3), ("refused", 0.1))
_MONTH = timedelta(days=30)


def supplier_rows(made: Supplier) -> Iterator[tuple[str, Row]]:
    """What a supplier's people agreed to, and the requests it has had."""
    for one in made.team:
        yield from _consents(made.seed, one.profile, one.joined)
    chance = made.dice("requests")
    for place in range(poisson(chance, 0.5)):
        at = EPOCH - timedelta(days=between(chance, 1, 25), seconds=between(chance, 0, 86_399))
        status, kind = weighted(chance, _STATUSES), pick(chance, ("export", "erasure"))
        done = None if status == "open" else at + timedelta(hours=between(chance, 1, 20))
        reason = "The law keeps what it holds." if status == "refused" else pick(chance, REASONS)
        email = f"former.client.{place}.{made.number}@example.net"
        head = (made.key("request", place), made.id, email, kind, status, reason, made.team[0].membership)
        yield "data_requests", (*head, at + _MONTH, done, at, done or at)


def wedding_rows(wedding: Wedding) -> Iterator[tuple[str, Row]]:
    """What the couple agreed to."""
    for one in wedding.couple:
        if one.account:
            yield from _consents(wedding.lead.seed, one.account, wedding.created_at)


def _consents(seed: int, profile: str, at: datetime) -> Iterator[tuple[str, Row]]:
    """Terms and privacy when signing up; marketing sometimes, and sometimes it is withdrawn."""
    chance = dice(seed, "consents", profile)
    source, version = weighted(chance, _SOURCES), pick(chance, _VERSIONS)
    said = [("terms", True, at), ("privacy", True, at)]
    if happens(chance, 0.3):
        said.append(("marketing", True, at))
        if happens(chance, 0.3):
            said.append(("marketing", False, at + timedelta(days=between(chance, 1, 60))))
    for place, (purpose, granted, recorded) in enumerate(said):
        yield (
            "consents",
            (key(seed, at, "consent", profile, place), profile, purpose, granted, version, source, recorded),
        )
