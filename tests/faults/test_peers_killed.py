"""What other migration tools were tried on, 1 and 7: the tool and the server are killed.

The cases and what the others do: docs/comparison.md.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import pytest

from tests.support.broken import BASE, good, once_backed_up, planted, switch_on
from tests.support.case import Case, database, environ_of
from tests.support.majors import every_major
from tests.support.peers import SLEEP, Command, applied, asleep, execute, switch_off, write_patiently
from tests.support.waiting import until
from wedsync_db.errors import WedsyncError
from wedsync_db.installation import CHECKOUT, Installation
from wedsync_db.migrate.deployment import take_fingerprint
from wedsync_db.postgres.cluster import scratch, start

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]
WHOLE = [BASE, "0002_good_2", "0003_planted", "0004_good_4"]


def three(case: Case) -> None:
    """Three migrations; the one in the middle sleeps once the switch is on."""
    write_patiently(case)
    good(case, 2, 4)
    planted(case, 3, SLEEP)


def started(tool, case: Case, environment: str) -> Command:
    """A deployment that is in the middle of its second migration."""
    with once_backed_up(case, switch_on):
        command = tool.start("deploy", environment)
        until(lambda: asleep(case) or not command.alive())
    assert command.alive(), command.wait().text
    return command


@every_major
def test_case_1a_main_process_killed(based, tool):
    """1a: SIGKILL for the main process alone, the first migration committed; run again at once."""
    three(based)
    started(tool, based, "case_each").kill()
    switch_off(based)
    ended = tool("deploy", "case_each")
    assert ended.code == 0, ended.text
    assert "was interrupted" in ended.text
    assert applied(based) == WHOLE
    assert not asleep(based), "nobody of the first deployment is left"


@every_major
def test_case_1b_process_group_killed(based, tool):
    """1b: SIGKILL for the whole process group; run again at once."""
    three(based)
    started(tool, based, "case").kill_group()
    switch_off(based)
    ended = tool("deploy", "case")
    assert ended.code == 0, ended.text
    assert applied(based) == WHOLE
    assert not asleep(based), "nobody of the first deployment is left"


@every_major
def test_case_1c_killed_outside_a_transaction(based, tool):
    """1c: the same in a file that runs outside a transaction: what is done stays done, what is not is done once."""
    write_patiently(based)
    based.migration(
        "0002_alone",
        "-- transaction: none\n"
        "create table public.first_half (id int);\n"
        "insert into public.first_half values (1);\n"
        "create function public.wait_if_on() returns int language plpgsql as $$ begin "
        f"if exists (select from public.switch) then {SLEEP} end if; return 1; end $$;\n"
        "create table public.second_half as select public.wait_if_on() as id;\n"
        "create index concurrently items_alone on public.items (name);",
        "drop index public.items_alone;\ndrop table public.second_half;\ndrop function public.wait_if_on;\n"
        "drop table public.first_half;",
    )
    good(based, 3)
    started(tool, based, "case").kill_group()
    until(lambda: not asleep(based))  # the server notices by itself that its client is gone
    assert based.rows("select to_regclass('public.second_half') is null") == [(True,)], "no orphan commits"
    assert applied(based) == [BASE]
    switch_off(based)
    ended = tool("deploy", "case")
    assert ended.code == 0, ended.text
    assert applied(based) == [BASE, "0002_alone", "0003_good_3"]
    assert based.rows("select count(*) from public.first_half") == [(1,)], "not done twice"
    assert based.rows("select count(*) from public.second_half") == [(1,)]


@every_major
def test_case_7_server_killed(major, tool, home, tmp_path, monkeypatch):
    """7: SIGKILL for the postmaster in the middle of a deployment; started again, the deployment run again at once."""
    (tmp_path / "migrations").mkdir()
    with scratch(major, settings={"synchronous_commit": "on"}) as cluster, database(cluster, "killed") as address:
        for name, value in environ_of(tmp_path, home.path, address).items():
            monkeypatch.setenv(name, value)
        case = Case(tmp_path, address, cluster.address("killed"), Installation(CHECKOUT, dict(os.environ)))
        execute(case, "create table public.items (id int, name text)")
        execute(case, "create table public.switch (on_at timestamptz not null)")
        three(case)
        before = take_fingerprint(address).digest
        command = started(tool, case, "case_each")
        (text,) = case.rows("select pg_read_file('postmaster.pid')")[0]
        os.kill(int(text.split()[0]), signal.SIGKILL)
        until(lambda: begins(cluster))
        ended = command.wait()
        assert ended.code == 1, ended.text
        assert take_fingerprint(address).digest == before
        assert applied(case) == []
        switch_off(case)
        assert tool("deploy", "case_each").code == 0
        assert applied(case) == WHOLE[1:]


def begins(cluster) -> bool:
    """Start the server again; not before the last of its killed processes is gone."""
    with suppress(WedsyncError):
        start(cluster)
        return True
    return False
