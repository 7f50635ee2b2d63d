"""Events as the payment provider sends them, and what has to come of them: a model in sets, which know no order."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

SECRET = "whsec_not-a-secret-1d07"
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)

# how far each thing can come, the furthest last
INTENTS = {
    "payment_intent.processing": "processing",
    "payment_intent.payment_failed": "failed",
    "payment_intent.canceled": "cancelled",
    "payment_intent.succeeded": "succeeded",
}
REFUNDS = ("pending", "succeeded", "failed")
OPEN_DISPUTE, WON_DISPUTE, LOST_DISPUTE = "needs_response", "won", "lost"


# -- events ------------------------------------------------------------------------------------------------------------
def event(key: str, kind: str, made: dict, created: int = 1_800_000_000) -> dict:
    return {"id": key, "object": "event", "type": kind, "created": created, "data": {"object": made}}


def intent(key: str, kind: str, payment: str, amount: int, currency: str = "gbp", **more) -> dict:
    received = amount if kind == "payment_intent.succeeded" else 0
    made = {"object": "payment_intent", "id": payment, "amount": amount, "amount_received": received}
    return event(key, kind, {**made, "currency": currency, **more})


def refund(key: str, payment: str, number: str, amount: int, status: str = "succeeded", currency: str = "gbp") -> dict:
    made = {"object": "refund", "id": number, "payment_intent": payment, "amount": amount}
    return event(key, "refund.updated", {**made, "currency": currency, "status": status, "reason": None})


def dispute(key: str, payment: str, number: str, status: str) -> dict:
    made = {"object": "dispute", "id": number, "payment_intent": payment, "amount": 1, "currency": "usd"}
    return event(key, "charge.dispute.updated", {**made, "status": status})


def subscription(
    key: str, number: str, status: str, created: int, price: int = 4900, currency: str = "gbp", customer: str = "cus_1"
) -> dict:
    item = {"price": {"unit_amount": price}, "current_period_end": created + 1000}
    made = {"object": "subscription", "id": number, "customer": customer, "status": status, "currency": currency}
    return event(key, "customer.subscription.updated", {**made, "items": {"data": [item]}}, created)


def body(made: Mapping) -> bytes:
    return json.dumps(made).encode()


def sign(payload: bytes, secret: str = SECRET, at: datetime = NOW) -> str:
    seconds = str(int(at.timestamp()))
    digest = hmac.digest(secret.encode(), b".".join((seconds.encode(), payload)), hashlib.sha256)
    return f"t={seconds},v1={digest.hex()}"


# -- the oracle --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Started:
    """A payment that was started: its invoice, and the invoice's price."""

    payment: str
    invoice: str
    price: int
    currency: str = "GBP"


@dataclass(frozen=True)
class Expected:
    """Payments: (status, refunded); invoices: (status, paid); refunds: status; events: the outcomes they may have."""

    payments: dict[str, tuple[str, int]]
    invoices: dict[str, tuple[str, int]]
    refunds: dict[str, str]
    events: dict[str, set[str]]


def expect(started: Iterable[Started], events: Iterable[dict]) -> Expected:
    """The state after all of the events, in whatever order and however often they came."""
    known, events = {s.payment: s for s in started}, list(events)
    outcomes = {e["id"]: _outcomes(e, known) for e in events}
    right = [e for e in events if outcomes[e["id"]] == {"done", "ignored"}]
    payments, refunds = {}, {}
    for key, s in known.items():
        mine = [e for e in right if key in (_object(e)["id"], _object(e).get("payment_intent"))]
        payments[key], its_refunds = _payment(s, mine)
        refunds |= its_refunds
    invoices = {s.invoice: ("issued", 0) for s in known.values()}
    for key, (status, _) in payments.items():
        if status in ("succeeded", "refunded", "disputed"):
            invoices[known[key].invoice] = ("paid", known[key].price)
    return Expected(payments, invoices, refunds, outcomes)


def _object(e: dict) -> dict:
    return e["data"]["object"]


def _outcomes(e: dict, known: Mapping[str, Started]) -> set[str]:
    """What may be said of an event: which of two that say the same comes first is chance."""
    made = _object(e)
    if e["type"] not in INTENTS and made["object"] not in ("refund", "dispute"):
        return {"ignored"}
    s = known.get(made["id"] if e["type"] in INTENTS else made["payment_intent"])
    if s is None:
        return {"unknown_payment"}
    wrong = _wrong(made, s) if made["object"] != "dispute" else None
    return {wrong} if wrong else {"done", "ignored"}


def _wrong(made: dict, s: Started) -> str | None:
    if type(made["amount"]) is not int:
        return "invalid"
    if made["currency"].upper() != s.currency:
        return "currency_mismatch"
    if made["amount"] > s.price or (made["object"] == "payment_intent" and made["amount"] < s.price):
        return "price_mismatch"
    return None


def _payment(s: Started, events: list[dict]) -> tuple[tuple[str, int], dict[str, str]]:
    ways = list(INTENTS.values())
    came = max((ways.index(INTENTS[e["type"]]) for e in events if e["type"] in INTENTS), default=None)
    refunds: dict[str, str] = {}
    amounts: dict[str, int] = {}
    disputes: dict[str, set[str]] = {}
    for made in map(_object, events):
        if made["object"] == "refund":
            amounts[made["id"]] = made["amount"]
            refunds[made["id"]] = max(refunds.get(made["id"], "pending"), made["status"], key=REFUNDS.index)
        if made["object"] == "dispute":
            disputes.setdefault(made["id"], set()).add(made["status"])
    refunded = sum(amounts[number] for number, status in refunds.items() if status == "succeeded")
    status = "pending" if came is None else ways[came]
    if status == "succeeded":
        if any(WON_DISPUTE not in said for said in disputes.values()):
            status = "disputed"
        elif refunded == s.price:
            status = "refunded"
    return (status, refunded), refunds
