"""What the sampler says of a real server is what the test does there, and what it could not see it does not make up."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import psycopg
import pytest

from tests.support.majors import every_major
from tests.support.pooler import WATCHER, needs_pgbouncer, poolers
from tests.support.waiting import eventually
from wedsync_db.errors import Unreachable
from wedsync_db.load.observed import COUNTERS
from wedsync_db.load.sampler import sampling
from wedsync_db.postgres.session import session

PRELUDE = "select set_config('app.user', 'u' || 7, false);"


@pytest.fixture
def login(address):
    """An ordinary role of the database, which is not shown what others do; nobody else is there."""
    name, password = f"loader_{address.dbname}", "not-a-secret-88c1"
    with session(address, "test") as admin:
        admin.execute(f"create role {name} login password '{password}'")
        admin.execute("create table t as select n as id, 0 as v from generate_series(1, 20000) as n")
        admin.execute(f"create index on t (id); grant all on t to {name}")
        admin.execute(f"grant pg_signal_backend to {name}")
    yield replace(address, user=name, password=password)
    with session(address, "test") as admin:
        admin.execute(f"drop owned by {name}; drop role {name}")


def beside(login):
    """Where the sampler logs in; as the role that it acts as otherwise it would not be shown even its own sessions."""
    return replace(login.with_database("template1"), role="pg_signal_backend")


@contextmanager
def waiting_for_a_row(holder, waiter):
    """One session updates a row and goes on with its transaction, another one waits for that row."""

    def wait():
        # one message of several statements, as the generator sends it
        waiter.execute(f"{PRELUDE.replace('7', '4711')} update t set v = v + 4711 where id = 3", prepare=False)

    thread = threading.Thread(target=wait)
    with holder.transaction():
        holder.execute("update t set v = 1 where t.id = 3")  # should it be met, it is not the other one's
        thread.start()
        yield
    thread.join()


def flush(connection):
    connection.execute("select pg_stat_force_next_flush()")


def waits_of(sampler):
    return {group.wait for sample in list(sampler._samples) for group in sample.groups}


def looked_enough(sampler):
    """Whether the looks that are missing, on a busy machine, and one more, are at most one of twenty."""
    turns = sampler._samples[-1].number + 1
    missing = turns - len(sampler._samples) - len(sampler._unanswered)
    return 20 * (missing + 1) <= turns


@every_major
def test_a_wait_for_a_row_wal_and_blocks_are_seen(login):
    with session(login, "test") as one, session(login, "test") as two:
        with sampling(login, through=beside(login), prelude=PRELUDE) as sampler:
            assert eventually(lambda: sampler._counted)
            before = one.execute("select pg_current_wal_insert_lsn()").fetchone()[0]
            with waiting_for_a_row(one, two):
                assert eventually(lambda: "Lock:transactionid" in waits_of(sampler))
            one.execute("update t set v = v + 1")
            written = one.execute("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)::float8", [before])
            least = written.fetchone()[0]
            for connection in (one, two):
                flush(connection)
            assert eventually(lambda: looked_enough(sampler))
            seen = sampler.observed()
    waits = {name: wait for second in seen.seconds for name, wait in second.waits.items()}
    assert "Lock:transactionid" in waits
    assert "idle in transaction" in waits
    assert "not shown" not in waits
    found = seen.between(-0.1, seen.counted[-1].at)
    assert found.lock_waits_max == 1
    assert set(found.waits) <= {"CPU", "Client", "IO", "IPC", "Lock", "LWLock", "Timeout", "idle in transaction"}
    assert found.grown["wal_bytes"] >= least > 1_000_000
    assert found.grown["rows_updated"] >= 20_002
    assert found.transactions >= 4
    assert 0.5 < found.cache_hit <= 1
    assert found.grown["checkpoints"] is not None
    assert set(found.grown) == set(COUNTERS)
    assert [one.text for one in seen.statements if "where id" in one.text] == ["update t set v = v + ? where id = ?"]
    assert seen.statements_sampled
    assert seen.notes == ("statements: extension pg_stat_statements is not in this database",)
    assert "4711" not in str(seen)
    assert seen.doubts() == ()


@every_major
def test_a_session_that_is_ended_costs_the_rest_of_the_samples_and_nothing_else(login, db):
    ends = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'wedsync-db/load-sampler'"
    with sampling(login, through=beside(login)) as sampler:
        assert eventually(lambda: len(sampler._samples) > 3)
        assert db.execute(ends).fetchall() == [(True,)]
        assert eventually(lambda: sampler._connection.closed)
        taken = len(sampler._samples)
        time.sleep(1)
        seen = sampler.observed()
    assert 0 < sum(one.taken for one in seen.seconds) == taken
    assert sum(one.planned for one in seen.seconds) >= taken + 9
    assert seen.doubts()[0].startswith("the sampler lost ")
    assert "statements" not in str(seen.notes), "nobody looked at them again"
    assert seen.between(0, seen.seconds[-1].at + 3).transactions is None, "nobody counted near its end"


def test_a_server_that_does_not_answer_is_said_and_is_no_lost_sample(login, db):
    pid = "select pid from pg_stat_activity where application_name = 'wedsync-db/load-sampler'"
    with sampling(login, through=beside(login)) as sampler:
        assert eventually(lambda: len(sampler._samples) > 3)
        backend = db.execute(pid).fetchone()[0]
        os.kill(backend, signal.SIGSTOP)
        try:
            time.sleep(1)
        finally:
            os.kill(backend, signal.SIGCONT)
        taken = len(sampler._samples)
        assert eventually(lambda: len(sampler._samples) > taken + 3)
        seen = sampler.observed()
    assert sum(one.unanswered for one in seen.seconds) >= 7
    assert "still answering the time before" in " ".join(seen.notes)
    assert seen.lost < 0.3, "of two seconds; on a busy machine one or two are our own"


def test_what_this_role_is_not_shown_is_not_idle(login, db):
    with session(login.with_database("template1"), "test"), sampling(login, through=beside(login)) as sampler:
        with db.transaction():
            db.execute("select 1")
            assert eventually(lambda: any(one.groups for one in sampler._samples))
        seen = sampler.observed()
    assert any("not shown" in second.waits for second in seen.seconds)
    assert f"is not shown to {login.user}: grant pg_read_all_stats to {login.user}" in " ".join(seen.notes)
    assert "idle" not in str([second.waits for second in seen.seconds])
    assert seen.between(0, 60).lock_waits_max is None


def test_nothing_of_it_is_left_and_an_unknown_database_is_said_at_once(login, db):
    mine = "select count(*) from pg_stat_activity where application_name = 'wedsync-db/load-sampler'"
    with pytest.raises(Unreachable, match="no database gone"), sampling(login.with_database("gone"), through=login):
        pytest.fail("it began")

    def interrupted():
        with sampling(login, through=beside(login)):
            assert eventually(lambda: db.execute(mine).fetchone() == (1,))  # the one before may be on its way out
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert eventually(lambda: db.execute(mine).fetchone() == (0,))


@contextmanager
def hanging_up():
    """Where to connect, and what waits until somebody does, and hangs up."""

    def came():
        listener.accept()[0].close()
        listener.close()  # nor is a second time taken

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield *listener.getsockname(), came


@needs_pgbouncer
def test_who_waits_in_a_pooler_is_seen_and_a_pooler_that_is_gone_is_unknown(address, db):
    with poolers(address, db) as start, start("pool_mode=transaction", "default_pool_size=1") as pooler:
        with ExitStack() as stack:
            clients = [psycopg.connect(pooler.address.conninfo(), prepare_threshold=None) for _ in range(3)]
            for one in clients:
                stack.callback(one.close)
            clients[0].execute("select 1")  # and keeps the only connection
            for one in clients[1:]:
                one.pgconn.send_query(b"select 1")
            with sampling(pooler.address, through=address) as sampler:
                sampler.ask(replace(pooler.address, user=WATCHER))
                assert eventually(lambda: any(one.clients_waiting == 2 for one in sampler._pooled))
                seen = sampler.observed()
        with hanging_up() as (host, port, came), sampling(pooler.address, through=address) as sampler:
            sampler.ask(replace(pooler.address, host=host, port=port, user=WATCHER))
            came()
            unseen = sampler.observed()
    assert seen.between(-1, 60).clients_waiting_max == 2
    assert (unseen.pooled, unseen.notes[-1]) == ((), "the pooler does not answer")
