"""Prefect's own database on PostgreSQL, as docs/guide.md says: a deployment through server and worker on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.broken import lay_base
from tests.support.served import SECONDS, serving
from wedsync_db.installation import CHECKOUT
from wedsync_db.postgres.cluster import binaries_of
from wedsync_db.postgres.session import Address, session

_TRIGRAMS = Path("/usr/share/postgresql/15/extension/pg_trgm.control")  # Prefect's migrations need it
pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not (binaries_of(15) and _TRIGRAMS.exists()), reason="no PostgreSQL 15 with contrib here"),
]


@pytest.fixture
def store(clusters) -> Address:
    """An empty database for Prefect on a server of Debian's."""
    cluster = clusters(15)
    name = f"prefect_{os.getpid()}"
    with session(cluster.address(), "test-admin") as admin:
        admin.execute(f"create database {name}")
    yield cluster.address(name)
    with session(cluster.address(), "test-admin") as admin:
        admin.execute(f"drop database {name} with (force)")


def test_a_deployment_is_recorded_there_and_nowhere_else(case, store, tmp_path, monkeypatch):
    url = f"postgresql+asyncpg://{store.user}@/{store.dbname}?host={store.host}&port={store.port}"
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", url)
    lay_base(case)
    with serving(tmp_path) as served:
        done = subprocess.run(
            [sys.executable, "-m", "flows", "deploy", "case", "--remote"],
            cwd=CHECKOUT, env=os.environ | {"PREFECT_API_URL": served.api}, capture_output=True, text=True,
            check=False, timeout=SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "case: 1 migration deployed" in done.stderr
        with session(store, "test") as connection:
            found = connection.execute("select name, state_name from flow_run where name like 'deploy-%'").fetchall()
            assert found == [("deploy-case", "Completed")]
            assert connection.execute("select count(*) > 10 from log").fetchone() == (True,)
    assert not list(case.installation.home.prefect.rglob("prefect.db"))
