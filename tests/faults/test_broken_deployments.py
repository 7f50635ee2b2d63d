"""Broken deployments with a client writing all the time: the database ends as before, no acknowledged write lost."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime

import pytest

from tests.support.broken import (
    ANY_REVERT,
    BROKEN,
    LOCKS,
    Broken,
    good,
    kill_server_soon,
    lay_base,
    once_backed_up,
    planted,
    switch_on,
)
from tests.support.case import NAMES, Case, database, environ_of, write_settings
from tests.support.majors import every_major
from tests.support.waiting import meanwhile
from tests.support.writer import writing
from wedsync_db.errors import WedsyncError
from wedsync_db.installation import CHECKOUT, Installation
from wedsync_db.migrate.deployment import read_plan, take_fingerprint
from wedsync_db.migrate.files import read_migrations
from wedsync_db.migrate.recover import recover
from wedsync_db.postgres.cluster import Cluster, scratch, start
from wedsync_db.postgres.pg_ctl import answering
from wedsync_db.postgres.session import session

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]
both = pytest.mark.parametrize("environment", NAMES)


def deploy(environment: str) -> WedsyncError | None:
    """Run the flow; the error it ended with, or None."""
    from flows.deploy import deploy as flow

    state = flow(environment, return_state=True)
    result = state.result(raise_on_failure=False)
    if isinstance(result, BaseException) and not isinstance(result, WedsyncError):
        raise result
    return result if isinstance(result, WedsyncError) else None


def base(case: Case, settings: str = "") -> None:
    """Deploy what was there before."""
    write_settings(case.folder, settings, LOCKS)
    lay_base(case)
    assert deploy("case") is None


def supervised(cluster: Cluster) -> AbstractContextManager[None]:
    """Start the server again whenever it is gone, as the operating system does."""

    def look_after(is_over: threading.Event) -> None:
        while not is_over.wait(0.3):
            if not answering(cluster):
                with suppress(WedsyncError):  # its orphaned processes are still there: next time
                    start(cluster)

    return meanwhile(look_after)


def lost(case: Case, acknowledged) -> list[int]:
    """Acknowledged writes that are not there."""
    with session(case.admin, "test") as connection:
        return acknowledged.lost(connection)


@every_major
@both
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_deployment_changes_nothing_or_asks_a_person(based, broken: Broken, environment):
    case = based
    write_settings(case.folder, broken.settings, LOCKS)
    before = take_fingerprint(case.address)
    with writing(case.address) as acknowledged:
        broken.lay(case)
        with once_backed_up(case, broken.afterwards):
            error = deploy(environment)
    assert error is not None
    assert error.exit_code == broken.code, error.message
    assert len(acknowledged.values) > 10, "the writer must have been at work"
    assert lost(case, acknowledged) == []
    if broken.code == 1:
        assert before.change_to(take_fingerprint(case.address)).objects == {}
    else:
        assert error.at_risk, "a person must be told what is at risk"


@every_major
@both
def test_a_killed_server_ends_before_or_after(major, home, tmp_path, monkeypatch, prefect_server, environment):
    (tmp_path / "migrations").mkdir()
    durable = {"synchronous_commit": "on"}  # or the server itself loses what it acknowledged
    # its superuser has another name than those of our own servers: PostgreSQL gives it objects that a migration makes
    with scratch(major, settings=durable, superuser="chief") as cluster, database(cluster, "killed") as address:
        for name, value in environ_of(tmp_path, home.path, address).items():
            monkeypatch.setenv(name, value)
        case = Case(tmp_path, address, cluster.address("killed"), Installation(CHECKOUT, dict(os.environ)))
        base(case)
        before = take_fingerprint(address)
        with writing(address) as acknowledged:
            good(case, 2, 4)
            planted(case, 3, "perform pg_sleep(30);")
            with once_backed_up(case, kill_server_soon), supervised(cluster):
                assert deploy(environment) is not None
            migrations, _ = read_migrations(tmp_path / "migrations")
            settings = case.installation.environment(environment).locks
            recover(address, migrations, locks=settings, say=print, clock=lambda: datetime.now(UTC))
        assert lost(case, acknowledged) == []
        change = before.change_to(take_fingerprint(address)).objects
        applied = {e.id for e in read_plan(address, case.installation.environment(environment)).applied}
        assert (change == {}) == (applied == {"0001_base"})
        assert change == {}, "the planted migration cannot have been finished"


@every_major
def test_a_revert_that_would_lose_a_write_is_not_run(based):
    case = based
    good(case, 3)
    case.migration(
        "0002_column", "alter table public.writes add column note text;", "alter table public.writes drop column note;"
    )
    planted(case, 4, "perform pg_sleep(0.7); raise exception 'planted';")

    def write_into_the_new_column(case: Case) -> None:
        switch_on(case)
        column = "select 1 from pg_attribute where attrelid = 'public.writes'::regclass and attname = 'note'"
        while not case.rows(column):
            pass
        case.rows("update public.writes set note = 'precious' returning id")

    with writing(case.address) as acknowledged:
        while len(acknowledged.values) < 20:
            pass
        with once_backed_up(case, write_into_the_new_column):
            error = deploy("case_each")
    assert error is not None
    assert error.exit_code == 4, error.message
    assert any("note" in item for item in error.at_risk)
    assert case.rows("select count(*) > 0 from public.writes where note = 'precious'") == [(True,)]
    assert lost(case, acknowledged) == []


def test_every_kind_of_breakage_is_there():
    assert len(BROKEN) == 12, "the thirteenth is the killed server"
    assert ANY_REVERT
