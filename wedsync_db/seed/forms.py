"""The rows of 0008_forms: a supplier's questionnaires and their versions; its clients' drafts and answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from wedsync_db.seed.chance import between, happens, pick, weighted
from wedsync_db.seed.crm import Client, within
from wedsync_db.seed.rows import Row
from wedsync_db.seed.suppliers import EPOCH, Supplier
from wedsync_db.seed.texts import FIELDS, FORMS, MATTERS, phone

_STATUSES = (("published", 0.75), ("draft", 0.15), ("closed", 0.1))
_FILED = (("seen", 0.6), ("archived", 0.3), ("new", 0.1))


@dataclass(frozen=True, slots=True)
class Form:
    """A questionnaire; the last of its versions is the one that was published, None if none was."""

    supplier: Supplier
    place: int
    status: str
    versions: int

    @property
    def id(self) -> str:
        """The key of its row."""
        return self.supplier.key("form", self.place)

    @property
    def published(self) -> int | None:
        """The version that everybody sees, or saw before it was closed."""
        return None if self.status == "draft" else self.versions

    def version(self, number: int) -> str:
        """The key of a version's row."""
        return self.supplier.key("form_version", self.place, number)

    def made_at(self, number: int) -> datetime:
        """When a version was made; forms are as old as their supplier, nearly."""
        return self.supplier.created_at + timedelta(days=10 * self.place + 60 * number)


def forms(supplier: Supplier) -> Iterator[Form]:
    """A supplier's questionnaires; the first one is always open."""
    chance = supplier.dice("forms")
    for place in range(between(chance, 1, len(FORMS))):
        status = weighted(chance, _STATUSES) if place else "published"
        yield Form(supplier, place, status, between(chance, 1, 3))


def supplier_rows(supplier: Supplier) -> Iterable[tuple[str, Row]]:
    """The questionnaires as drafts, their versions, and then what publishing each changes."""
    for form in forms(supplier):
        title, slug = FORMS[form.place]
        first, last = form.made_at(0), form.made_at(form.versions)
        yield "forms", (form.id, supplier.id, title, slug, first, last)
        for number in range(1, form.versions + 1):
            yield "form_versions", _version(form, number)
        if form.published:
            yield "forms published", (form.id, form.status, form.version(form.published))


def _version(form: Form, number: int) -> Row:
    asked = FIELDS[: len(FIELDS) - form.versions + number]
    fields = [{"name": name, "label": label, "type": kind} for name, label, kind in asked]
    owner, identity = form.supplier.team[0].membership, form.version(number)
    definition = _json({"fields": fields})
    published = form.published is not None
    return identity, form.supplier.id, form.id, number, definition, published, owner, form.made_at(number)


def client_rows(client: Client) -> Iterable[tuple[str, Row]]:
    """What one client has sent, and what is being typed."""
    chance = client.dice("forms")
    for form in forms(client.supplier):
        if form.published and happens(chance, 0.5):
            yield "form_submissions", _submission(client, form, form.published, chance)
        if form.status == "published" and happens(chance, 0.1):
            yield "form_drafts", _draft(client, form, chance)


def _submission(client: Client, form: Form, version: int, chance: Random) -> Row:
    at = within(client.created_at, chance)
    identity, answers = client.key("submission", form.place), _json(_answers(client, chance))
    head = (identity, client.supplier.id, form.id, form.version(version), client.id)
    return *head, answers, client.email, weighted(chance, _FILED), at, at


def _draft(client: Client, form: Form, chance: Random) -> Row:
    saves = between(chance, 1, 40)
    started = EPOCH - timedelta(days=between(chance, 1, 14))
    saved = started + timedelta(seconds=30 * saves)
    answers = dict(list(_answers(client, chance).items())[: between(chance, 1, 5)])
    head = (client.key("draft", form.place), client.supplier.id, form.id, client.id)
    return *head, _json(answers), saves, started, saved


def _answers(client: Client, chance: Random) -> dict[str, object]:
    names = [client.name.full, client.partner.full] if client.partner else [client.name.full]
    return {
        "name": " & ".join(names),
        "email": client.email,
        "phone": phone(chance),
        "date": client.day.isoformat() if client.day else None,
        "guests": client.wedding.guests if client.wedding else None,
        "wishes": pick(chance, MATTERS),
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
