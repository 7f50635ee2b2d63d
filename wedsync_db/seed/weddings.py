"""The rows of 0004_weddings: weddings with their people, suppliers, events and running order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from wedsync_db.seed.rows import Row
from wedsync_db.seed.wedding import Event, Hire, Wedding
from wedsync_db.seed.words import STEPS

_RECEPTION_MINUTE = 60  # after the ceremony began; what comes later in the day belongs to the reception


def rows(wedding: Wedding) -> Iterable[tuple[str, Row]]:
    """The rows of one wedding."""
    at, city = wedding.created_at, wedding.when.city
    head = (wedding.id, wedding.title, wedding.date, city.zone, wedding.venue, wedding.guests, wedding.status)
    yield "weddings", (*head, at, at)
    yield from _people(wedding)
    for hired in wedding.hires:
        yield "wedding_vendors", _vendor(wedding, hired)
    for kind, event in wedding.events.items():
        yield "wedding_events", _event(wedding, kind, event)
    yield from _timeline(wedding)


def _people(wedding: Wedding) -> Iterable[tuple[str, Row]]:
    """Both partners, the first of whom has signed up, the second often; and those close to them."""
    at = wedding.created_at
    for place, (name, email, account) in enumerate(wedding.couple):
        if account:
            yield "profiles", (account, email, name.full, at, at)
        person = wedding.key("partner", place)
        yield "wedding_people", (person, wedding.id, account, "partner", *name, email, at, at)
    for place, (role, name) in enumerate(wedding.relatives):
        yield "wedding_people", (wedding.key("person", place), wedding.id, None, role, *name, None, at, at)


def _vendor(wedding: Wedding, hired: Hire) -> Row:
    who, identity = hired.supplier, wedding.key("vendor", hired.supplier.number)
    email, last = f"hello@{who.slug}.example", hired.answered or hired.invited
    stated = (who.category, hired.status, hired.scopes, email, hired.invited, hired.answered, last)
    return identity, wedding.id, who.id, *stated


def _event(wedding: Wedding, kind: str, event: Event) -> Row:
    at, where = wedding.created_at, wedding.when.city.name
    return event.id, wedding.id, kind, kind.capitalize(), where, event.starts, event.ends, at, at


def _timeline(wedding: Wedding) -> Iterable[tuple[str, Row]]:
    at = wedding.created_at
    at_work = {h.supplier.category: h.supplier.number for h in wedding.hires if h.status == "accepted"}
    for place in wedding.steps:
        step = STEPS[place]
        starts = wedding.when.ceremony + timedelta(minutes=step.minute) + wedding.shift
        ends = starts + timedelta(minutes=step.lasts)
        event = wedding.events["reception" if step.minute >= _RECEPTION_MINUTE else "ceremony"].id
        vendor = wedding.key("vendor", at_work[step.category]) if step.category in at_work else None
        what = (wedding.key("item", place), wedding.id, event, vendor, step.title, step.notes)
        yield "timeline_items", (*what, starts, ends, ends if wedding.over else None, at, at)
