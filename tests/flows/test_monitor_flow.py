"""The flow that looks every minute: what is kept, who is told, and how often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prometheus_client.openmetrics.parser import text_string_to_metric_families as families

from flows.__main__ import main
from tests.support.case import URL_VARIABLE, write_settings
from tests.support.receiver import BLOCK, Receiver, receiving, webhook
from wedsync_db.history import look
from wedsync_db.history.samples import last_at, memory, newest
from wedsync_db.history.store import open_history
from wedsync_db.monitor.health import Counters
from wedsync_db.monitor.metrics import Metric, Sample
from wedsync_db.postgres.session import session

pytestmark = pytest.mark.usefixtures("prefect_server", "environ_taken_back")
NOW = datetime(2026, 6, 7, 3, 0, tzinfo=UTC)
# only what a test does may be found, whatever else goes on on this server
QUIET = "\n".join(
    f"health.{name}.off = true"
    for name in ("connections", "backup_age", "drill_age", "disk_free", "wraparound", "oldest_snapshot", "cache_hit",
                 "rollbacks", "deadlocks", "blocked", "idle_in_transaction", "stale_statistics", "prepared_transaction")
)  # fmt: skip


@pytest.fixture
def store(case, address, monkeypatch):
    """A history store on the test's own server: an embedded one takes seconds to start."""
    monkeypatch.setenv("WEDSYNC_HISTORY_URL", f"postgresql://{address.user}@/{address.dbname}?host={address.host}")
    return address


@pytest.fixture
def told(case, store, monkeypatch) -> Receiver:
    from tasks import notify

    monkeypatch.setattr(notify, "_PATIENCE_SECONDS", 60.0)
    file = write_settings(case.folder, f'notify = ["{BLOCK}"]\n{QUIET}')
    file.write_text(file.read_text() + '\n[history]\nurl_env = "WEDSYNC_HISTORY_URL"\n')
    with receiving() as receiver:
        CustomWebhookNotificationBlock(**webhook(receiver.url)).save("ops", overwrite=True)
        yield receiver


def monitor(environment="case"):
    from flows.monitor import monitor as flow

    return flow(environment, return_state=True)


def fault(case):
    with session(case.admin, "test") as connection:
        connection.execute("create table doubled (id int primary key)")
        connection.execute("update pg_index set indisvalid = false where indexrelid = 'doubled_pkey'::regclass")


def test_an_alert_is_told_when_it_begins_and_when_it_is_over_and_not_in_between(case, store, told, monkeypatch):
    from tasks import monitor as task

    times = iter(datetime.now(UTC) + timedelta(minutes=2 * minute) for minute in range(1000))
    ticking = [next(times)]

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return ticking[0]

    monkeypatch.setattr(task, "datetime", Clock)

    def passes():
        state = monitor()
        ticking[0] = next(times)
        return state

    assert passes().name == "Healthy"
    fault(case)
    states = [passes() for _ in range(3)]
    assert {state.name for state in states} == {"Degraded"}
    assert states[0].message == "case: degraded (invalid_index)"
    assert told.subjects == ["case: alert"]
    assert told.bodies[0].startswith("invalid_index (public.doubled_pkey) is degraded since ")
    assert "docs/runbooks/health.md#invalid-index" in told.bodies[0]
    with session(case.admin, "test") as connection:
        connection.execute("drop table doubled")
    for _ in range(5):
        assert passes().name == "Healthy"
    assert told.subjects == ["case: alert", "case: alert is over"]
    assert told.bodies[1].startswith("invalid_index (public.doubled_pkey) is well again")
    with open_history(store) as connection:
        last = last_at(connection, "case", ticking[0])
        counts = connection.execute(
            "select s.tier, count(*) from history.metric_sample as m join history.metric_set as s on s.id = m.set_id "
            "where s.subject = '' group by 1 order by 1"
        ).fetchall()
        sets = connection.execute("select count(*) from history.metric_set where tier = 'fast'").fetchone()
        known = newest(connection, "case", "fast", ticking[0]).values
        assert memory(connection, "case", "tables").startswith("{")
    assert set(last) == {"fast", "tables", "sizes", "nightly"}
    assert counts == [("fast", 9), ("nightly", 1), ("sizes", 1), ("tables", 3)]
    assert sets == (1,), "in the same order whatever is wrong"
    assert known[Metric("invalid_indexes", "gauge", "indexes")] == 0


def test_without_the_history_store_it_goes_on_and_says_the_gap_once(case, told, monkeypatch):
    monkeypatch.setenv("WEDSYNC_HISTORY_URL", "postgresql://nobody@127.0.0.1:1/none")
    fault(case)
    for _ in range(2):
        state = monitor()
        assert state.name == "Degraded"
        assert state.message == f"case: degraded (invalid_index); {look.NO_MEMORY}"
    assert told.subjects == ["case: alert"]
    assert told.bodies[0].startswith(state.message)


def test_a_server_that_is_gone_is_an_alert_and_a_missing_address_nothing_to_look_at(case, store, told, monkeypatch):
    monkeypatch.setenv(URL_VARIABLE, "postgresql://nobody:x@127.0.0.1:1/none")
    state = monitor()
    assert state.name == "Unhealthy"
    assert told.subjects == ["case: alert"]
    assert told.bodies[0].startswith("reachable is unhealthy since ")
    monkeypatch.delenv(URL_VARIABLE)
    assert monitor(None).message == "no environment has an address here"
    assert monitor().name == "UsageError"


def test_a_silenced_alert_is_told_to_nobody(case, told, capsys):
    assert main(["silence", "case", "invalid_*", "--for", "2h", "--reason", "it is being rebuilt"]) == 0
    assert "case: nobody is told of invalid_* until" in capsys.readouterr().out
    fault(case)
    assert monitor().name == "Degraded"
    assert told.subjects == []
    for wrong in (["no_such", "--for", "2h"], ["blocked", "--for", "31d"], ["blocked", "--for", "soon"]):
        assert main(["silence", "case", *wrong, "--reason", "x"]) == 2
    assert main(["silence", "case", "blocked", "--for", "2h", "--reason", " "]) == 2


def test_metrics_are_openmetrics(case, capsys):
    assert main(["metrics", "case"]) == 0
    text = capsys.readouterr().out
    assert text.endswith("# EOF\n")
    found = {family.name: family for family in families(text)}
    assert found["pgops_commits"].type == "counter"
    assert found["pgops_connections_used_ratio"].unit == "ratio"
    assert {"environment": "case", "state": "idle"} in [one.labels for one in found["pgops_clients"].samples]
    assert all(name.startswith("pgops_") for name in found)
    assert found["pgops_up"].samples[0].value == 1
    states = {one.labels["check"]: one.value for one in found["pgops_check_state"].samples}
    assert states["reachable"] == 0
    assert states["backup_age"] == 3  # none is known
    assert found["pgops_collect_problems"].samples[0].labels == {"environment": "case", "tier": "fast"}
    assert main(["metrics", "case", "--tier", "tables", "--tier", "sizes", "--tier", "nightly"]) == 0
    tables = {family.name for family in families(capsys.readouterr().out)}
    assert {"pgops_database_size_bytes", "pgops_duplicate_indexes_bytes", "pgops_collect_problems"} <= tables
    assert "pgops_up" not in tables


def test_metrics_of_a_server_that_is_gone_say_so(case, monkeypatch, capsys):
    monkeypatch.setenv(URL_VARIABLE, "postgresql://nobody@127.0.0.1:1/gone")
    assert main(["metrics", "case"]) == 1
    found = {family.name: family for family in families(capsys.readouterr().out)}
    assert found["pgops_up"].samples[0].value == 0
    assert "pgops_commits" not in found


def test_the_rules_of_an_environment_have_its_limits(case, capsys):
    write_settings(case.folder, "health.connections.degraded = 0.5")
    assert main(["metrics", "case", "--rules"]) == 0
    assert 'pgops_connections_used_ratio{environment="case"}[300s])) > 0.5' in capsys.readouterr().out
    assert main(["metrics"]) == 2


def test_what_is_due():
    assert look.tiers_due({}, NOW) == ("tables", "sizes", "nightly")
    last = {"fast": NOW, "tables": NOW - timedelta(minutes=4), "sizes": NOW - timedelta(minutes=59, seconds=45)}
    assert look.tiers_due({**last, "nightly": NOW - timedelta(hours=20)}, NOW) == ("sizes",)
    assert look.tiers_due({**last, "nightly": NOW - timedelta(days=1)}, NOW) == ("sizes", "nightly")


def test_a_kept_sample_is_the_earlier_look_at_the_counters_unless_it_is_old_or_lacks_one():
    names = ("commits", "rollbacks", "blocks_hit", "blocks_read", "deadlocks")
    values = {Metric(name, "counter", ""): float(number) for number, name in enumerate(names)}
    kept = Sample(NOW, "fast", "e", values)
    found = look.counters_of(kept, NOW + timedelta(minutes=1))
    assert found == Counters(found.at, "e", 0, 1, 2, 3, 4, None)
    assert look.counters_of(kept, NOW) is None
    assert look.counters_of(kept, NOW + timedelta(minutes=11)) is None
    assert (
        look.counters_of(Sample(NOW, "fast", "e", values | {next(iter(values)): None}), NOW + timedelta(1e-4)) is None
    )
