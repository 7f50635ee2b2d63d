"""The payments, refunds and provider's events of 0010_money: rows that schema api's functions would have written.

Most payments succeed at once; the others are there because programs must cope with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from wedsync_db.seed import provider
from wedsync_db.seed.chance import between, happens, pick, weighted
from wedsync_db.seed.crm import Client
from wedsync_db.seed.provider import DONE, Event, Verdict
from wedsync_db.seed.rows import Row
from wedsync_db.seed.suppliers import EPOCH

_FAILURES = ("card_declined", "insufficient_funds", "expired_card", "authentication_required")
_COURSES = (("smooth", 0.75), ("processing", 0.1), ("failed first", 0.08), ("cancelled first", 0.03),
            ("wrong price", 0.01), ("none", 0.03))  # fmt: skip
_DISPUTES = (("needs_response", "open"), ("won", "won"), ("lost", "lost"))
_EVENTS = {"processing": "processing", "failed": "payment_failed", "cancelled": "canceled", "succeeded": "succeeded"}


@dataclass(frozen=True, slots=True)
class Bill:
    """An invoice that was issued, as far as its payment needs it; `void` if its wedding was cancelled unpaid."""

    client: Client
    id: str
    place: int
    number: str
    total: int
    issued: datetime
    void: bool


@dataclass(slots=True)
class _Payment:
    """A payment as the provider's events move it; those that lie ahead do not come."""

    bill: Bill
    attempt: int
    started: datetime
    status: str = "pending"
    failure: str | None = None
    refunded: int = 0
    disputes: str = "{}"
    told: datetime | None = None
    rows: list[tuple[str, Row]] = field(default_factory=list)

    @property
    def seed(self) -> int:
        return self.bill.client.supplier.seed

    @property
    def about(self) -> tuple[object, ...]:
        return (*self.bill.client.path, self.bill.place, self.attempt)

    @property
    def name(self) -> str:
        return provider.name("pi", self.seed, *self.about)

    @property
    def currency(self) -> str:
        return self.bill.client.supplier.city.currency

    @property
    def id(self) -> str:
        return self.bill.client.key("payment", self.bill.place, self.attempt)

    def comes_to(self, status: str, at: datetime, failure: str | None = None) -> None:
        """The provider says how far it came."""
        if self._tell(f"payment_intent.{_EVENTS[status]}", at, self._intent(status, self.bill.total, failure)):
            self.status, self.failure = status, failure

    def is_told_a_wrong_price(self, at: datetime) -> None:
        """An old link was used: what it took is not what is owed, so nothing follows but a note for a person."""
        wrong = self.bill.total - 100
        reason = f"invoice {self.bill.number} is {self.bill.total}, the event says {wrong}"
        content = self._intent("succeeded", wrong, None)
        self._tell("payment_intent.succeeded", at, content, Verdict("price_mismatch", reason))

    def is_told_late(self, at: datetime) -> None:
        """An event that something later has overtaken."""
        content = self._intent("processing", self.bill.total, None)
        ignored = Verdict("ignored", f"the payment is {self.status} already")
        self._tell("payment_intent.processing", at, content, ignored)

    def is_paid_back(self, amount: int, at: datetime) -> None:
        """A refund, which succeeds at once."""
        name, reason = provider.name("re", self.seed, *self.about), "requested_by_customer"
        content = {"id": name, "object": "refund", "amount": amount, "currency": self.currency.lower(),
                   "payment_intent": self.name, "reason": reason, "status": "succeeded"}  # fmt: skip
        if self._tell("refund.created", at, content):
            self.refunded = amount
            self.status = "refunded" if amount == self.bill.total else self.status
            head = (self.bill.client.key("refund", self.bill.place, self.attempt), self.bill.client.supplier.id)
            self.rows.append(("refunds", (*head, self.id, name, "succeeded", amount, self.currency, reason, at, at)))

    def is_disputed(self, told: str, kept: str, at: datetime) -> None:
        """The client's bank asks for the money back."""
        name = provider.name("du", self.seed, *self.about)
        content = {"id": name, "object": "dispute", "amount": self.bill.total, "currency": self.currency.lower(),
                   "payment_intent": self.name, "status": told}  # fmt: skip
        if self._tell("charge.dispute.created" if kept == "open" else "charge.dispute.closed", at, content):
            self.disputes = f'{{"{name}": "{kept}"}}'
            self.status = self.status if kept == "won" else "disputed"

    def row(self) -> Row:
        """Its row as it is at the end."""
        head = (self.id, self.bill.client.supplier.id, self.bill.id, self.name, self.status, self.bill.total)
        return *head, self.refunded, self.disputes, self.currency, self.failure, self.started, self.told or self.started

    def _intent(self, status: str, amount: int, failure: str | None) -> dict[str, object]:
        client, taken = self.bill.client, status == "succeeded"
        content: dict[str, object] = {
            "id": self.name, "object": "payment_intent", "amount": amount, "amount_received": amount if taken else 0,
            "currency": self.currency.lower(), "metadata": {"invoice_id": provider.dashed(self.bill.id)},
            "receipt_email": client.email, "shipping": {"name": client.name.full},
        }  # fmt: skip
        return content | ({"last_payment_error": {"code": failure}} if failure else {})

    def _tell(self, kind: str, at: datetime, content: dict[str, object], verdict: Verdict = DONE) -> bool:
        if at > EPOCH:
            return False
        event = Event((*self.about, len(self.rows)), kind, at, content, self.name, verdict)
        self.rows.append(("stripe_events", provider.row(self.seed, self.bill.client.supplier.id, event)))
        self.told = at if verdict is DONE else self.told
        return True


def course(bill: Bill, chance: Random) -> tuple[datetime | None, list[tuple[str, Row]]]:
    """When a bill was paid, if it was, and the rows of what led to that and came after."""
    payments = list(_payments(bill, chance))
    paid_at = next((taken for _, taken in payments if taken), None)
    rows = [("payments", payment.row()) for payment, _ in payments]
    return paid_at, [*rows, *(row for payment, _ in payments for row in payment.rows)]


def _payments(bill: Bill, chance: Random) -> Iterator[tuple[_Payment, datetime | None]]:
    """The attempts to pay a bill; the last one with when the money came, if it did."""
    how = weighted(chance, _COURSES)
    start = bill.issued + timedelta(hours=between(chance, 1, 24 * 16), seconds=between(chance, 0, 3599))
    if bill.void or how == "none" or start > EPOCH:
        return
    payment = _Payment(bill, 0, start)
    soon = start + timedelta(seconds=between(chance, 20, 300))
    if how == "wrong price":
        payment.is_told_a_wrong_price(soon)
        yield payment, None
        return
    if how == "cancelled first":
        payment.comes_to("cancelled", soon)
        yield payment, None
        soon += timedelta(hours=1)
        if payment.status != "cancelled" or soon > EPOCH:
            return
        payment = _Payment(bill, 1, soon)
    elif how == "failed first":
        payment.comes_to("failed", soon, pick(chance, _FAILURES))
    elif how == "processing":
        payment.comes_to("processing", soon)
        soon += timedelta(days=3)
    taken = soon + timedelta(minutes=5)
    payment.comes_to("succeeded", taken)
    if payment.status == "succeeded":
        _afterwards(payment, taken, chance)
    yield payment, taken if taken <= EPOCH else None


def _afterwards(payment: _Payment, taken: datetime, chance: Random) -> None:
    """What may still happen to money that came."""
    bill = payment.bill
    if happens(chance, 0.02):
        payment.is_told_late(taken + timedelta(minutes=10))
    later = taken + timedelta(days=between(chance, 1, 60))
    if bill.client.stage == "lost":
        if happens(chance, 0.6):  # the wedding was cancelled
            payment.is_paid_back(bill.total, later)
    elif happens(chance, 0.04):
        payment.is_paid_back(100 * between(chance, 10, 90), later)
    elif happens(chance, 0.01):
        payment.is_disputed(*pick(chance, _DISPUTES), later)
