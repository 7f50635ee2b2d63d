"""One server with every fault at once: each is reported once, with evidence; and a healthy database reports none."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import psycopg
import pytest

from flows.__main__ import main
from tests.support.case import URL_VARIABLE
from tests.support.majors import MAJORS, every_major
from tests.support.schema import MIGRATIONS, deploy, make_api_roles, owned_database
from tests.support.sick import NAME, PASSWORD, WATCHER, sick_server
from tests.support.waiting import until
from wedsync_db.errors import Unreachable
from wedsync_db.installation import CHECKOUT
from wedsync_db.maintain.findings import find
from wedsync_db.monitor import health
from wedsync_db.monitor.health import BackupFacts, blocking_tree, counters, look
from wedsync_db.monitor.judge import RUNBOOK
from wedsync_db.monitor.pooler import CHECKS as POOLER
from wedsync_db.monitor.states import EXIT_CODES, State, overall
from wedsync_db.monitor.thresholds import THRESHOLDS
from wedsync_db.postgres.cluster import scratch
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.schema.checks import check_schema
from wedsync_db.seed import seed

NOW = datetime(2026, 6, 7, 3, 0, tzinfo=UTC)
OLD = BackupFacts(NOW - timedelta(hours=51), None)
# what takes minutes to become a fault is one at once
AT_ONCE = {
    name: {"degraded": 0} for name in ("blocked", "idle_in_transaction", "prepared_transaction", "replication_slot")
}
HEALTHY, DEGRADED, UNHEALTHY, UNKNOWN = State.HEALTHY, State.DEGRADED, State.UNHEALTHY, State.UNKNOWN
FRESH = {"least_bytes": 1 << 16, "ratio": 0.15, "not_of": ["app.dying", "app.hollow"]}  # those two are
SESSIONS = ("idle_in_transaction", "oldest_snapshot", "blocked")
ASKED = {name for name in THRESHOLDS if not name.startswith("pooler_")} | {"reachable"}  # no pooler is near
OF_COUNTERS = ("cache_hit", "rollbacks", "deadlocks", "checksum_failures")


@pytest.fixture(scope="module", params=MAJORS)
def sick(request):
    with sick_server(request.param) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(health, "_LARGE_TABLE_BYTES", 1 << 20)
        yield server


def seen(sick, address=None, **more):
    return look(address or sick.address, AT_ONCE | more, now=lambda: NOW, backups=OLD, before=sick.before)


def between(sick):
    """A limit for the age of a snapshot that only the oldest is above."""
    pids = [sick.pids["report"], sick.pids["forgotten"]]
    with session(sick.address, "test") as db:
        ages = "select extract(epoch from now() - xact_start)::float8 from pg_stat_activity where pid = any (%s)"
        return {"degraded": sum(age for (age,) in db.execute(ages, [pids])) / 2}


def expected(sick, major):
    """Every fault: the check, what it is about, its state, and what its evidence has to name."""
    holder, forgotten, report = (f"pid {sick.pids[name]}" for name in ("holder", "forgotten", "report"))
    since_when = DEGRADED if major >= 17 else UNKNOWN  # before, nobody writes down since when a slot is unused
    return {
        ("connections", ""): (DEGRADED, "of 21 connections"),
        ("blocked", holder): (UNHEALTHY, "6 sessions wait for pid"),
        ("blocked", "pid 0"): (DEGRADED, "1 session waits for a prepared transaction"),
        ("idle_in_transaction", holder): (UNHEALTHY, "wedsync-db/holder, user wedsync) is idle in a transaction and"),
        ("idle_in_transaction", forgotten): (DEGRADED, "wedsync-db/forgotten"),
        ("oldest_snapshot", report): (DEGRADED, "wedsync-db/report"),
        ("prepared_transaction", "for'gotten"): (DEGRADED, f"'for''gotten' of wedsync in {NAME}"),
        ("wraparound", NAME): (UNHEALTHY, f"database {NAME}: 110"),
        ("wraparound", "postgres"): (UNHEALTHY, "database postgres: 110"),
        ("wraparound", "template1"): (UNHEALTHY, "database template1: 110"),
        ("replication_slot", "lost"): (UNHEALTHY, "(lost)"),
        ("replication_slot", "unused"): (since_when, "slot unused is unused"),
        ("archiver", ""): (DEGRADED, "files of WAL wait; last archived nothing, last failed 0000"),
        ("invalid_index", 'app."Dou.bled id"'): (DEGRADED, 'index app."Dou.bled id" of table "Dou.bled"'),
        ("sequence", "app.ends.id"): (DEGRADED, "app.ends.id of type integer"),
        ("sequence", "app.nearly.id"): (UNHEALTHY, "app.nearly.id of type smallint"),
        ("autovacuum", "app.dying"): (DEGRADED, "app.dying: 20000 dead rows, autovacuum is off"),
        ("table_bloat", "app.hollow"): (DEGRADED, "app.hollow of 2136 kB: 0 dead of 400 rows"),
        ("stale_statistics", ""): (DEGRADED, "app.never, app.parent"),
        ("cache_hit", ""): (DEGRADED, "blocks were not in memory"),
        ("rollbacks", ""): (DEGRADED, "transactions were rolled back"),
        ("deadlocks", ""): (UNHEALTHY, "6 deadlocks"),
        ("checksum_failures", ""): (UNHEALTHY, "1 reads of a page"),
        ("backup_age", ""): (UNHEALTHY, "2026-06-05 00:00 UTC"),
        ("drill_age", ""): (UNKNOWN, "no backup was ever restored"),
        **({("disk_free", ""): (UNHEALTHY, "MiB free")} if sick.disk else {}),
    }


def test_every_fault_is_reported_once_and_nothing_else(sick):
    with session(sick.address, "test") as db:
        faults = expected(sick, db.info.server_version // 10_000)
    found = seen(sick, oldest_snapshot=between(sick))
    ill = bad(found)
    assert {(one.name, one.subject): one.state for one in ill} == {key: state for key, (state, _) in faults.items()}
    assert len(ill) == len(faults), "each once"
    for one in ill:
        assert faults[one.name, one.subject][1] in "".join(one.evidence), one.name
    well = {one.name for one in found} - {one.name for one in ill}
    assert well == {"reachable", "replica_lag"} | ({"disk_free"} - {one.name for one in ill})
    assert {one.name for one in ill} | well == ASKED - {*POOLER}
    assert overall(found) is UNHEALTHY
    _runbooks_exist(found)


def bad(found):
    return [one for one in found if one.state is not HEALTHY]


def _runbooks_exist(found):
    headings = re.findall(r"^## (\S+)$", (CHECKOUT / RUNBOOK).read_text(), re.MULTILINE)
    assert {one.runbook.partition("#")[2] for one in found} <= set(headings)


def test_archiving_that_has_failed_for_long_or_hangs(sick):
    folder = sick.cluster.data / "pg_wal" / "archive_status"
    waiting = sorted(folder.glob("*.ready"))
    since = waiting[0].stat().st_mtime
    os.utime(waiting[0], (since - 31 * 60,) * 2)
    assert {one.state for one in seen(sick) if one.name == "archiver"} == {UNHEALTHY}
    os.utime(waiting[0], (since, since))


def test_what_is_wrong_with_the_schema_is_found_once(sick):
    found = find(sick.address)
    assert found.problems == ()
    assert [(one.rule, one.message.partition(":")[0]) for one in found.all] == [
        ("duplicate-index", "app.keyless_again, app.keyless_value are the same"),
        ("foreign-key-unindexed", "app.children.children_parent_fkey"),
        ("foreign-key-unindexed", "app.partly.partly_a_b_fkey"),
        ("index-invalid", 'app."Dou.bled id"'),
        ("no-primary-key", "app.keyless"),
        ("rls-disabled", "public.exposed"),
    ]


def test_of_the_indexes_that_nobody_used_few_could_go_and_it_is_too_early(sick):
    """That of an exclusion constraint, on an expression, to sort by, and the only one for a foreign key have their use.

    A partition's own index cannot go alone: its root counts. The second column says: nobody watched for a month.
    """
    with session(sick.address, "test") as db:
        scans = "select idx_scan from pg_stat_user_indexes where indexrelname = 'booked_during_excl'"
        assert db.execute(scans).fetchall() == [(0,)]
        assert db.execute(query("maintenance", "unused_indexes"), {}).fetchall() == [
            ("app.keyless_again", False),
            ("app.keyless_value", False),
            ("app.parent_day", False),
            ("app.partly_a_b", False),
        ]
        assert db.execute(query("maintenance", "emptiest_index"), FRESH).fetchall() == [], "fresh indexes are not empty"


def test_a_role_without_rights_says_what_it_cannot_know(sick):
    as_watcher = replace(sick.address, user=WATCHER, password=PASSWORD)
    found = seen(sick, as_watcher)
    unknown = {one.name: one.evidence[0] for one in found if one.state is UNKNOWN}
    assert unknown.keys() >= {*SESSIONS, "disk_free", "sequence", "table_bloat"}
    assert "grant pg_read_all_stats" in unknown["blocked"]
    assert blocking_tree(as_watcher)[1][4] == "state not shown"
    by_name = {one.name: one.state for one in found}
    assert by_name["connections"] is DEGRADED, "everybody may count sessions"
    assert by_name["archiver"] is DEGRADED, "by the counters"
    assert overall(found) is UNHEALTHY


SETTINGS_FILE = f"""
[environments.sick]
url_env = "{URL_VARIABLE}"
migrations = "migrations"
[environments.sick.health]
blocked = {{ degraded = 0 }}
"""


@pytest.fixture
def verb(sick, home, tmp_path, monkeypatch, capsys):
    """Run `health` as a person does: exit code, and what was said."""
    (tmp_path / "environments.toml").write_text(SETTINGS_FILE)
    where = sick.address
    url = f"postgresql://{where.user}@/{quote(where.dbname)}?host={where.host}&port={where.port}"
    for name, value in (("ENVIRONMENTS", str(tmp_path / "environments.toml")), ("HOME", str(home.path))):
        monkeypatch.setenv(f"WEDSYNC_{name}", value)
    monkeypatch.setenv(URL_VARIABLE, url)

    def run(*arguments):
        code = main(["health", *arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run


def test_the_verb_says_it_to_people_and_to_programs(verb, sick, monkeypatch):
    code, text, _ = verb("sick")
    assert code == 2
    assert text.startswith("sick: unhealthy\n  UNHEALTHY  ")
    lines = text.splitlines()
    holder = next(n for n, line in enumerate(lines) if line.startswith(f"  pid {sick.pids['holder']} ("))
    assert f"     └ pid {sick.pids['changer']} (" in lines[holder + 1]
    assert all("        └ pid " in lines[holder + 2 + number] for number in range(5)), "who waits for whom, as a tree"
    assert all(text.count(f"#{name.replace('_', '-')}") <= 1 for name in THRESHOLDS), "one runbook each"
    code, document, _ = verb("sick", "--json")
    told = json.loads(document)
    assert (code, told["status"]) == (2, "unhealthy")
    assert {"name", "status", "observed", "unit", "threshold", "evidence", "runbook"} <= told["checks"][0].keys()
    monkeypatch.delenv(URL_VARIABLE)
    code, text, _ = verb("sick")
    assert (code, text.startswith("sick: unknown")) == (3, True), "as a monitoring plugin: nobody knows"
    assert URL_VARIABLE in text
    code, document, _ = verb("nowhere", "--json")
    assert (code, json.loads(document)["status"]) == (3, "unknown")


@every_major
def test_after_a_crash_nothing_counted_is_called_well(major):
    """The server comes back by itself after one of its sessions was killed, and says that it began when it did."""
    with scratch(major, settings={"autovacuum": "off"}) as cluster:
        address = cluster.address()
        with session(address, "test") as db:
            db.execute(
                "create table dying (id int primary key); insert into dying select generate_series(1, 20000);"
                "create table never (id int primary key); insert into never select generate_series(1, 40000);"
            )
            db.execute("analyze dying; checkpoint")
            before = counters(db)
            with suppress(psycopg.OperationalError):
                os.kill(db.info.backend_pid, signal.SIGKILL)
                db.execute("select 1")
        until(lambda: epoch(address) not in (None, before.epoch))
        found = {(one.name, one.subject): one for one in look(address, {}, now=lambda: NOW, backups=OLD, before=before)}
        assert {found[name, ""].state for name in OF_COUNTERS} == {UNKNOWN}
        assert "began anew" in found["rollbacks", ""].evidence[0]
        assert found["autovacuum", "counters"].state is UNKNOWN
        assert "(public.dying)" in found["autovacuum", "counters"].evidence[0]
        assert found["stale_statistics", ""].evidence == ("public.never",), "its size says that there are rows"


def epoch(address):
    """Since when the server counts; None while it is not there. It may answer once more before it notices."""
    with suppress(Unreachable, psycopg.OperationalError), session(address, "test") as db:
        return counters(db).epoch
    return None


def test_a_server_that_never_answers_is_unhealthy(tmp_path):
    """Nor is it waited for: whoever asks in the night wants an answer."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / ".s.PGSQL.5432"))
        silent.listen()
        found = look(Address(str(tmp_path), 5432, "x", "x"), {}, now=lambda: NOW, backups=OLD)
    assert (found[0].name, found[0].state) == ("reachable", UNHEALTHY)
    assert [one.name for one in found[1:]] == ["backup_age", "drill_age"], "nothing else is known"


def test_a_server_that_freezes_while_it_is_asked_is_hung_up_on(address, monkeypatch):
    frozen, rows = [], health._rows

    def freezing(connection, *asked):
        if not frozen:
            frozen.append(connection.info.backend_pid)
            os.kill(frozen[0], signal.SIGSTOP)
        return rows(connection, *asked)

    monkeypatch.setattr(health, "_rows", freezing)
    monkeypatch.setattr(health, "BUDGET_SECONDS", 0.1)
    try:
        found = look(address, {}, now=lambda: NOW, backups=OLD)
    finally:
        os.kill(frozen[0], signal.SIGCONT)
    assert (found[0].name, found[0].state) == ("reachable", UNHEALTHY)
    assert "it stopped answering" in found[0].evidence[0]


@every_major
def test_a_fresh_database_with_rows_is_healthy(cluster):
    make_api_roles(cluster)
    with owned_database(cluster) as address:
        with session(address, "test") as owner:
            deploy(owner, *MIGRATIONS)
        seed(address, size="small", say=lambda _: None, progress=lambda _: None)
        with session(address, "test") as owner:
            owner.execute("vacuum (analyze)")
            unused = [one.message for one in check_schema(owner) if one.rule == "index-unused"]
            assert unused == [], "a partition's own index cannot be dropped"
        fresh = BackupFacts(NOW, NOW)
        (unknown,) = bad(look(address, {}, now=lambda: NOW, backups=fresh))
        assert (unknown.name, unknown.state) == ("disk_free", UNKNOWN)
        assert "grant pg_read_all_settings" in unknown.evidence[0]
        found = look(cluster.address(address.dbname), {}, now=lambda: NOW, backups=fresh)
        assert bad(found) == []
        assert {one.name for one in found} == ASKED - {*POOLER}
        assert EXIT_CODES[overall(found)] == 0
