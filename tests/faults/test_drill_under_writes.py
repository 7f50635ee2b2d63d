"""A database that is written to all the time is backed up and drilled, and every relation is the same every time."""

from __future__ import annotations

import random
import threading
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from wedsync_db.backup.drill import drill
from wedsync_db.backup.dump import create_backup
from wedsync_db.postgres.session import session

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

SCHEMA = """
create table accounts (id int primary key, balance bigint not null, note text);
insert into accounts select g, 1000, repeat('x', 300 + g % 50) from generate_series(1, 40000) g; -- more than one piece
create table moves (id bigserial primary key, source int, target int, amount bigint, at timestamptz default now());
create table days (day int, total numeric) partition by range (day);
create table days_low partition of days for values from (0) to (10);
create table days_rest partition of days default;
create table drafts (id bigserial primary key, body jsonb);
"""
_CLIENTS = 4


def write(address, stop, number):
    """Move amounts between accounts, as pgbench does, and fill and empty other tables."""
    rng = random.Random(number)
    with session(address, "writer", lock_timeout_ms=0) as connection:
        while not stop.is_set():
            one, other = sorted(rng.sample(range(1, 5001), 2))
            amount, day = rng.randint(-5, 5), rng.randint(0, 20)
            with connection.transaction():
                for account, change in ((one, -amount), (other, amount)):
                    connection.execute("update accounts set balance = balance + %s where id = %s", [change, account])
                connection.execute(
                    "insert into moves (source, target, amount) values (%s, %s, %s)", [one, other, amount]
                )
                connection.execute("insert into days values (%s, %s)", [day, amount])
            connection.execute("insert into drafts (body) values (jsonb_build_object('n', %s::int))", [amount])
            connection.execute("delete from drafts where id in (select id from drafts order by id limit 1)")


@contextmanager
def clients(address):
    stop = threading.Event()
    threads = [threading.Thread(target=write, args=(address, stop, number)) for number in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_every_drill_finds_every_relation_the_same(address, db, tmp_path, home, request, record_property):
    rounds = 20 if request.config.getoption("moments") >= 100 else 3
    db.execute(SCHEMA)
    moved = []
    for _ in range(rounds):
        with clients(address):
            backup = create_backup(address, tmp_path / "backups", environment="case")
        moved.append(next(one.rows for one in backup.manifest.relations if one.relation == "public.moves"))
        found = drill(backup, (), home.scratch, clock=lambda: datetime.now(UTC))
        assert (found.outcome, found.problem, found.relations) == ("restored", "", 5)
    assert moved == sorted(set(moved)), "something was written between any two"
    record_property("drills under writes", {"all identical": rounds})
