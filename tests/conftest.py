"""Servers and databases for the tests: one server of each major a session, each test database from a template."""

from __future__ import annotations

import itertools
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from psycopg import sql

for name in [n for n in os.environ if n.startswith(("WEDSYNC_", "PREFECT_", "PG"))]:
    del os.environ[name]
os.environ["DO_NOT_TRACK"] = "1"

from wedsync_db.postgres.cluster import Cluster, binaries_of, scratch  # noqa: E402
from wedsync_db.postgres.session import Address, session  # noqa: E402

MAJORS = tuple(m for m in (15, 16, 18) if binaries_of(m))
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def clusters():
    """Start a server of a major on first use: `clusters(18)`; all stop at the end of the session."""
    with ExitStack() as stack:
        started: dict[int, Cluster] = {}

        def get(major: int) -> Cluster:
            if major not in started:
                started[major] = stack.enter_context(scratch(major))
            return started[major]

        yield get


@pytest.fixture(params=[18])
def major(request) -> int:
    """18 unless a test asks for all: `@pytest.mark.parametrize("major", MAJORS, indirect=True)`."""
    return request.param


@pytest.fixture
def cluster(clusters, major) -> Cluster:
    """A running server; its superuser is `cluster.address()`."""
    return clusters(major)


@pytest.fixture
def address(cluster) -> Address:
    """A fresh, empty database, owned by the superuser, dropped after the test."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    _admin(cluster, sql.SQL("create database {}").format(sql.Identifier(name)))
    yield cluster.address(name)
    _admin(cluster, sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def db(address):
    """An autocommit session in a fresh database."""
    with session(address, "test") as connection:
        yield connection


def _admin(cluster: Cluster, statement) -> None:
    with session(cluster.address(), "test-admin", statement_timeout_ms=0) as connection:
        connection.execute(statement)


@pytest.fixture
def home(tmp_path) -> Path:
    """A state folder of its own."""
    return Path(tempfile.mkdtemp(dir=tmp_path))
