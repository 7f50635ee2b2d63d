"""Pools on a real server and behind a real pgbouncer: who waits, who keeps a connection, and that nothing is left."""

from __future__ import annotations

import random
import re
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from tests.support.majors import every_major
from tests.support.pooler import PORT, needs_pgbouncer, poolers
from tests.support.waiting import until
from wedsync_db.errors import Unreachable, UsageError
from wedsync_db.monitor.openmetrics import openmetrics
from wedsync_db.pool.connections import Connection
from wedsync_db.pool.ledger import log_leak
from wedsync_db.pool.pool import open_pool
from wedsync_db.pool.tiers import TIERS, Tier
from wedsync_db.postgres.cluster import scratch
from wedsync_db.postgres.pg_ctl import start, stop

ONE = Tier("free", size=1, kept=1, queue=5)  # so that the next borrower has the same connection
MANY = 60


def value(pool, name, unit=None):
    (found,) = [v for m, v in pool.metrics().items() if m.name == name and unit in (None, m.unit)]
    return found


@pytest.fixture
def bouncer(address, db):
    """A pgbouncer with one server connection, which every client therefore shares."""
    with poolers(address, db) as start_one, start_one("pool_mode=transaction", "default_pool_size=1") as pooler:
        yield pooler


@pytest.fixture(params=["direct", pytest.param("through pgbouncer", marks=needs_pgbouncer)])
def way(request, address, db):
    """The database for an application, whose role may act as the role `tenant_…`: straight, or through a pooler."""
    with poolers(address, db) as start_one, ExitStack() as stack:
        pooler = stack.enter_context(start_one("pool_mode=transaction", "default_pool_size=1"))
        application = (
            pooler.address
            if request.param != "direct"
            else replace(pooler.address, host=address.host, port=address.port)
        )
        tenant = sql.Identifier(f"tenant_{address.dbname}")
        db.execute(sql.SQL("create role {}; grant {} to {}").format(tenant, tenant, sql.Identifier(application.user)))
        db.execute("create table counted (id bigserial primary key, value int); grant all on counted to public")
        db.execute("create table checked (id int primary key deferrable initially deferred)")
        db.execute("grant all on checked to public; grant usage on all sequences in schema public to public")
        yield application
        stack.close()
        db.execute(sql.SQL("drop role {}").format(tenant))


# what borrowers leave: statements, and a question whose answer is the same before and after
MINE_LOCKED = "locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())"
LEFT = {
    "a role": ("set role {tenant}", "select current_user"),
    "a local role": ("set local role {tenant}", "select current_user"),
    "the tenant": ("set app.current_org = 'a'", "select coalesce(current_setting('app.current_org', true), '')"),
    "a timeout": ("set statement_timeout = '1s'", "select current_setting('statement_timeout')"),
    "a path": ("set search_path = pg_temp", "select current_setting('search_path')"),
    "its own name": ("set application_name = 'mine'", "select current_setting('application_name')"),
    "a temporary table": ("create temp table mine as select 1 as secret", "select to_regclass('pg_temp.mine')"),
    "a lock": ("select pg_advisory_lock(4711)", f"select count(*) from pg_locks where {MINE_LOCKED}"),
    "a cursor": ("declare mine cursor with hold for select 1", "select count(*) from pg_cursors"),
    "a statement": ("prepare mine as select 'secret'", "select count(*) from pg_prepared_statements where from_sql"),
    "a listener": ("listen mine", "select count(*) from pg_listening_channels()"),
}


def returned(connection, statement):
    connection.execute(statement)


def raised(connection, statement):
    connection.execute(statement)
    raise ZeroDivisionError


def committed(connection, statement):
    connection.execute(statement)
    connection.commit()


def in_a_block(connection, statement):
    with connection.transaction():
        connection.execute(statement)
    assert connection.info.transaction_status is TransactionStatus.IDLE


def out_of_a_block(connection, statement):
    with suppress(ZeroDivisionError), connection.transaction():
        connection.execute(statement)
        raise ZeroDivisionError
    assert connection.info.transaction_status is TransactionStatus.IDLE


def by_hand(connection, statement):
    connection.execute("select 1")
    connection.commit()
    connection.execute(f"{statement}; commit")


def alone(connection, statement):
    connection.autocommit = True
    connection.execute(statement)


@every_major
@pytest.mark.parametrize("ends", [returned, raised, committed, in_a_block, out_of_a_block])
def test_the_next_borrower_finds_nothing_of_the_one_before(way, ends):
    leaves_nothing(way, ends)


@pytest.mark.parametrize("way", ["direct"], indirect=True)
@pytest.mark.parametrize("ends", [by_hand, alone])
def test_nor_of_one_who_ended_the_transaction_behind_our_back(way, ends):
    """On a server session of our own: behind a pooler nobody knows which it was."""
    leaves_nothing(way, ends)


def leaves_nothing(way, ends):
    with open_pool(way, ONE) as pool:
        assert pool.pooled == (way.port == PORT)
        for what, (statement, question) in LEFT.items():
            before = asked(pool, question)
            with suppress(ZeroDivisionError), pool.connection() as connection:
                ends(connection, statement.format(tenant=f"tenant_{way.dbname}"))
            assert asked(pool, question) == before, what
        assert asked(pool, "select current_setting('application_name')") == ("wedsync/free",)
        with suppress(ZeroDivisionError), pool.connection() as connection:
            ends(connection, "insert into counted (value) values (1)")
        kept = ends not in {raised, out_of_a_block}
        assert asked(pool, "select count(*) from counted") == (int(kept),)


def asked(pool, question):
    with pool.connection() as connection:
        assert not connection.autocommit
        return connection.execute(question).fetchone()


@every_major
def test_a_reset_is_whole_on_every_version(address, db):
    role = sql.Identifier(f"tenant_{address.dbname}")
    db.execute(sql.SQL("create role {}").format(role))
    with open_pool(address, ONE, settings={"statement_timeout": "7s"}) as pool:
        with pool.connection() as connection:
            connection.execute(sql.SQL("set session authorization {}").format(role))
            connection.execute("create temp table mine (id int); set statement_timeout = 0; set app.org = 'a'")
            connection.execute("prepare secret as select 'of a tenant'")
            connection.prepare_threshold = 0
            for _ in range(9):
                connection.execute("select %s::int", [1])
            connection.commit()
            connection.read_only, connection.isolation_level = True, psycopg.IsolationLevel.SERIALIZABLE
            connection.row_factory = dict_row
        with pool.connection() as connection:
            assert (connection.read_only, connection.isolation_level, connection.prepare_threshold) == (None, None, 5)
            found = connection.execute(
                "select current_user, session_user, current_setting('statement_timeout'), to_regclass('pg_temp.mine'), "
                "coalesce(current_setting('app.org', true), ''), "
                "(select array_agg(statement) from pg_prepared_statements)"
            ).fetchone()
            assert found == (address.user, address.user, "7s", None, "", ["select $1::int"]), "a driver's own may stay"
        for _ in range(20):
            with pool.connection() as connection:
                assert connection.execute("select %s::int", [1]).fetchone() == (1,)
    db.execute(sql.SQL("drop role {}").format(role))


def test_a_tenant_acts_until_the_end_of_its_block(way):
    tenant = f"tenant_{way.dbname}"
    with open_pool(way, ONE) as pool:
        with pool.transaction(role=tenant, settings={"request.jwt.claims": '{"sub": "a"}'}) as connection:
            row = connection.execute("select current_user, current_setting('request.jwt.claims')").fetchone()
            assert row == (tenant, '{"sub": "a"}')
            connection.commit()
            assert connection.execute("select current_user").fetchone() == (way.user,)
        with pool.connection() as connection:
            row = connection.execute("select current_user, current_setting('request.jwt.claims', true)").fetchone()
            assert row in {(way.user, None), (way.user, "")}


def test_many_tenants_at_once_never_see_one_another(way):
    """Few connections, many threads, and every way to end: whoever comes finds a session as new."""
    asks = (
        "select current_user, coalesce(current_setting('app.org', true), ''), to_regclass('pg_temp.mine'), "
        f"(select count(*) from pg_locks where {MINE_LOCKED} and pid = pg_backend_pid())"
    )
    found, tenant = set(), f"tenant_{way.dbname}"

    def work(number):
        chance = random.Random(number)
        for _ in range(15):
            ends = chance.choice([returned, raised, committed, in_a_block, out_of_a_block])
            with suppress(ZeroDivisionError), pool.connection(timeout=60) as connection:
                found.add(connection.execute(asks).fetchone())
                connection.commit()
                local = "local " if chance.random() < 0.5 else ""
                secret = f"set {local}app.org = '{number}'; create temp table mine as select {number} as secret"
                ends(connection, f"{secret}; select pg_advisory_lock({number}); set {local}role {tenant}")

    with open_pool(way, replace(ONE, size=4, kept=4, queue=40)) as pool:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert value(pool, "pool_requests") == 300
        assert value(pool, "pool_connections") == 4, "and none had to be thrown away"
    assert found == {(way.user, "", None, 0)}


def test_what_fails_at_the_commit_is_told_and_leaves_nothing(way):
    with open_pool(way, ONE) as pool:
        with pytest.raises(psycopg.errors.UniqueViolation), pool.connection() as connection:
            connection.execute("set app.current_org = 'a'; insert into checked values (1), (1)")
        with pool.connection() as connection:
            row = connection.execute(
                "select coalesce(current_setting('app.current_org', true), ''), (select count(*) from checked)"
            ).fetchone()
            assert row == ("", 0)


def test_a_sequences_last_number_is_nobody_elses(way):
    with open_pool(way, ONE) as pool:
        with pool.connection() as connection:
            connection.execute("insert into counted (value) values (1)")
            assert connection.execute("select lastval()").fetchone() == (1,)
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState), pool.connection() as connection:
            connection.execute("select lastval()")


def test_what_runs_at_the_commit_still_knows_the_tenant(way, db):
    """A deferred trigger: the context may not be cleaned away before COMMIT."""
    db.execute(
        "create table seen (who text); grant insert on seen to public; create function note() returns trigger language "
        "plpgsql as $$ begin insert into seen values (current_user || current_setting('app.org')); return null; end $$;"
        "create constraint trigger late after insert on counted deferrable initially deferred "
        "for each row execute function note()"
    )
    tenant = f"tenant_{way.dbname}"
    with open_pool(way, ONE) as pool:
        with pool.transaction(role=tenant, settings={"app.org": "-a"}) as connection:
            connection.execute("insert into counted (value) values (1)")
        with pool.connection() as connection:
            connection.execute("set app.org = '-b'; insert into counted (value) values (2)")
    assert db.execute("select array_agg(who order by who) from seen").fetchone() == (
        sorted([f"{tenant}-a", f"{way.user}-b"]),
    )


def test_a_caught_error_does_not_pass_for_a_commit(way):
    with open_pool(way, ONE) as pool:
        with pytest.raises(psycopg.errors.InFailedSqlTransaction), pool.connection() as connection:
            with suppress(psycopg.errors.DivisionByZero):
                connection.execute("insert into counted (value) values (1); select 1 / 0")
        with pool.connection() as connection:
            assert connection.execute("select count(*) from counted").fetchone() == (0,)


def test_one_that_is_given_back_unused_stays_and_one_that_cannot_be_cleaned_goes(way, monkeypatch):
    def no(_connection):
        raise psycopg.OperationalError("not now")

    with open_pool(way, ONE) as pool:
        for _ in range(3):
            with pool.connection():
                pass
        assert value(pool, "pool_connections") == 1
        monkeypatch.setattr(Connection, "leave_nothing", no)
        asked(pool, "select 1")
        asked(pool, "select 1")
        assert value(pool, "pool_connections") >= 2


def test_a_block_ends_by_itself_and_a_pipeline_before_the_transaction(way):
    with open_pool(way, ONE) as pool, pool.connection() as connection:
        with pytest.raises(psycopg.ProgrammingError, match="ends by itself"), connection.transaction():
            connection.commit()
        connection.execute("select 1")
        with pytest.raises(psycopg.NotSupportedError, match="end the pipeline"), connection.pipeline():
            connection.commit()
        with connection.pipeline():
            found = [connection.execute("select 1"), connection.execute("select 2")]
        assert [one.fetchone() for one in found] == [(1,), (2,)]


@needs_pgbouncer
def test_behind_a_pooler_there_is_no_autocommit_and_no_prepared_statement(bouncer):
    with open_pool(bouncer.address, ONE) as pool:
        for _ in range(2):
            with pool.connection() as connection:
                for _ in range(9):
                    connection.execute("select %s::int", [1])
                assert connection.execute("select count(*) from pg_prepared_statements").fetchone() == (0,)
        with pytest.raises(psycopg.NotSupportedError), pool.connection() as connection:
            connection.autocommit = True


@needs_pgbouncer
def test_two_applications_share_a_server_session_and_see_nothing_of_each_other(bouncer):
    with open_pool(bouncer.address, ONE) as pool, open_pool(bouncer.address, "free", application="other") as other:
        for number in range(20):
            with pool.connection() as connection:
                connection.execute(f"set app.current_org = '{number}'")
                connection.execute("create temp table mine (id int)")
            with other.connection() as connection:
                row = connection.execute(
                    "select current_setting('app.current_org', true), to_regclass('pg_temp.mine'), "
                    "current_setting('application_name')"
                ).fetchone()
                assert row == ("", None, "other/free")


@contextmanager
def sixty_threads(pool):
    """Each wants a connection, and keeps it until the block ends."""
    over = threading.Event()

    def work():
        with pool.connection(timeout=60) as connection:
            connection.execute("select 1")
            over.wait(60)

    threads = [threading.Thread(target=work) for _ in range(MANY)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_sixty_threads_want_twenty_connections_and_the_metrics_tell(address):
    with open_pool(address, "free") as pool:
        with sixty_threads(pool):
            until(lambda: value(pool, "pool_borrowed") == 20 and value(pool, "pool_requests_waiting") == 40)
            assert value(pool, "pool_used", "ratio") == 1.0
            assert value(pool, "pool_size") == value(pool, "pool_limit") == 20
            assert value(pool, "pool_available") == 0
            assert value(pool, "pool_requests_wait") > 0
            with pytest.raises(Unreachable) as caught, pool.connection(timeout=0.05):
                pass
            assert re.fullmatch(r"pool free: none came free in [\d.]+ s; 20 of 20 are borrowed", caught.value.message)
            assert "who keeps one" in caught.value.hint
            assert value(pool, "pool_requests_errors") == 1
        assert value(pool, "pool_requests") == MANY + 1
        assert value(pool, "pool_requests_queued") >= MANY - 20
        assert value(pool, "pool_used_time") > 0
        assert value(pool, "pool_borrowed") == 0
        text = openmetrics(pool.metrics(), {"environment": "test"})
        assert '_pool_used_ratio{environment="test",pool="free"} 0.0' in text
        assert "_pool_requests_wait_seconds counter" in text


def test_a_full_queue_is_refused_at_once(address):
    with open_pool(address, replace(ONE, queue=1)) as pool, ExitStack() as stack:
        stack.enter_context(pool.connection())
        waiter = threading.Thread(target=lambda: suppressed(pool))
        waiter.start()
        until(lambda: value(pool, "pool_requests_waiting") == 1)
        with pytest.raises(Unreachable, match="1 requests wait already"), pool.connection():
            pass
        stack.close()
        waiter.join()


def suppressed(pool):
    with pool.connection(timeout=60):
        pass


def test_whoever_keeps_a_connection_is_named_once_and_again_when_it_comes_back(address, caplog):
    found, tell = [], threading.Event()

    def report(leak):
        found.append(leak)
        log_leak(leak)
        tell.set()
        raise ValueError("a report that fails")

    def forgetful(pool):
        with pool.connection() as connection:
            connection.execute("select 1")
            tell.wait(60)

    with open_pool(address, ONE, late_seconds=0.2, report=report) as pool:
        with pool.connection() as connection:
            pid = connection.info.backend_pid
        thread = threading.Thread(target=forgetful, args=(pool,), name="request-7")
        thread.start()
        thread.join()
        with pool.connection() as connection:
            assert connection.info.backend_pid == pid, "it was not ended"
        late, back = found
        assert value(pool, "pool_leaks") == 1
        assert value(pool, "pool_late") == 0
    assert ".forgetful (integration/test_pool.py:" in late.borrower
    assert (late.pool, late.thread, late.pid, late.returned) == ("free", "request-7", pid, False)
    assert late.held_seconds >= 0.2
    assert (back.borrower, back.returned) == (late.borrower, True)
    assert "is out for 0 s, borrowed by " in caplog.text
    assert "came back after 0 s" in caplog.text


def test_a_server_that_was_restarted_is_used_again_and_what_was_lost_is_counted():
    with scratch(18) as cluster, open_pool(cluster.address(), replace(ONE, size=5, kept=5)) as pool:
        with pytest.raises(psycopg.OperationalError), pool.connection() as connection:
            ended(cluster, connection)
        with pytest.raises(Unreachable, match="0 of 5 are borrowed") as caught, pool.connection(timeout=0.2):
            pass
        assert "No more could be opened" in caught.value.hint
        start(cluster)
        with pool.connection(timeout=60) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        until(lambda: value(pool, "pool_available") == 5)
        assert value(pool, "pool_connections_lost") == 4
        assert value(pool, "pool_returns_bad") == 1
        for _ in range(10):
            with pool.connection() as connection:
                connection.execute("select 1")


def ended(cluster, connection):
    stop(cluster, "immediate")
    connection.execute("select 1")


def test_an_interrupted_borrower_leaves_no_statement_running(way, db):
    """pgbouncer lets it go on when its client is gone."""

    def interrupted(pool):
        with pool.connection() as connection:
            connection.pgconn.send_query(b"select pg_sleep(110)")
            until(lambda: running() == 1)
            raise SystemExit

    def running():
        asked = "select count(*) from pg_stat_activity where query = 'select pg_sleep(110)' and state = 'active' "
        return db.execute(f"{asked} and datname = current_database()").fetchone()[0]

    with open_pool(way, ONE) as pool:
        with pytest.raises(SystemExit):
            interrupted(pool)
        until(lambda: running() == 0)
        with pool.connection(timeout=60) as connection:
            assert connection.execute("select 1").fetchone() == (1,)


def test_what_a_pool_cannot_be_opened_on(address):
    with pytest.raises(Unreachable, match="does not exist"), open_pool(replace(address, dbname="no_such"), ONE):
        pass
    with (
        pytest.raises(Unreachable, match="1 connections could not be opened"),
        open_pool(replace(address, dbname="no_such"), replace(ONE, patience_seconds=0.2), pooled=False),
    ):
        pass
    with pytest.raises(UsageError), open_pool(replace(address, role="x"), ONE):
        pass
    assert TIERS["pro"].size == 100
