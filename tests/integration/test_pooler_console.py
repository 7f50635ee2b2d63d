"""The console of a real pgbouncer: what it shows is what the test does there, and what it does not show is unknown."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from dataclasses import replace

import psycopg
import pytest

from tests.support.pooler import ADMIN, PASSWORD, STRANGER, needs_pgbouncer, poolers
from tests.support.waiting import until
from wedsync_db.errors import Refused, UsageError
from wedsync_db.monitor.console import ask
from wedsync_db.monitor.pooler import console_address, judged, look_at_pooler
from wedsync_db.monitor.states import State
from wedsync_db.monitor.thresholds import limits
from wedsync_db.settings import Environment

pytestmark = needs_pgbouncer
ENVIRONMENT = Environment("test", url_env="X", pooler_url_env="POOLER_URL")


@pytest.fixture
def pooler(address, db):
    with (
        poolers(address, db) as start,
        start("pool_mode=transaction", "default_pool_size=3", "max_client_conn=40") as one,
    ):
        yield one


def environ(console):
    return {"POOLER_URL": f"postgresql://{console.user}:{PASSWORD}@:{console.port}/x?host={console.host}"}


def looked(pooler, user="watcher"):
    return look_at_pooler(ENVIRONMENT, environ(pooler.console(user)))


def values(found, database):
    return {m.name: v for m, v in found.values.items() if m.labels == (("database", database),)}


@pytest.mark.parametrize("user", ["watcher", ADMIN])
def test_the_figures_are_what_the_test_holds_open(pooler, user):
    name = pooler.address.dbname
    with ExitStack() as stack:
        clients = [psycopg.connect(pooler.address.conninfo(), prepare_threshold=None) for _ in range(8)]
        for client in clients:
            stack.callback(client.close)  # some are in the middle of a statement
        for client in clients[:3]:
            client.execute("select 1")  # and stays in its transaction
        for client in clients[3:5]:
            client.pgconn.send_query(b"select 1")  # no connection is left for them
        until(lambda: values(looked(pooler, user), name)["pooler_clients_waiting"] == 2)
        found = looked(pooler, user)
        assert found.problems == ()
        assert found.version.startswith("PgBouncer 1.")
        figures = values(found, name)
        # those that wait are not among the active ones
        assert figures["pooler_clients_active"] == 6
        assert figures["pooler_servers_active"] == 3
        assert figures["pooler_servers_idle"] == 0
        assert figures["pooler_used"] == 1.0
        until(lambda: values(looked(pooler, user), name)["pooler_wait"] > 0.05)
        (clients_ratio,) = [v for m, v in found.values.items() if m.name == "pooler_clients"]
        assert clients_ratio == 9 / 40, "the console's own is one of them"
        told = {one.name: one for one in judged(found, limits({"pooler_wait": {"degraded": 0}}))}
        assert told["pooler_used"].state is State.DEGRADED
        assert told["pooler_used"].subject == name
        assert told["pooler_wait"].state is State.DEGRADED
        assert told["pooler_wait"].evidence == ("2 clients wait, 3 connections are at work",)
        for client in clients[:3]:
            client.rollback()
        until(lambda: values(looked(pooler, user), name)["pooler_clients_waiting"] == 0)
    until(lambda: values(looked(pooler, user), name)["pooler_servers_idle"] == 3)


def test_who_may_not_look_is_denied_and_told_so(pooler):
    for user in (STRANGER, "unheard_of"):
        answers = ask(pooler.console(user), ("pools",))
        assert (answers.said, answers.tables) == ("denied", {})
        assert "stats_users" in answers.problems[0]
    found = looked(pooler, STRANGER)
    assert set(found.values.values()) == {None}
    assert {one.state for one in judged(found, limits({}))} == {State.UNKNOWN}
    assert PASSWORD not in str(found)


def test_what_is_gone_or_silent_or_something_else_is_unknown(pooler, address):
    elsewhere = replace(address, dbname=address.dbname)
    with psycopg.connect(address.conninfo()) as connection:
        connection.autocommit = True
        connection.execute("create database pgbouncer")
        answers = ask(elsewhere, ("pools",))
        connection.execute("drop database pgbouncer with (force)")
    assert (answers.said, answers.problems) == ("no pgbouncer", ("pooler: what answers there is no pgbouncer",))
    assert ask(pooler.console(), ("pools", "nonsense", "stats")).problems == (
        "pooler: this user may not ask for nonsense, or this version does not know it",
    )
    os.kill(pooler.process.pid, signal.SIGSTOP)
    try:
        assert ask(pooler.console(), ("pools",)).said == "unreachable"
    finally:
        os.kill(pooler.process.pid, signal.SIGCONT)
    pooler.process.kill()
    pooler.process.wait()
    answers = ask(pooler.console(), ("pools",))
    assert (answers.said, answers.tables) == ("unreachable", {})
    assert answers.problems[0].startswith("pooler: no session with watcher@")


def test_one_that_falls_silent_in_the_middle_is_left(pooler, monkeypatch):
    from wedsync_db.monitor import console

    real = console._table

    def then_silent(result):
        os.kill(pooler.process.pid, signal.SIGSTOP)
        return real(result)

    monkeypatch.setattr(console, "_table", then_silent)
    try:
        answers = ask(pooler.console(), ("pools", "stats"), budget_seconds=0.3)
    finally:
        os.kill(pooler.process.pid, signal.SIGCONT)
    assert answers.said == "answered"
    assert answers.problems == ("pooler: it does not answer to pools",)


def test_another_pooler_is_not_taken_for_one(pooler, monkeypatch):
    from wedsync_db.monitor import console

    monkeypatch.setattr(console, "_table", lambda _: ({"version": "Odyssey 1.3"},))
    assert ask(pooler.console(), ("pools",)).said == "no pgbouncer"


def test_where_the_console_is():
    assert look_at_pooler(Environment("test", url_env="X"), {}) is None
    missing = look_at_pooler(ENVIRONMENT, {})
    assert missing.problems == ("pooler: the variable POOLER_URL is not set",)
    assert {one.state for one in judged(missing, limits({}))} == {State.UNKNOWN}
    strict = replace(ENVIRONMENT, require_tls=True)
    with pytest.raises(Refused):
        console_address(strict, {"POOLER_URL": "postgresql://a@pooler:6432/pgbouncer"})
    assert console_address(strict, {"POOLER_URL": "postgresql://a@/pgbouncer?host=/run/pgbouncer"}).port == 5432
    with pytest.raises(UsageError):
        console_address(ENVIRONMENT, {"POOLER_URL": "nonsense"})
