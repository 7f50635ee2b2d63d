"""What is measured and judged besides the server's own views, where people see it: health, metrics and the monitor."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flows.__main__ import main
from tests.support.case import write_settings
from tests.support.pooler import IGNORING, STRANGER, needs_pgbouncer, poolers
from wedsync_db.history.look import look_at
from wedsync_db.history.samples import newest
from wedsync_db.history.store import open_history
from wedsync_db.monitor.connecting import THROUGH_POOLER, connect_time
from wedsync_db.monitor.states import State

CHECKS = {"pooler_wait", "pooler_used", "pooler_clients"}
pytestmark = needs_pgbouncer


@pytest.fixture
def bouncer(address, db):
    with poolers(address, db) as start, start("pool_mode=transaction", IGNORING) as one:
        yield one


@pytest.fixture
def watched(case, address, bouncer, monkeypatch):
    """The case with a pooler's console, and a history store on the test's own server."""
    file = write_settings(case.folder, 'pooler_url_env = "WEDSYNC_POOLER_URL"')
    file.write_text(file.read_text() + '\n[history]\nurl_env = "WEDSYNC_HISTORY_URL"\n')
    environ = dict(case.installation.environ)
    environ["WEDSYNC_HISTORY_URL"] = f"postgresql://{address.user}@/{address.dbname}?host={address.host}"
    environ["WEDSYNC_POOLER_URL"] = console_url(bouncer)
    for name in ("WEDSYNC_HISTORY_URL", "WEDSYNC_POOLER_URL"):
        monkeypatch.setenv(name, environ[name])
    return replace(case, installation=replace(case.installation, environ=environ))


def console_url(bouncer, user="watcher"):
    console = bouncer.console(user)
    return f"postgresql://{console.user}:{console.password}@:{console.port}/pgbouncer?host={console.host}"


def test_the_monitor_keeps_and_judges_it(watched, address):
    found = look_at(
        watched.installation,
        watched.installation.environment("case"),
        clock=lambda: datetime.now(UTC),
        backups=None,
        tell=lambda _: None,
    )
    states = {one.name: one.state for one in found.found if one.name in CHECKS}
    assert states == dict.fromkeys(CHECKS, State.HEALTHY)
    with open_history(address) as store:
        sample = newest(store, "case", "fast", datetime.now(UTC))
    kept = {metric.name: value for metric, value in sample.values.items()}
    assert 0 < kept["connect"] < 60
    assert 0 < kept["pooler_clients"] < 1
    assert kept["commits"] > 0
    assert sample.problems == ()


def test_health_and_metrics_have_it_and_whoever_may_not_look_is_told(watched, bouncer, monkeypatch, capsys):
    main(["health", "case", "--json"])
    checks = {one["name"]: one["status"] for one in json.loads(capsys.readouterr().out)["checks"]}
    assert {checks[name] for name in CHECKS} == {"healthy"}
    monkeypatch.setenv("WEDSYNC_POOLER_URL", console_url(bouncer, STRANGER))
    main(["health", "case"])
    text = capsys.readouterr().out
    assert "pooler_wait: not known" in text
    assert "name its user in stats_users" in text
    assert main(["metrics", "case"]) == 0
    text = capsys.readouterr().out
    assert 'pgops_check_state{environment="case",check="pooler_wait"} 3.0' in text
    assert "pgops_connect_seconds{" in text
    assert "pgops_pooler_clients_ratio{" not in text, "it is not known, and not zero"


def test_a_session_through_a_pooler_is_said(bouncer, address):
    values, problems = connect_time(bouncer.address)
    assert problems == (THROUGH_POOLER,)
    assert all(value > 0 for value in values.values())
    values, problems = connect_time(replace(address, dbname="no_such"))
    assert set(values.values()) == {None}
    assert "no_such" in problems[0]
