"""Hundreds of events, five times each, shuffled, by eight workers that lose their server: the end is the same."""

from __future__ import annotations

import itertools
import queue
import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import psycopg
import pytest

from tests.support.majors import every_major
from tests.support.payment_events import (
    LOST_DISPUTE,
    OPEN_DISPUTE,
    WON_DISPUTE,
    Started,
    dispute,
    event,
    expect,
    intent,
    refund,
)
from tests.support.payments import Fragile, Platform, platform_on
from wedsync_db.errors import Inconclusive

WORKERS, DELIVERIES, CRASHES = 8, 5, 0.1
PRICE = 12_000
PROCESSING, FAILED, CANCELLED, SUCCEEDED = (
    f"payment_intent.{name}" for name in ("processing", "payment_failed", "canceled", "succeeded")
)
Job = Callable[[Fragile], object]


def lives(payment: str) -> list[list[dict]]:
    """What may be said of one payment of PRICE; the last few hold what must not count."""
    keys = (f"evt_{payment}_{n}" for n in itertools.count())

    def came(kind: str, amount: int | str = PRICE, currency: str = "gbp") -> dict:
        return intent(next(keys), kind, payment, amount, currency)

    def back(number: int, amount: int, status: str = "succeeded", currency: str = "gbp") -> dict:
        return refund(next(keys), payment, f"re_{payment}_{number}", amount, status, currency)

    def contested(number: int, status: str) -> dict:
        return dispute(next(keys), payment, f"dp_{payment}_{number}", status)

    paid = [came(PROCESSING), came(SUCCEEDED)]
    return [
        paid,
        [came(PROCESSING), came(FAILED)],
        [came(FAILED), *paid, came(SUCCEEDED)],
        [*paid, back(1, 5000, "pending"), back(1, 5000)],
        [*paid, back(1, 5000), back(2, 7000, "pending"), back(2, 7000)],
        [*paid, back(1, PRICE), back(1, PRICE, "failed")],
        [*paid, contested(1, OPEN_DISPUTE), contested(1, WON_DISPUTE), back(1, PRICE)],
        [*paid, contested(1, OPEN_DISPUTE), contested(2, OPEN_DISPUTE), contested(2, WON_DISPUTE)],
        [*paid, contested(1, OPEN_DISPUTE), contested(1, LOST_DISPUTE), back(1, PRICE - 1)],
        [came(SUCCEEDED, PRICE - 1), came(FAILED), back(1, 1)],
        [came(SUCCEEDED, PRICE, "xyz"), came(PROCESSING)],
        [*paid, back(1, PRICE + 1), back(2, 1, currency="usd")],
        [*paid, came(SUCCEEDED, str(PRICE)), event(next(keys), "charge.updated", {"object": "charge", "id": "ch"})],
    ]


@dataclass
class Storm:
    """Jobs for the workers; what failed for a passing reason is done again, as the provider would."""

    platform: Platform
    jobs: queue.Queue[tuple[int, Job]]
    doomed: set[int]
    crashes: Counter[str] = field(default_factory=Counter)
    failures: list[BaseException] = field(default_factory=list)

    def rage(self) -> None:
        threads = [threading.Thread(target=self.work) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def work(self) -> None:
        try:
            while not self.jobs.empty():
                with suppress(ConnectionError, psycopg.OperationalError), self.platform.connect() as connection:
                    self.until_the_server_is_lost(connection)
        except BaseException as error:  # noqa: BLE001 - the test says it
            self.failures.append(error)

    def until_the_server_is_lost(self, connection: Fragile) -> None:
        with suppress(queue.Empty):
            while True:
                number, job = self.jobs.get_nowait()
                connection.doom = self.crash(connection, number)
                try:
                    job(connection)
                except (psycopg.errors.ObjectNotInPrerequisiteState, Inconclusive):
                    self.jobs.put(
                        (number, job)
                    )  # that the payment before was cancelled is not known yet; a slow machine
                except (ConnectionError, psycopg.OperationalError):
                    self.jobs.put((number, job))
                    raise

    def crash(self, connection: Fragile, number: int) -> Callable[[], None] | None:
        if number not in self.doomed:
            return None
        self.doomed.discard(number)
        return lambda: self.close(connection) if number % 2 else self.terminate(connection)

    def close(self, connection: Fragile) -> None:
        self.crashes["closed"] += 1
        connection.close()
        raise ConnectionError

    def terminate(self, connection: Fragile) -> None:
        self.crashes["terminated"] += 1
        with psycopg.connect(self.platform.admin.conninfo(), autocommit=True) as admin:
            admin.execute("select pg_terminate_backend(%s, 10000)", [connection.info.backend_pid])


def make_up(platform: Platform, chance: random.Random) -> tuple[list[Started], list[dict]]:
    """Payments, each with a life of its own; every tenth is given up, and another one is begun for its invoice."""
    started, events = [], []
    for n in range(180):
        invoice, payment = platform.invoice(PRICE), f"pi_{n}"
        if n % 10 == 0:
            started.append(Started(payment, str(invoice), PRICE))
            events.append(intent(f"evt_{payment}_c", CANCELLED, payment, PRICE))
            payment += "b"
        started.append(Started(payment, str(invoice), PRICE))
        events += chance.choice(lives(payment))
    return started, events


@pytest.fixture
def platform(cluster):
    with platform_on(cluster) as platform:
        yield platform


@every_major
def test_whatever_the_order_and_however_often_the_end_is_the_same(platform):
    chance = random.Random(20270612)
    started, events = make_up(platform, chance)
    assert len(events) >= 600

    def begin(payment: Started) -> Job:
        def job(connection: Fragile) -> None:
            with connection.transaction():
                platform.start(UUID(payment.invoice), payment.payment, connection)

        return job

    second = {s for s in started if s.payment.endswith("b")}
    first = {s for s in started if f"{s.payment}b" in {b.payment for b in second}}
    late = second | {s for s in started if s not in first and chance.random() < 0.5}
    for s in started:
        if s not in late:
            platform.start(UUID(s.invoice), s.payment)
    jobs = [lambda connection, made=made: platform.deliver(made, connection) for made in events * DELIVERIES]
    jobs += [begin(s) for s in late]
    chance.shuffle(jobs)
    numbered = queue.Queue()
    for job in enumerate(jobs):
        numbered.put(job)
    storm = Storm(platform, numbered, {n for n in range(len(jobs)) if chance.random() < CRASHES})
    storm.rage()
    assert not storm.failures
    assert min(storm.crashes["closed"], storm.crashes["terminated"]) > 100

    found = found_in(platform)
    expected = expect(started, events)
    assert found["payments"] == expected.payments
    assert found["invoices"] == expected.invoices
    assert found["refunds"] == expected.refunds
    assert found["events"].keys() == expected.events.keys()
    wrong = {key: said for key, said in found["events"].items() if said not in expected.events[key]}
    assert not wrong


def found_in(platform: Platform) -> dict[str, dict]:
    def rows(statement: str) -> list[tuple]:
        return platform.api.execute(statement).fetchall()

    return {
        "payments": {p: (s, r) for p, s, r in rows("select provider_payment_id, status, refunded_minor from payments")},
        "invoices": {str(i): (s, paid) for i, s, paid in rows("select id, status, paid_minor from invoices")},
        "refunds": dict(rows("select provider_refund_id, status from refunds")),
        "events": dict(rows("select event_id, outcome from stripe_events")),
    }
