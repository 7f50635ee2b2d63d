"""A pooler between us and the server is noticed, whatever it is set to."""

from datetime import UTC, datetime

import pytest

from tests.support.majors import every_major
from tests.support.pooler import IGNORING, PASSWORD, needs_pgbouncer, poolers
from wedsync_db.errors import Refused
from wedsync_db.guard.checks import check_guard
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
