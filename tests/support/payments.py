"""The platform's server side on a test database, as service_role: invoices, payments, deliveries of events."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg

from tests.support.payment_events import NOW, SECRET, body, sign
from tests.support.schema import MIGRATIONS, closure, deploy, make_api_roles, owned_database
from wedsync_db.payments.receive import Outcome, receive
from wedsync_db.postgres.cluster import Cluster
from wedsync_db.postgres.session import Address, session

MONEY = next(folder for folder in MIGRATIONS if folder.name == "0010_money")
_numbers = itertools.count(1)


class Fragile(psycopg.Connection):
    """Once `doom` is set, that happens directly before the next commit."""

    doom = None

    @contextmanager
    def transaction(self, *arguments, **more):
        with super().transaction(*arguments, **more) as transaction:
            yield transaction
            if self.doom:
                self.doom()


@dataclass
class Platform:
    """`api` acts as service_role, `owner` owns the tables, `admin` logs in as superuser."""

    admin: Address
    owner: psycopg.Connection
    api: psycopg.Connection
    organization: UUID
    client: UUID

    @contextmanager
    def connect(self) -> Iterator[Fragile]:
        """Another session of service_role; only a superuser can become that."""
        with Fragile.connect(self.admin.conninfo(), autocommit=True) as connection:
            connection.execute("set role service_role")
            yield connection

    def draft(self, *lines: tuple[int, int, int], currency: str = "GBP") -> UUID:
        """A draft with lines of (quantity, unit, tax in basis points)."""
        (invoice,) = self.one(
            "insert into invoices (organization_id, client_id, number, currency) values (%s, %s, %s, %s) returning id",
            self.organization, self.client, f"N{next(_numbers)}", currency,
        )  # fmt: skip
        for position, line in enumerate(lines, 1):
            self.add_line(self.api, invoice, position, *line)
        return invoice

    def add_line(
        self, connection: psycopg.Connection, invoice: UUID, position: int, quantity: int, unit: int, tax: int = 0
    ) -> None:
        connection.execute(
            "insert into invoice_lines (organization_id, invoice_id, position, description, quantity, unit_minor,"
            " tax_basis_points) values (%s, %s, %s, 'line', %s, %s, %s)",
            [self.organization, invoice, position, quantity, unit, tax],
        )

    def issue(self, invoice: UUID, connection: psycopg.Connection | None = None) -> None:
        (connection or self.api).execute("update invoices set status = 'issued' where id = %s", [invoice])

    def invoice(self, price: int = 1000) -> UUID:
        """An issued invoice."""
        invoice = self.draft((1, price, 0))
        self.issue(invoice)
        return invoice

    def start(self, invoice: UUID, payment: str, connection: psycopg.Connection | None = None) -> str:
        """Start a payment; its status."""
        statement = "select status from api.start_payment(%s, %s, %s)"
        return (connection or self.api).execute(statement, [invoice, payment, NOW]).fetchone()[0]

    def pending(self, price: int = 1000) -> tuple[UUID, str]:
        """An invoice and its payment, of which nothing is known yet."""
        invoice, payment = self.invoice(price), f"pi_{next(_numbers)}"
        self.start(invoice, payment)
        return invoice, payment

    def deliver(self, made: dict | bytes, connection: psycopg.Connection | None = None) -> Outcome:
        """What the provider does, with the right signature."""
        payload = made if isinstance(made, bytes) else body(made)
        return receive(connection or self.api, payload, sign(payload), [SECRET], lambda: NOW)

    def one(self, statement: str, *values) -> tuple:
        return self.api.execute(statement, values).fetchone()

    def payment(self, payment: str) -> tuple:
        """Its status and what of it was paid back."""
        return self.one("select status, refunded_minor from payments where provider_payment_id = %s", payment)

    def money(self, invoice: UUID) -> tuple:
        """Its status and what was paid."""
        return self.one("select status, paid_minor from invoices where id = %s", invoice)

    def wait_until_blocked(self, connection: psycopg.Connection) -> None:
        """Until another session stands in the way of what this one is doing in a thread."""
        for _ in range(2000):
            if self.one("select pg_blocking_pids(%s) <> '{}'", connection.info.backend_pid)[0]:
                return
            self.one("select pg_sleep(0.005)")
        raise AssertionError("nothing blocks it")


@contextmanager
def platform_on(cluster: Cluster) -> Iterator[Platform]:
    """A database with the migrations up to 0010_money, one supplier and one client."""
    make_api_roles(cluster)
    with owned_database(cluster) as address, session(address, "test") as owner:
        deploy(owner, *closure(MONEY))
        organization, client = uuid4(), uuid4()
        owner.execute(
            "insert into organizations (id, name, slug, category, time_zone) values (%s, 'o', 'o', 'venue', 'UTC')",
            [organization],
        )
        owner.execute("insert into clients (id, organization_id, name) values (%s, %s, 'c')", [client, organization])
        platform = Platform(cluster.address(address.dbname), owner, owner, organization, client)
        with session(platform.admin, "test-admin") as admin:
            admin.execute("alter role service_role bypassrls")  # up to 15 no ordinary deployer may
        with platform.connect() as platform.api:
            yield platform
