"""A load test through a pgbouncer of its own: many clients on few connections, and none of it left behind."""

import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.pooler import needs_pgbouncer
from tests.support.processes import children, started_with
from tests.support.waiting import eventually
from wedsync_db.errors import Refused, Unreachable, WedsyncError
from wedsync_db.installation import CHECKOUT
from wedsync_db.load import bouncer as bouncers
from wedsync_db.load.bouncer_folder import sweep_poolers
from wedsync_db.load.criteria import read_criteria
from wedsync_db.load.engine import run
from wedsync_db.load.measure import value_of
from wedsync_db.load.sampler import sampling
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import Phase
from wedsync_db.load.scripts import Draw, Script, tenant_key
from wedsync_db.load.summary import summary_of
from wedsync_db.postgres.session import Address

pytestmark = needs_pgbouncer
PASSWORD = 'it\'s "a" w\\rd'
KEY = f"'{tenant_key(0)[:-12]}' || lpad(to_hex({{}}), 12, '0')"
# who is signed in is set for the transaction only: on a server session of somebody else's it would be another tenant
PRELUDE = f"select set_config('app.tenant', {KEY.format(':tenant')}, true), pg_sleep(0.001);"
WHOSE = Script("whose", 1, "select current_setting('app.tenant');", {}, tenant_column=0)
CRITERIA = read_criteria(
    {"response_ms": ["p(95)<5000"], "connect_ms": ["p(95)<1000"]},
    scripts=("whose",),
    phases=("steady",),
).criteria
CONNECT = CRITERIA[1]
SCENARIO = Scenario(
    "own", "Own", "", "", PRELUDE, (WHOSE,), (Phase("steady", 2, 300, 300),), CRITERIA,
    users=500, tenants=50, pool=5, connections="pgbouncer", clients=200,
)  # fmt: skip
QUICK = replace(SCENARIO, phases=(Phase("steady", 1, 300, 300),))


@pytest.fixture
def login(address, db) -> Address:
    """The database, as an ordinary role with a password."""
    user = f"load_{address.dbname}"
    quoted = PASSWORD.replace("'", "''")
    db.execute(f"create role {user} login password '{quoted}'")
    yield replace(address, user=user, password=PASSWORD)
    db.execute(f"drop owned by {user}; drop role {user}")


@pytest.fixture(autouse=True)
def own_folder(cluster, home, monkeypatch):
    """Where nobody else's pgbouncer is; its name is in the arguments of ours."""
    monkeypatch.setattr("tempfile.tempdir", str(home.path.parent))
    return home.path.parent


def ours(folder):
    return [words for words in started_with(folder) if b"pgbouncer" in words and b"wedsync-bouncer-" in words]


def sessions(db, login):
    rows = db.execute("select count(*) from pg_stat_activity where usename = %s", (login.user,)).fetchone()
    return rows[0]


def test_many_clients_share_a_few_connections_and_nothing_of_each_other(login, address, db, own_folder):
    seen, at_work = [], []

    def look(_):
        seen.append(sessions(db, login))
        at_work.extend(ours(own_folder))
        return True

    busy = replace(SCENARIO, prelude=PRELUDE.replace("0.001", "0.02"))  # more than five connections can do
    with sampling(login, through=address.with_database("template1"), prelude=busy.prelude) as sampler:
        found = run(busy, login, seed=1, tell=look, pooled=sampler.ask)
        server = sampler.observed(found.began)
    assert (found.code == 0).all()
    assert found.leaks == 0
    assert seen
    assert max(seen) <= SCENARIO.pool
    assert server.between(0, 5).clients_waiting_max > 0, "the console was asked"
    assert max(one.servers_active for one in server.pooled) <= SCENARIO.pool
    assert server.between(0, busy.seconds).waits["Timeout"] > SCENARIO.pool / 2, "they sleep"
    used = summary_of(found).chosen(["steady"]).busy
    assert 0.02 * len(found.code) <= used <= busy.pool * found.seconds, "who waits in the pooler uses nothing"
    assert at_work
    assert not any(PASSWORD.encode() in words for words in at_work)
    assert ours(own_folder) == []
    assert list(own_folder.glob("*bouncer-*")) == []
    assert eventually(lambda: sessions(db, login) == 0)


@pytest.mark.faults
@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 5220, reason="too few file handles allowed here")
def test_five_thousand_clients(login, db):
    seen = []
    many = replace(SCENARIO, pool=20, clients=5000, phases=(Phase("steady", 4, 1000, 1000),))
    found = run(many, login, seed=1, tell=lambda _: seen.append(sessions(db, login)) or True)
    assert (found.code == 0).all()
    assert found.leaks == 0
    assert 0 < max(seen) <= 20


def test_a_statement_is_ended_in_time_through_it_too(login):
    text = "select current_setting('app.tenant'), pg_sleep(case :n when 0 then 5 else 0 end);"
    slow = replace(WHOSE, text=text, draws={"n": Draw(0, 9)})
    found = run(replace(QUICK, scripts=(slow,), statement_timeout_ms=100), login, seed=1)
    assert found.errors == ("57014",)
    assert (found.code == 1).sum() > 10
    assert (found.code == 0).sum() > 200


def test_a_connection_for_each_is_timed_by_itself(login, db):
    scenario = replace(QUICK, connect="each", prelude=PRELUDE.replace("0.001", "0.02"))
    found = run(scenario, login, seed=1)
    assert (found.code == 0).all()
    assert (found.connect > 0).all()
    assert (found.service > found.connect).all(), "opening it is part of what the user waits for"
    begin = found.schedule.due + found.waited / 1e6
    on_their_way = [((begin <= moment) & (moment < begin + found.service / 1e6)).sum() for moment in begin]
    assert 2 * scenario.pool < max(on_their_way) <= scenario.held, "nobody waits with us"
    value = value_of(CONNECT, scenario, summary_of(found))
    assert value == pytest.approx(np.percentile(found.connect, 95) / 1000, rel=0.2)
    assert eventually(lambda: sessions(db, login) == 0)


def test_connections_that_are_not_to_be_had_are_errors_with_their_state(login, db):
    """The server takes three at a time; the others' time to connect is none."""
    db.execute(f"alter role {login.user} connection limit 3")
    each = replace(QUICK, connections="direct", connect="each", clients=None, pool=20)
    held = replace(WHOSE, text="select current_setting('app.tenant'), pg_sleep(0.05);")
    found = run(replace(each, scripts=(held,)), login, seed=1)
    assert found.errors == ("08001",)
    assert (found.connect[found.code == 1] == -1).all()
    assert (found.connect[found.code == 0] > 0).all()


def test_a_server_that_lets_nobody_in_is_said(login, own_folder):
    with pytest.raises(Unreachable, match="password authentication failed"):
        run(SCENARIO, replace(login, password="n0-w0rd-0f-0urs"), seed=1)
    assert ours(own_folder) == []


def test_a_server_that_lets_only_it_not_in_is_said(login, own_folder, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)  # ours
    with pytest.raises(Unreachable, match="pgbouncer gets no connection to the server") as caught:
        run(SCENARIO, replace(login, password=None), seed=1)
    assert "is not known to it" in caught.value.hint
    assert ours(own_folder) == []


def test_what_pgbouncer_cannot_be_told_is_refused(login):
    for parameters, said in (({"sslrootcert": "system"}, "sslrootcert=system"), ({"options": "-c x=y"}, "options")):
        with pytest.raises(Refused, match=f"cannot be told {said}"):
            run(SCENARIO, replace(login, parameters=parameters), seed=1)


def test_one_that_does_not_start_is_said(login, monkeypatch, own_folder):
    monkeypatch.setattr(bouncers, "find_pgbouncer", lambda: Path("/bin/false"))
    with pytest.raises(WedsyncError, match="pgbouncer did not start: it says nothing"):
        run(SCENARIO, login, seed=1)
    assert list(own_folder.glob("*bouncer-*")) == []


def test_without_a_pgbouncer_the_package_is_named(login, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(Refused, match="no pgbouncer here") as caught:
        run(SCENARIO, login, seed=1)
    assert "apt install pgbouncer" in caught.value.hint


def test_too_few_file_handles_are_said_before_the_first_connection(login, monkeypatch, own_folder):
    monkeypatch.setattr("resource.getrlimit", lambda _: (256, 404))
    with pytest.raises(Refused, match="200 connections need 405 file handles in pgbouncer, 404 are allowed") as caught:
        run(SCENARIO, login, seed=1)
    assert "ulimit -Hn 405" in caught.value.hint
    assert list(own_folder.glob("*bouncer-*")) == []


def test_a_soft_limit_is_raised_where_it_has_to_be_and_not_here(login):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, before[1]))
    try:
        found = run(replace(QUICK, clients=400), login, seed=1)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (128, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert (found.code == 0).all()


OWNER = """
import pickle, sys
from wedsync_db.load.bouncer import bouncer
with bouncer(*pickle.load(sys.stdin.buffer)):
    print("there", flush=True)
    sys.stdin.buffer.read()
"""


@contextmanager
def owner(login):
    """Another process that has a pgbouncer, and is killed in the block, at its end at the latest."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=CHECKOUT,
        env={**os.environ, "TMPDIR": tempfile.gettempdir()},
    ) as process:
        try:
            process.stdin.write(pickle.dumps((login, SCENARIO)))
            process.stdin.flush()
            assert process.stdout.readline() == b"there\n"
            yield process
        finally:
            process.kill()


def test_it_ends_with_whoever_is_killed(login, db, own_folder):
    with owner(login) as process:
        assert ours(own_folder)
        process.kill()
    assert eventually(lambda: ours(own_folder) == [] and not list(own_folder.glob("*bouncer-*")))
    assert eventually(lambda: sessions(db, login) == 0)


def test_one_that_lost_its_leash_too_is_ended_by_the_next_and_one_in_use_is_not(login, own_folder):
    with owner(login) as lost:
        (left,) = own_folder.glob("wedsync-bouncer-*")
        with owner(login):
            (kept,) = {*own_folder.glob("wedsync-bouncer-*")} - {left}
            (leash,) = children("leash.py", of=lost.pid)
            os.kill(leash, signal.SIGKILL)
            lost.kill()
            lost.wait()
            assert ours(left), "it is still there"
            assert sweep_poolers(own_folder) == (left,)
            assert eventually(lambda: ours(left) == [])
            assert list(own_folder.glob("*bouncer-*")) == [kept]
            assert ours(kept)
    assert eventually(lambda: ours(own_folder) == [])
