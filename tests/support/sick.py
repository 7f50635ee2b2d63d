"""A server with everything wrong at once that health looks for: real faults, not figures that say so."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.support.small_disk import fill, small_disk
from tests.support.waiting import until
from wedsync_db.monitor.health import Counters, blocking_tree, counters
from wedsync_db.postgres.account import owner
from wedsync_db.postgres.cluster import Cluster, scratch, start, stop
from wedsync_db.postgres.pg_ctl import run
from wedsync_db.postgres.session import Address, session

NAME = "Sick 'db"
WATCHER, PASSWORD = "watcher", "not-a-secret-77aa"
_SETTINGS = {
    "archive_mode": "on",
    "archive_command": "/bin/false",
    "autovacuum": "off",  # it would heal some of it
    "autovacuum_freeze_max_age": "2000000000",
    "deadlock_timeout": "10ms",
    "max_connections": "24",
    "max_prepared_transactions": "3",
    "max_slot_wal_keep_size": "1MB",
    "shared_buffers": "1MB",
}
_XID = 1050 << 20  # the first of a segment of pg_xact: the server makes that file when it comes to it
_DISK_MB, _LEFT_MB = 250, 24

_TABLES = """
create schema app;
create table app.booked (id int primary key, during int4range not null, exclude using gist (during with &&));
create table app.parents (id int primary key);
create table app.children (id int primary key, parent int not null references app.parents);
create table app.grandchildren (id int primary key, parent int references app.children);
create index grandchildren_parent on app.grandchildren (parent);
create table app.keyless (value int, other int);
create index keyless_value on app.keyless (value);
create index keyless_again on app.keyless (value);
create index keyless_plus on app.keyless ((value + 1));
create index keyless_other on app.keyless (other, value);
alter table app.keyless cluster on keyless_other;
create table app.couples (a int, b int, primary key (a, b));
create table app.turned (id int primary key, a int, b int, foreign key (a, b) references app.couples);
create index turned_b_a on app.turned (b, a);
create table app.partly (id int primary key, a int, b int, foreign key (a, b) references app.couples);
create index partly_a_b on app.partly (a, b) where a > 0;
create sequence app.ends_seq;
create table app.ends (id int primary key default nextval('app.ends_seq'));
select setval('app.ends_seq', 1900000000);
create table app.nearly (id smallint generated always as identity (sequence name app.nearly_seq) primary key);
select setval('app.nearly_seq', 32000);
create table app."Dou.bled" (key int primary key, id int);
insert into app."Dou.bled" values (1, 1), (2, 1);
create table app.dying (id int primary key);
insert into app.dying select generate_series(1, 20000);
analyze app.dying;
delete from app.dying;
create table app.never (id int primary key);
insert into app.never select generate_series(1, 40000);
create table app.spared (id int primary key);
insert into app.spared select generate_series(1, 20000);
analyze app.spared;
delete from app.spared where id <= 3000;
create table app.parent (id int primary key, day int) partition by range (id);
create index parent_day on app.parent (day);
create table app.part partition of app.parent for values from (0) to (100000);
insert into app.parent select n, n from generate_series(1, 20000) as n;
analyze app.part;
create table app.hollow (id int primary key, value text);
insert into app.hollow select n, repeat('x', 500) from generate_series(1, 4000) as n;
delete from app.hollow where id % 10 <> 0;
select pg_stat_force_next_flush();
vacuum (analyze) app.hollow;
create table app.scanned (id int primary key, value char(7000));
alter table app.scanned alter value set storage plain;
insert into app.scanned select n, 'x' from generate_series(1, 600) as n;
analyze app.scanned;
create table app.rotten (id int primary key);
insert into app.rotten values (1);
analyze app.rotten;
create table app.rows (id int primary key);
insert into app.rows values (1), (2), (3);
analyze app.rows;
create role anon nologin;
create table public.exposed (id int primary key)
"""
_INVALID = 'create unique index concurrently "Dou.bled id" on app."Dou.bled" (id)'


@dataclass
class Sick:
    """The server, what its counters said before it fell ill, and the sessions that make it so, by what each does."""

    cluster: Cluster
    address: Address
    disk: Path | None
    before: Counters | None = None
    pids: dict[str, int] = field(default_factory=dict)

    def start(self) -> None:
        """Start the server with its settings."""
        start(self.cluster, {"fsync": "off", **_SETTINGS})


@contextmanager
def sick_server(major: int) -> Iterator[Sick]:
    """The server, ill, on a nearly full disk of its own where one can be mounted; gone when the block ends."""
    with _disk() as disk, scratch(major, disk, _SETTINGS) as cluster:
        sick = Sick(cluster, cluster.address(NAME), disk)
        _lay(sick)
        with _sessions(sick):
            _count(sick)
            if disk:
                fill(disk, _LEFT_MB << 20)
            yield sick


@contextmanager
def _disk() -> Iterator[Path | None]:
    with ExitStack() as stack:
        disk = None
        if os.geteuid() == 0:
            with suppress(pytest.skip.Exception):
                disk = stack.enter_context(small_disk(_DISK_MB))
        yield disk


def _lay(sick: Sick) -> None:
    """What lies there on disk; the page that is not as it was written, and the age, while the server is down."""
    with session(sick.cluster.address(), "sick") as admin:
        admin.execute(f"create role {WATCHER} login password '{PASSWORD}'")
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(NAME)))
    with session(sick.address, "sick") as db:
        for statement in _TABLES.split(";\n"):
            db.execute(statement.encode())
        with suppress(psycopg.errors.UniqueViolation):
            db.execute(_INVALID)
        (file,) = db.execute("select pg_relation_filepath('app.rotten')").fetchone()
    stop(sick.cluster)
    _flip_a_bit(sick.cluster.data / file)
    run([sick.cluster.binaries / "pg_resetwal", "-x", str(_XID), sick.cluster.data], owner(sick.cluster.data))
    sick.start()


def _flip_a_bit(file: Path) -> None:
    with file.open("r+b") as opened:
        content = bytearray(opened.read())
        content[8000] ^= 1
        opened.seek(0)
        opened.write(content)


@contextmanager
def _sessions(sick: Sick) -> Iterator[None]:
    """Those that hold something, those that wait, and as many idle ones as make it too many."""
    working: list[tuple[psycopg.Connection, threading.Thread]] = []
    with ExitStack() as stack:

        def opened(name: str) -> psycopg.Connection:
            connection = stack.enter_context(session(sick.address, name, lock_timeout_ms=0, statement_timeout_ms=0))
            sick.pids[name] = connection.info.backend_pid
            return connection

        def begun(name: str, statement: str) -> None:
            connection = opened(name)
            thread = threading.Thread(target=_until_ended, args=(connection, statement))
            thread.start()
            working.append((connection, thread))

        def waiting(count: int) -> None:
            until(lambda: len(blocking_tree(sick.address)) == count)

        try:
            begun("report", "select pg_sleep(3600)")
            time.sleep(1)  # so that it is told from all that come after it
            opened("preparer").execute(
                "begin; update app.rows set id = 4 where id = 3; prepare transaction 'for''gotten'"
            )
            opened("holder").execute("begin; select * from app.booked")
            opened("forgotten").execute("begin; select 1")
            begun("writer", "update app.rows set id = 5 where id = 3")
            begun("changer", "alter table app.booked add column more int")
            waiting(4)
            for number in range(5):
                begun(f"reader {number}", "select * from app.booked")
            waiting(9)
            for number in range(6):
                opened(f"idle {number}")
            yield
        finally:
            for connection, thread in working:
                with suppress(psycopg.Error):
                    connection.cancel_safe(timeout=5)
                thread.join()


def _until_ended(connection: psycopg.Connection, statement: str) -> None:
    with suppress(psycopg.Error):
        connection.execute(statement.encode())


def _count(sick: Sick) -> None:
    """What shows only between two looks: an unreadable page, reads from disk, rollbacks, deadlocks; and slots."""
    with session(sick.address, "sick") as db:
        sick.before = counters(db)
        with suppress(psycopg.errors.DataCorrupted):
            db.execute("select * from app.rotten")
        for _ in range(20):
            db.execute("select count(value) from app.scanned")
        with db.pipeline():
            for _ in range(150):
                db.execute("begin")
                db.execute("rollback")
        for _ in range(6):
            _deadlock(sick.address, db)
        db.execute("select pg_create_physical_replication_slot('lost', true)")
        for _ in range(3):
            db.execute("select pg_logical_emit_message(false, 'sick', 'x'), pg_switch_wal()")
            db.execute("checkpoint")
        db.execute("select pg_create_physical_replication_slot('unused', true)")
        db.execute("select pg_stat_force_next_flush()")
        until(lambda: db.execute("select last_failed_time is not null from pg_stat_archiver").fetchone()[0])


def _deadlock(address: Address, one: psycopg.Connection) -> None:
    with session(address, "other") as other:
        one.execute("begin; update app.rows set id = id where id = 1")
        other.execute("begin; update app.rows set id = id where id = 2")
        thread = threading.Thread(target=_until_ended, args=(other, "update app.rows set id = id where id = 1"))
        thread.start()
        _until_ended(one, "update app.rows set id = id where id = 2")
        one.execute("rollback")
        thread.join()
