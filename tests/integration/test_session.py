"""Sessions with real servers: their settings, what goes wrong when they open, what an interruption leaves."""

import os
import signal
import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from wedsync_db.errors import Refused, Unreachable, UsageError
from wedsync_db.postgres.account import owner
from wedsync_db.postgres.cluster import binaries_of, scratch
from wedsync_db.postgres.pg_ctl import run, stop
from wedsync_db.postgres.session import Address, cancel_running, connect, session

MAJORS = [m for m in (15, 16, 18) if binaries_of(m)]
PASSWORD = "Tr0ub4dor-and-3"


def open_tcp(cluster):
    """Start a scratch server again with a port: our own servers never listen on one."""
    stop(cluster)
    hba = cluster.data.parent / "pg_hba.conf"
    hba.write_text(hba.read_text() + "host app app 127.0.0.1/32 scram-sha-256\nhost all shut all reject\n")
    options = {
        "listen_addresses": "127.0.0.1",
        "port": cluster.port,
        "unix_socket_directories": cluster.socket,
        "hba_file": hba,
        "ident_file": cluster.data.parent / "pg_ident.conf",
        "max_connections": 6,
    }
    packed = " ".join(f"-c {name}={value}" for name, value in options.items())
    log = cluster.data.parent / "server.log"
    run([cluster.binaries / "pg_ctl", "-D", cluster.data, "-w", "-l", log, "-o", packed, "start"], owner(cluster.data))


@pytest.fixture(scope="module")
def tcp():
    """A server without TLS on a port of 127.0.0.1, of the first major asked for: `tcp(major)` → superuser's address."""
    with ExitStack() as stack:
        started = {}

        def get(major):
            if major not in started:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", 0))
                    port = probe.getsockname()[1]
                cluster = replace(stack.enter_context(scratch(major)), port=port)
                open_tcp(cluster)
                admin = cluster.address()
                with session(admin, "test") as connection:
                    connection.execute("create role app login")
                    connection.execute(sql.SQL("alter role app password {}").format(PASSWORD))
                    connection.execute("create role shut login; create role sleeper")
                    connection.execute("create database app")
                    connection.execute("create database closed allow_connections false")
                started[major] = admin
            return started[major]

        yield get


@pytest.fixture(params=MAJORS)
def admin(request, tcp):
    return tcp(request.param)


def unreachable(address):
    with pytest.raises(Unreachable) as caught:
        connect(address, "test", lock_timeout_ms=1, statement_timeout_ms=1)
    assert PASSWORD not in f"{caught.value.message} {caught.value.hint}"
    assert "\n" not in caught.value.message
    assert caught.value.__suppress_context__
    return caught.value


def test_each_failed_login_has_its_own_code_and_hint(admin, tmp_path):
    app = Address(admin.host, admin.port, "app", "app", PASSWORD)
    over_tcp = replace(app, host="127.0.0.1")
    connect(over_tcp, "test", lock_timeout_ms=1, statement_timeout_ms=1).close()
    silent = socket.create_server(("127.0.0.1", 0))
    nobody = socket.socket()
    nobody.bind(("127.0.0.1", 0))
    cases = [
        (replace(app, password="not-the-one-7c"), "28P01", 'password authentication failed for user "app"'),
        (replace(app, password=None), "28P01", "no password supplied"),
        (replace(app, user="nobody-here"), "28P01", "password authentication failed"),
        (replace(admin, user="wedsync", dbname="nope"), "3D000", 'database "nope" does not exist'),
        (replace(admin, dbname="closed"), "55000", "not currently accepting connections"),
        (replace(app, user="sleeper"), "28", ""),  # the server may say no before or after asking for a password
        (replace(over_tcp, dbname="postgres"), "28000", "no pg_hba.conf entry"),
        (replace(over_tcp, user="shut"), "28000", "pg_hba.conf rejects connection"),
        (replace(over_tcp, parameters={"sslmode": "require"}), None, "server does not support SSL"),
        (replace(over_tcp, port=nobody.getsockname()[1]), "08001", "Connection refused"),
        (replace(app, host=str(tmp_path)), "08001", "No such file or directory"),
        (replace(app, host="nowhere.invalid"), "08001", "failed to resolve host"),
        (
            replace(over_tcp, port=silent.getsockname()[1], parameters={"connect_timeout": "1"}),
            "08001",
            "connection timeout expired",
        ),
        (replace(app, parameters={"sslmode": "perhaps"}), None, 'invalid sslmode value: "perhaps"'),
    ]
    hints = set()
    with silent, nobody:
        for address, sqlstate, said in cases:
            error = unreachable(address)
            assert (error.sqlstate or "").startswith(sqlstate or ""), error.message
            assert said in error.message
            hints.add(error.hint)
    assert len(hints) >= len(cases) - 4


def test_too_many_connections(admin):
    app = Address(admin.host, admin.port, "app", "app", PASSWORD)
    with ExitStack() as stack:
        with pytest.raises(Unreachable) as caught:  # noqa: PT012 - which of them is one too many does not matter
            for _ in range(7):
                stack.enter_context(session(app, "test"))
    assert caught.value.sqlstate == "53300"
    assert "idle" in caught.value.hint


def test_an_address_that_libpq_does_not_understand(address):
    with pytest.raises(UsageError, match='invalid connection option "nosuch"'):
        connect(replace(address, parameters={"nosuch": "1"}), "test", lock_timeout_ms=1, statement_timeout_ms=1)


@pytest.mark.parametrize("major", MAJORS, indirect=True)
def test_a_session_is_named_and_bounded(address):
    options = {"options": "-c search_path=app -c lock_timeout=1", "keepalives": "1"}
    with session(replace(address, parameters=options), "probe", settings={"TimeZone": "Etc/GMT"}) as db:
        shown = dict(
            db.execute(
                "select name, setting from pg_settings where name in ('application_name', 'lock_timeout', 'TimeZone',"
                " 'statement_timeout', 'client_connection_check_interval', 'search_path')"
            ).fetchall()
        )
    assert shown == {
        "application_name": "wedsync-db/probe",
        "lock_timeout": "2000",
        "statement_timeout": "30000",
        "client_connection_check_interval": "1000",
        "search_path": "app",
        "TimeZone": "Etc/GMT",
    }
    assert db.closed


def test_settings_may_hold_blanks_and_backslashes(address):
    with session(address, "test", settings={"search_path": r'"a b\c", d'}) as db:
        assert db.execute("show search_path").fetchone() == (r'"a b\c", d',)


@pytest.mark.parametrize("major", MAJORS, indirect=True)
def test_a_role_is_assumed_or_the_login_fails(address, db):
    role = f"owner_{os.getpid()}"
    db.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
    try:
        with session(replace(address, role=role), "test") as other:
            assert other.execute("select current_user, session_user").fetchone() == (role, address.user)
        with session(replace(address, session_authorization=role), "test") as other:
            assert other.execute("select current_user, session_user").fetchone() == (role, role)
        error = unreachable(replace(address, role="no such role"))
        assert error.sqlstate == "22023"
        assert "cannot act as role no such role" in error.message
        error = unreachable(replace(address, session_authorization=role, role=address.user))
        assert error.sqlstate == "42501"
        assert "grant" in error.hint
    finally:
        db.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def sleep_until_interrupted(address, autocommit, settings):
    with session(address, "victim", autocommit=autocommit, settings=settings) as victim:
        victim.execute("create table leftover ()")
        victim.execute("do $$ begin /* interrupt me */ perform pg_sleep(3600); end $$")


class Interrupted(BaseException):
    """What a signal handler raises, as Prefect's does on cancellation."""


@pytest.fixture
def interrupt_when_running(address):
    """Send this thread a signal, whose handler raises Interrupted, as soon as the server runs the marked statement."""

    def handler(_number, _frame):
        raise Interrupted

    def watch():
        with session(address, "watch") as db:
            while not running(db):
                time.sleep(0.01)
        signal.pthread_kill(main, signal.SIGUSR1)

    main = threading.get_ident()
    before = signal.signal(signal.SIGUSR1, handler)
    watcher = threading.Thread(target=watch)
    watcher.start()
    yield
    watcher.join()
    signal.signal(signal.SIGUSR1, before)


def running(db):
    return db.execute(
        "select pid from pg_stat_activity where datname = current_database() and state = 'active'"
        " and query like '%interrupt me%' and pid <> pg_backend_pid()"
    ).fetchone()


@pytest.mark.parametrize("major", MAJORS, indirect=True)
@pytest.mark.usefixtures("interrupt_when_running")
@pytest.mark.parametrize("autocommit", [True, False])
def test_an_interrupted_client_leaves_nothing_running(address, db, autocommit):
    # only our cancel can end it: the server itself does not look whether its client is still there
    blind = {"client_connection_check_interval": "0", "statement_timeout": "0"}
    with pytest.raises(Interrupted):
        sleep_until_interrupted(address, autocommit, blind)
    while running(db):  # the test's own timeout is the limit
        time.sleep(0.01)
    left = db.execute("select to_regclass('leftover') is not null").fetchone()[0]
    assert left is autocommit


def test_cancelling_an_idle_or_closed_session_does_nothing(address):
    with session(address, "test") as db:
        cancel_running(db)
        assert db.execute("select 1").fetchone() == (1,)
    cancel_running(db)


def test_a_failed_statement_closes_the_session_and_says_what_failed(address):
    with pytest.raises(psycopg.errors.DivisionByZero), session(address, "test") as db:
        db.execute("select 1/0")
    assert db.closed


def test_printing_an_address_never_shows_the_password():
    address = Address("db", 5432, "app", "app", PASSWORD)
    assert PASSWORD not in f"{address} {address!r}"
    assert str(address.with_database("other")) == "app@db:5432/other"


def test_a_pooler_that_takes_no_settings_is_refused(address, monkeypatch):
    def as_pgbouncer(*_args, **_kwargs):
        raise psycopg.OperationalError("connection failed: FATAL:  unsupported startup parameter: options")

    monkeypatch.setattr(psycopg, "connect", as_pgbouncer)
    with pytest.raises(Refused):
        connect(address, "test", lock_timeout_ms=1, statement_timeout_ms=1)
