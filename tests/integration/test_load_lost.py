"""Sessions of a load test that the server ends meanwhile: it says so, and leaves alone what may be somebody else's."""

import psycopg
import pytest

from tests.support.load_table import TABLE
from wedsync_db.errors import Displaced
from wedsync_db.load.beside import load_database
from wedsync_db.load.leftover import drop, sweep
from wedsync_db.load.options import Options
from wedsync_db.load.runner import Runner
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import Phase
from wedsync_db.load.scripts import Script
from wedsync_db.maintain.giving_way import watching
from wedsync_db.postgres.session import session

READ = Script("read", 1, "select pg_catalog.sum(v) from public.t;", {})
SCENARIO = Scenario("own", "Own", "", "", "", (READ,), (Phase("steady", 4, 50, 50),), (), 10, 1, 2)


def end(db, name):
    mine = "datname = current_database() and application_name = %s"  # that of the new database may be ending just now
    ended = f"select pg_terminate_backend(pid, 5000) from pg_stat_activity where {mine}"
    assert db.execute(ended, [f"wedsync-db/{name}"]).fetchall() == [(True,)]


@pytest.mark.parametrize("lost", ["maintenance-watch", "load-test-standbys"])
def test_nobody_goes_on_who_could_not_hear_a_deployment_or_see_the_standbys(address, db, lost):
    db.execute(TABLE)
    told = []

    def tell(progress):
        if not told:
            end(db, lost)
        told.append(progress)

    with watching(address) as watch, session(address, "load-test-standbys") as standbys:
        run = Runner(SCENARIO, Options(), address, watch, standbys, None, None, print, tell)
        with pytest.raises(Displaced, match="was lost"):
            run(address, 0)
    assert len(told) < 4


@pytest.fixture
def target(cluster, address):
    """As its superuser; what a failing test leaves beside it is no other test's."""
    target = cluster.address(address.dbname)
    yield target
    sweep(target)


def test_what_was_made_stays_for_whoever_has_the_target_next(target, db):
    with load_database(target, (), SCENARIO) as made:
        end(db, "load-test")
    assert sweep(target) == [made.dbname]
    assert sweep(target) == []


def test_what_cannot_be_dropped_is_said(target, monkeypatch):
    monkeypatch.setattr("wedsync_db.load.beside.drop", lambda connection, _: drop(connection, target.dbname))
    with pytest.raises(psycopg.errors.ObjectInUse), load_database(target, (), SCENARIO) as made:
        pass
    assert sweep(target) == [made.dbname]
