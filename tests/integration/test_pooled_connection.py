"""A pooler between us and the server is noticed, whatever it is set to."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from psycopg import sql

from wedsync_db.errors import Refused
from wedsync_db.guard.checks import check_guard
from wedsync_db.postgres.account import server_account
from wedsync_db.postgres.cluster import binaries_of
from wedsync_db.postgres.server import is_pooled, lost_settings
from wedsync_db.postgres.session import session
from wedsync_db.settings import Environment, GuardSettings

MAJORS = [m for m in (15, 16, 18) if binaries_of(m)]
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
PORT = 6543
IGNORING = "ignore_startup_parameters=options"

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="no pgbouncer here")


def answers(path):
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


@pytest.fixture
def pgbouncer(address, db):
    """Start a pooler in front of the test's database: `with pgbouncer(setting, …) as address`."""
    name, password = f"app_{address.dbname}", "Tr0ub4dor-and-3"
    role = sql.Identifier(name)
    db.execute(sql.SQL("create role {} login password {}").format(role, password))
    account = server_account()
    # in /tmp itself: the pooler's account must reach it, and a socket's path may have 107 bytes
    folder = Path(tempfile.mkdtemp(prefix="wedsync-pooler-"))

    @contextmanager
    def start(*settings):
        lines = [
            "[databases]",
            f"{address.dbname} = host={address.host} port={address.port}",
            "[pgbouncer]",
            "listen_addr=",
            f"unix_socket_dir={folder}",
            f"listen_port={PORT}",
            "auth_type=plain",
            f"auth_file={folder}/users",
            *settings,
        ]
        (folder / "ini").write_text("\n".join(lines) + "\n")
        (folder / "users").write_text(f'"{name}" "{password}"\n')
        if account:
            for path in (folder, *folder.iterdir()):
                os.chown(path, account.pw_uid, account.pw_gid)
        as_account = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
        process = subprocess.Popen([PGBOUNCER, "-q", folder / "ini"], cwd="/", stderr=subprocess.DEVNULL, **as_account)
        try:
            while not answers(folder / f".s.PGSQL.{PORT}"):
                assert process.poll() is None, "pgbouncer did not start"
                time.sleep(0.01)
            yield replace(address, host=str(folder), port=PORT, user=name, password=password)
        finally:
            process.terminate()
            process.wait()

    yield start
    shutil.rmtree(folder)
    db.execute(sql.SQL("drop role {}").format(role))


@pytest.mark.parametrize("major", MAJORS, indirect=True)
@pytest.mark.parametrize("mode", ["transaction", "session", "statement"])
def test_a_pooler_that_ignores_our_settings_is_noticed(pgbouncer, mode):
    with pgbouncer(f"pool_mode={mode}", IGNORING) as pooled, session(pooled, "test") as db:
        assert is_pooled(db)
        assert lost_settings(db) == ("client_connection_check_interval", "lock_timeout", "statement_timeout")


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_pooler_that_rejects_our_settings_is_refused(pgbouncer, mode):
    with pgbouncer(f"pool_mode={mode}") as pooled, pytest.raises(Refused) as caught, session(pooled, "test"):
        pass
    assert caught.value.exit_code == 3
    assert "pooler" in caught.value.hint
    assert "Tr0ub4dor" not in caught.value.message


@pytest.mark.parametrize("major", MAJORS, indirect=True)
def test_the_guard_refuses_a_pooler_unless_only_the_pooler_is_wrong(pgbouncer, home):
    environment = Environment("test", url_env="X", guard=GuardSettings(freeze="off", free_disk_factor=0.001))

    def refused(*overrides):
        with pgbouncer("pool_mode=session", IGNORING) as pooled:
            report = check_guard(
                pooled, environment, stage="migrate", clock=lambda: datetime.now(UTC), home=home, overrides=overrides
            )
        return {f.rule for f in report.refused} - {"blockers"}  # the test's own session is hidden from the role

    assert refused() == {"pooled", "settings"}
    assert refused("pooled=it is session pooling") == {"settings"}
