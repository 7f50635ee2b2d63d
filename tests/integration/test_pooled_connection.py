"""A pooler between us and the server is noticed, whatever it is set to."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flows.__main__ import main
from tasks.maintenance import held_for_maintenance
from tasks.turns import announced_deployment
from tests.support.case import URL_VARIABLE, url
from tests.support.majors import every_major
from tests.support.pooler import IGNORING, PASSWORD, needs_pgbouncer, poolers
from wedsync_db.errors import Refused
from wedsync_db.guard.checks import check_guard
from wedsync_db.postgres import server
from wedsync_db.postgres.locks import held_by, target_lock
from wedsync_db.postgres.server import is_pooled, lost_settings
from wedsync_db.postgres.session import session
from wedsync_db.settings import Environment, GuardSettings

pytestmark = needs_pgbouncer


@pytest.fixture
def pgbouncer(address, db):
    """Start a pooler in front of the test's database: `with pgbouncer(setting, …) as pooler`."""
    with poolers(address, db) as start:
        yield start


@every_major
@pytest.mark.parametrize("mode", ["transaction", "session", "statement"])
def test_a_pooler_that_ignores_our_settings_is_noticed(pgbouncer, mode):
    with pgbouncer(f"pool_mode={mode}", IGNORING) as pooler, session(pooler.address, "test") as db:
        assert is_pooled(db)
        assert lost_settings(db) == ("client_connection_check_interval", "lock_timeout", "statement_timeout")


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_pooler_that_rejects_our_settings_is_refused(pgbouncer, mode):
    with pgbouncer(f"pool_mode={mode}") as pooler, pytest.raises(Refused) as caught, session(pooler.address, "test"):
        pass
    assert caught.value.exit_code == 3
    assert "pooler" in caught.value.hint
    assert PASSWORD not in caught.value.message


@every_major
def test_the_guard_refuses_a_pooler_unless_only_the_pooler_is_wrong(pgbouncer, home):
    environment = Environment("test", url_env="X", guard=GuardSettings(freeze="off", free_disk_factor=0.001))

    def refused(*overrides):
        with pgbouncer("pool_mode=session", IGNORING) as pooler:
            report = check_guard(
                pooler.address,
                environment,
                stage="migrate",
                clock=lambda: datetime.now(UTC),
                home=home,
                overrides=overrides,
            )
        return {f.rule for f in report.refused} - {"blockers"}  # the test's own session is hidden from the role

    assert refused() == {"pooled", "settings"}
    assert refused("pooled=it is session pooling") == {"settings"}


@pytest.fixture
def through_a_pooler(case, monkeypatch):
    """The case, its address leading through a transaction pooler; afterwards no lock may be left there."""
    case.migration("0001_t", "create schema t;", "drop schema t;")
    with session(case.admin, "test") as admin, poolers(case.admin, admin) as start:
        with start("pool_mode=transaction", IGNORING) as pooler:
            through = replace(case.address, host=pooler.address.host, port=pooler.address.port)
            monkeypatch.setenv(URL_VARIABLE, url(through))
            yield case
            database = "(select oid from pg_database where datname = current_database())"
            left = admin.execute(f"select objid from pg_locks where locktype = 'advisory' and database = {database}")
            assert not left.fetchall()


@pytest.mark.parametrize("verb", [["backup", "case"], ["revert", "case", "--to", "0"], ["doctor", "case"]], ids=str)
def test_what_needs_a_session_is_refused_behind_a_transaction_pooler(through_a_pooler, verb, capsys):
    """A lock would stay behind on a session of the pooler's, and the next deployment find the target held."""
    assert main(verb) == 3
    assert "pooler" in "".join(capsys.readouterr())
    assert not list(through_a_pooler.installation.home.backups("case").glob("2*"))


def test_so_are_a_deployment_and_a_night(through_a_pooler):
    with pytest.raises(Refused, match="gives no session to lock in"), announced_deployment("case"):
        pass
    with pytest.raises(Refused, match="gives no session to lock in"), held_for_maintenance("case", None):
        pass


def test_a_lock_behind_a_session_pooler_is_ours_where_it_passes_our_settings_on(pgbouncer, monkeypatch):
    """pgbouncer does not; others do, and give a number of the process that is not the server's, too."""
    monkeypatch.setattr(server, "lost_settings", lambda _: ())
    with pgbouncer("pool_mode=session", IGNORING) as pooler, session(pooler.address, "test") as other:
        with target_lock(pooler.address, "backup", wait_seconds=0, say=print) as lock:
            lock.check()
            assert held_by(other, lock.pid)
