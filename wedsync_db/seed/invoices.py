"""The invoices of 0010_money and their lines: a deposit when a contract is signed, the balance before the wedding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from wedsync_db.seed import payments
from wedsync_db.seed.booking import MONEY_STEP, Agreement, agreement
from wedsync_db.seed.chance import between, happens
from wedsync_db.seed.crm import Client
from wedsync_db.seed.payments import Bill
from wedsync_db.seed.rows import Row
from wedsync_db.seed.suppliers import EPOCH

_BALANCE_DRAFTED, _BALANCE_ISSUED = timedelta(days=70), timedelta(days=45)  # before the ceremony
_DUE = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class _Line:
    description: str
    quantity: int
    unit: int


@dataclass(frozen=True, slots=True)
class _Invoice:
    """Invoice `place` of a client; `issued` may lie ahead, and then it is a draft."""

    client: Client
    contract: str
    place: int
    lines: tuple[_Line, ...]
    drafted: datetime
    issued: datetime
    void: bool

    @property
    def id(self) -> str:
        return self.client.key("invoice", self.place)

    @property
    def is_draft(self) -> bool:
        return self.issued > EPOCH

    @property
    def net(self) -> int:
        return sum(line.quantity * line.unit for line in self.lines)

    @property
    def tax(self) -> int:
        """Comes out even for every line: prices are multiples of MONEY_STEP."""
        return self.net * self.client.supplier.city.tax // 10_000


def rows(client: Client) -> Iterator[tuple[str, Row]]:
    """The invoices of one client with their lines, payments, refunds and the provider's events."""
    agreed = agreement(client)
    if agreed is None or agreed.signed is None:
        return
    for invoice in _invoices(client, agreed, agreed.signed):
        paid_at, following = payments.course(_bill(invoice), client.dice(f"payment {invoice.place}"))
        yield "invoices", _row(invoice, paid_at)
        for position, line in enumerate(invoice.lines, start=1):
            yield "invoice_lines", _line(invoice, position, line)
        yield from following


def _bill(invoice: _Invoice) -> Bill:
    total = invoice.net + invoice.tax
    return Bill(invoice.client, invoice.id, invoice.place, _number(invoice), total, invoice.issued, invoice.void)


def _invoices(client: Client, agreed: Agreement, signed: datetime) -> Iterable[_Invoice]:
    chance = client.dice("invoices")
    wedding, package = agreed.wedding, agreed.package
    deposit = max(MONEY_STEP, package.price * 3 // 10 // MONEY_STEP * MONEY_STEP)
    first = _Line(f"Deposit for {package.name}", 1, deposit)
    sent = signed + timedelta(minutes=between(chance, 10, 1400))
    yield _Invoice(client, agreed.id, 0, (first,), signed, sent, wedding.cancelled and happens(chance, 0.4))
    lines = [_Line(f"{package.name}, {wedding.title}", 1, package.price)]
    if happens(chance, 0.4):
        lines.append(_Line("Further hours", between(chance, 1, 4), 2 * MONEY_STEP))
    if happens(chance, 0.2):
        lines.append(_Line("Discount: a recommendation", 1, -MONEY_STEP))
    lines.append(_Line("Deposit, already invoiced", 1, -deposit))
    drafted = wedding.when.ceremony - _BALANCE_DRAFTED
    if drafted <= EPOCH and not wedding.cancelled:
        issued = wedding.when.ceremony - _BALANCE_ISSUED
        yield _Invoice(client, agreed.id, 1, tuple(lines), drafted, issued, void=False)


def _number(invoice: _Invoice) -> str:
    """No two of a supplier's are the same; which wedding it is for can be told from it."""
    wedding = invoice.client.wedding
    place = (wedding.lead.number, wedding.place) if wedding else (0, 0)
    return f"{invoice.drafted.year}-{place[0]:05d}-{place[1]:03d}-{invoice.place + 1}"


def _row(invoice: _Invoice, paid_at: datetime | None) -> Row:
    client, net, tax = invoice.client, invoice.net, invoice.tax
    head = (invoice.id, client.supplier.id, client.id, invoice.contract, _number(invoice))
    currency, notes, due = client.supplier.city.currency, None, (invoice.issued + _DUE).date()
    if invoice.is_draft:
        return *head, "draft", currency, 0, 0, 0, 0, notes, due, None, invoice.drafted, invoice.drafted
    notes = f"Thank you, {client.name.full}."
    status = "paid" if paid_at else "void" if invoice.void else "issued"
    amounts = (net, tax, net + tax, net + tax if paid_at else 0)
    return *head, status, currency, *amounts, notes, due, invoice.issued, invoice.drafted, paid_at or invoice.issued


def _line(invoice: _Invoice, position: int, line: _Line) -> Row:
    client = invoice.client
    head = (client.key("line", invoice.place, position), client.supplier.id, invoice.id, position)
    return *head, line.description, line.quantity, line.unit, client.supplier.city.tax, invoice.drafted
