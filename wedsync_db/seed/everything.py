"""All rows of a seed, in pieces that can be written one after the other: a supplier, then each of its weddings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from wedsync_db.seed import booking, crm, forms, guests, invoices, privacy, subscriptions, suppliers, talk, weddings
from wedsync_db.seed.booking import Taken
from wedsync_db.seed.crm import Client
from wedsync_db.seed.rows import Row
from wedsync_db.seed.sizes import Size
from wedsync_db.seed.suppliers import Supplier, supplier
from wedsync_db.seed.wedding import Wedding, diary

Piece = Iterator[tuple[str, Row]]
_OFFICE_SHARE = 0.03  # of the work


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make: the seed, how much, and for which migrations (their folders' names)."""

    seed: int
    size: Size
    modules: Collection[str]

    def pieces(self) -> Iterator[tuple[float, Piece]]:
        """First all suppliers, since any may work at any wedding; each piece with the share of the work before it."""
        many = self.size.organizations
        for number in range(many):
            yield number / many * _OFFICE_SHARE, self._office(supplier(self.seed, number))
        for number in range(many):
            made = supplier(self.seed, number)
            held = tuple(diary(made, many, self.size.share))
            for place, piece in enumerate(self._work(made, held)):
                done = (number + place / (len(held) + 1)) / many
                yield _OFFICE_SHARE + done * (1 - _OFFICE_SHARE), piece

    def _office(self, made: Supplier) -> Piece:
        yield from suppliers.rows(made)
        if "0006_crm" in self.modules:
            yield from crm.office_tasks(made)
        if "0008_forms" in self.modules:
            yield from forms.supplier_rows(made)
        if "0009_booking" in self.modules:
            yield from booking.supplier_rows(made)
        if "0010_money" in self.modules:
            yield from subscriptions.rows(made)
        if "0012_compliance" in self.modules:
            yield from privacy.supplier_rows(made)

    def _work(self, made: Supplier, held: tuple[Wedding, ...]) -> Iterator[Piece]:
        """What belongs to no wedding, then one wedding after the other."""
        asking = tuple(crm.enquiries(made))
        taken = booking.taken(held, asking) if "0009_booking" in self.modules else {}
        yield self._enquiries(made, asking, taken)
        for wedding in held:
            yield self._wedding(wedding, taken)

    def _enquiries(self, made: Supplier, asking: Iterable[Client], taken: Taken) -> Piece:
        yield from booking.resource_rows(made, taken)
        if "0006_crm" in self.modules:
            for client in asking:
                yield from self._client(client, taken)

    def _wedding(self, wedding: Wedding, taken: Taken) -> Piece:
        yield from weddings.rows(wedding)
        if "0007_guests" in self.modules:
            yield from guests.rows(wedding)
        if "0006_crm" in self.modules:
            for client in crm.clients(wedding):
                yield from self._client(client, taken)
        if "0011_communication" in self.modules:
            yield from talk.wedding_rows(wedding)
        if "0012_compliance" in self.modules:
            yield from privacy.wedding_rows(wedding)

    def _client(self, client: Client, taken: Taken) -> Piece:
        yield from crm.rows(client)
        if "0008_forms" in self.modules:
            yield from forms.client_rows(client)
        if "0009_booking" in self.modules:
            yield from booking.client_rows(client, taken)
        if "0010_money" in self.modules:
            yield from invoices.rows(client)
        if "0011_communication" in self.modules:
            yield from talk.client_rows(client)
