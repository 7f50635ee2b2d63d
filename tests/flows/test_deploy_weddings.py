"""A wedding is booked while a deployment runs: it stops before the next transaction, and goes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.broken import once_backed_up
from tests.support.case import write_settings
from tests.support.schema import MIGRATIONS, closure, let_become_api_roles, run
from wedsync_db.errors import Refused
from wedsync_db.migrate.deployment import read_plan, take_fingerprint
from wedsync_db.postgres.session import session

pytestmark = pytest.mark.usefixtures("prefect_server")

GUARDS = next(folder for folder in MIGRATIONS if folder.name == "0014_guards")
GATE = 4711  # an advisory lock that a migration waits for on the target, where the switch is on
_WAITS = f"select 1 from pg_locks where locktype = 'advisory' and objid = {GATE} and not granted"


def deploy(environment, **parameters):
    from flows.deploy import deploy as flow

    return flow(environment, **parameters, return_state=True)


def applied(case) -> list[str]:
    return [e.id for e in read_plan(case.address, case.installation.environment("case")).applied]


@pytest.fixture
def wedsync(case, cluster):
    """A database that knows of weddings and has none, and three migrations of which the first waits for the gate."""
    let_become_api_roles(cluster)
    with session(case.address, "test") as connection:
        for folder in closure(GUARDS):
            run(connection, folder, "deploy")
        connection.execute("create table public.switch (on_at timestamptz not null)")
    case.migration(
        "0001_first",
        "create table public.first (id int);\n"
        "do $$ begin if exists (select from public.switch) then\n"
        f"  perform pg_advisory_xact_lock({GATE});\nend if; end $$;",
        "drop table public.first;",
    )
    for number, name in ((2, "second"), (3, "third")):
        case.migration(f"{number:04}_{name}", f"create table public.{name} (id int);", f"drop table public.{name};")
    return case


@contextmanager
def booked_meanwhile(case) -> Iterator[None]:
    """Book a wedding of today as soon as the first migration is at work on the target, and only then let it go on."""
    holding = threading.Event()

    def book() -> None:
        with session(case.admin, "booking", statement_timeout_ms=0) as client:
            client.execute("select pg_advisory_lock(%s)", [GATE])
            client.execute("insert into public.switch values (now())")
            holding.set()
            deadline = time.monotonic() + 120
            while not client.execute(_WAITS).fetchone() and time.monotonic() < deadline:
                time.sleep(0.02)
            client.execute("insert into weddings (title, wedding_date, time_zone) values ('new', current_date, 'UTC')")

    thread = threading.Thread(target=book)

    def start(_) -> None:
        thread.start()
        holding.wait(60)

    with once_backed_up(case, start):
        yield
    thread.join()


def test_it_stops_before_the_next_migration_and_goes_back(wedsync):
    before = take_fingerprint(wedsync.address).digest
    with booked_meanwhile(wedsync):
        state = deploy("case_each")
    assert state.name == "RolledBack", state.message
    error = state.result(raise_on_failure=False)
    assert isinstance(error, Refused)
    assert error.message.startswith("the guard refuses: a wedding is locked")
    assert "--override weddings=REASON" in error.hint
    assert "exactly as before" in state.message
    assert take_fingerprint(wedsync.address).digest == before
    assert applied(wedsync) == []
    assert wedsync.rows("select title from weddings") == [("new",)]
    # and it does not start again, unless somebody takes it upon them
    assert isinstance(deploy("case_each").result(raise_on_failure=False), Refused)
    assert deploy("case_each", overrides=("weddings=the couple agreed",)).is_completed()
    assert applied(wedsync) == ["0001_first", "0002_second", "0003_third"]


@pytest.mark.faults
def test_it_goes_on_where_nobody_will_notice_and_the_environment_allows_it(wedsync):
    write_settings(wedsync.folder)
    path = wedsync.folder / "environments.toml"
    path.write_text(path.read_text().replace('freeze = "off"', 'freeze = "off"\nlocked_weddings_allowed = 1'))
    with booked_meanwhile(wedsync):
        state = deploy("case_each")
    assert state.is_completed(), state.message
    assert applied(wedsync) == ["0001_first", "0002_second", "0003_third"]
