"""A load test: a database of its own, WedSync's schema and users in it, a verdict, and nothing left behind."""

import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.support.case import ROLE, may_create_databases, write_settings
from tests.support.schema import let_become_api_roles
from wedsync_db.errors import Refused, TargetHeld, UsageError
from wedsync_db.installation import CHECKOUT
from wedsync_db.load.before import before
from wedsync_db.load.calibration import Calibration
from wedsync_db.load.leftover import beside, create, sweep
from wedsync_db.load.options import Options
from wedsync_db.load.run import load_test
from wedsync_db.load.safety import Safety, require_disk
from wedsync_db.load.scenario import SHIPPED, read_scenario
from wedsync_db.load.verdict import Verdict
from wedsync_db.maintain.giving_way import watching
from wedsync_db.maintain.run import look_after
from wedsync_db.migrate.plan import plan_of
from wedsync_db.postgres.locks import announce, target_lock
from wedsync_db.postgres.session import session
from wedsync_db.report.load.data import load_data
from wedsync_db.report.load.page import load_html
from wedsync_db.report.load.text import load_markdown, load_text
from wedsync_db.settings import MaintenanceSettings

NO_OPTIONS = Options()
# limits that no machine is beyond, so that two runs are enough for a verdict
QUICK = {
    "p(95)<50": "p(95)<50000",
    "p(99)<200": "p(99)<50000",
    "tenants = 200": "tenants = 20",
    "seconds = 60": "seconds = 2",
    "seconds = 10": "seconds = 1",
    '"scripts/': f'"{SHIPPED}/scripts/',
}


@pytest.fixture
def load_case(case, cluster):
    """An environment for load tests, with WedSync's migrations and a deployer that may create databases."""
    let_become_api_roles(cluster)
    shutil.copytree(CHECKOUT / "migrations", case.folder / "migrations", dirs_exist_ok=True)
    write_settings(case.folder, "load_test = true")
    with may_create_databases(cluster):
        yield case


@pytest.fixture
def scenario(tmp_path):
    """A quick scenario of a thousand users."""
    text = (SHIPPED / "users_1000.toml").read_text()
    for old, new in QUICK.items():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "quick.toml"
    path.write_text(text)
    return read_scenario(path)


def loaded(case, scenario, *, options=NO_OPTIONS, clock=lambda: datetime.now(UTC), **ways):
    environment = case.installation.environment("case")
    return load_test(case.installation, environment, scenario, options=options, clock=clock, **ways)


def databases(cluster):
    with session(cluster.address(), "test") as admin:
        rows = admin.execute("select datname from pg_database where datname like '%\\_load%' order by 1")
        return [name for (name,) in rows]


def test_a_thousand_users_are_judged_and_nothing_stays(load_case, cluster, scenario):
    seen = []
    done = loaded(load_case, replace(scenario, repeats=2), tell=lambda _: seen.append(databases(cluster)))
    by_name = {one.criterion.text: one for one in done.result.judged}
    assert by_name["leaks: count==0"].verdict is Verdict.PASS
    assert by_name["errors: rate<0.001"].verdict is Verdict.PASS
    assert all(value > 0 for value in by_name["response_ms: p(95)<50000 @steady"].values)
    assert all(0.5 < value <= 1 for value in by_name["cache_hit: value>0.95"].values)
    for run in done.runs:
        server = run.observed.between(1, 3)
        assert server.transactions > 100, "so many people do about 400 things in these two seconds"
        assert server.grown["wal_bytes"] > 0
        assert not any(text in str(run.observed) for text in ("10ad7e57", "request.jwt"))
    assert seen[0] == [f"{load_case.address.dbname}_load"]
    assert databases(cluster) == []
    data = load_data(done)
    assert (data["verdict"], data["pool"], len(data["criteria"])) == (
        done.result.verdict.value,
        20,
        len(scenario.criteria),
    )
    for text in (load_text(done), load_markdown(done)):
        assert f"{done.result.verdict}" in text
        assert "1,000 users" in text
    assert "Nobody looked at it" not in load_html(done)


@pytest.mark.faults
def test_what_a_killed_one_left_is_dropped_and_what_is_somebody_s_is_not(load_case, cluster, scenario):
    name = f"{load_case.address.dbname}_load"
    short = replace(scenario, repeats=1, phases=scenario.phases[:1], criteria=scenario.criteria[2:])
    short = replace(short, phases=(replace(short.phases[0], measured=True),))
    with session(cluster.address(), "test") as admin:
        admin.execute(f"create database {name}")
        with pytest.raises(Refused, match=f"a database {name}, and no load test made it"):
            loaded(load_case, short)
        assert databases(cluster) == [name]
        assert sweep(load_case.address) == []
        assert databases(cluster) == [name]
        admin.execute(f"drop database {name}")
        admin.execute(f"set role {ROLE}")
        create(admin, name)
        admin.execute(f"comment on database {name} is null")  # killed before it could say whose it is
    loaded(load_case, short)
    assert databases(cluster) == []


def test_a_night_drops_what_a_killed_one_left(load_case, cluster):
    with session(load_case.address, "test") as connection:
        create(connection, f"{load_case.address.dbname}_load")
    with session(beside(load_case.address), "test"), watching(load_case.address) as watch:
        now, settings = datetime.now(UTC), MaintenanceSettings()
        kept = look_after(load_case.address, settings, watch, now=now, budget_seconds=60)
    assert ("done", f"database {load_case.address.dbname}_load") in {(one.outcome, one.what) for one in kept}
    assert databases(cluster) == []
    assert sweep(load_case.address) == []


@pytest.mark.faults
def test_it_runs_also_as_the_schema_was_before_a_migration(load_case, cluster, scenario, monkeypatch):
    monkeypatch.setattr("wedsync_db.load.rounds.PAIRS", 1)
    monkeypatch.setattr("wedsync_db.load.rounds.MOST_PAIRS", 1)
    ids = sorted(path.name for path in (load_case.folder / "migrations").iterdir() if path.is_dir())
    quick = replace(scenario, phases=tuple(replace(one, seconds=1) for one in scenario.phases))
    seen, said = [], []
    done = loaded(
        load_case,
        quick,
        options=Options(before=ids[-1]),
        tell=lambda _: seen.append(databases(cluster)),
        say=said.append,
    )
    name = f"{load_case.address.dbname}_load"
    assert seen[0] == [name, f"{name}_before"]
    assert databases(cluster) == []
    assert (done.comparison.with_what, len(done.runs)) == (f"before {ids[-1]}", 1)
    assert [len(one.theirs) for one in done.comparison.found] == [1, 1]
    assert [line.split(":")[0] for line in said if line.startswith("pair")] == [
        f"pair 1, before {ids[-1]}",
        "pair 1, after",
    ]


def test_what_is_pending_is_compared_and_a_migration_that_is_not_there_is_said(load_case, scenario):
    with pytest.raises(UsageError, match="there is no migration 9999_none"):
        loaded(load_case, scenario, options=Options(before="9999_none"))
    pending = plan_of(load_case.folder / "migrations", ()).pending
    assert before(load_case.address, pending, "pending") == (), "nothing is applied: before all of them"


def test_a_deployment_that_wants_the_target_gets_it(load_case, cluster, scenario):
    with announcement(load_case) as announce_now, pytest.raises(TargetHeld, match="a deployment wants the target"):
        loaded(load_case, scenario, tell=lambda _: announce_now())
    assert databases(cluster) == []


@contextmanager
def announcement(case):
    """A way to announce a deployment, once, which lasts as long as the block."""
    with ExitStack() as stack:
        taken = []

        def now():
            if not taken:
                taken.append(stack.enter_context(announce(case.address)))

        yield now


def test_an_environment_that_is_none_for_load_tests_is_refused(case, scenario):
    with pytest.raises(Refused, match="not for load tests") as caught:
        loaded(case, scenario)
    assert "load_test = true" in caught.value.hint


def test_who_may_create_no_database_is_told_how(load_case, cluster, scenario):
    with session(cluster.address(), "test") as admin:
        admin.execute(f"alter role {ROLE} nocreatedb")
    with pytest.raises(Refused, match="no database can be created") as caught:
        loaded(load_case, scenario)
    assert caught.value.hint == f"alter role {ROLE} createdb"


def test_a_busy_target_is_left_alone(load_case, scenario):
    settings = load_case.folder / "environments.toml"
    settings.write_text(settings.read_text().replace('"off"', '"off"\nwait_for_holder_seconds = 0'))
    with target_lock(load_case.address, "maintenance", wait_seconds=0, say=print):
        with pytest.raises(TargetHeld, match="maintenance"):
            loaded(load_case, scenario)


def test_a_pool_that_the_server_has_no_room_for_is_refused(load_case, cluster, scenario):
    with pytest.raises(Refused, match=r"a pool of 900 takes more than 80% of the \d+ connections there are"):
        loaded(load_case, replace(scenario, pool=900, safety=Safety(most_connections=1000)))
    assert databases(cluster) == []


def test_a_weekend_a_rate_beyond_this_machine_and_a_full_disk_are_said_before_anything_is_made(
    load_case, cluster, scenario
):
    saturday = datetime(2026, 11, 21, 12, tzinfo=UTC)
    settings = load_case.folder / "environments.toml"
    settings.write_text(settings.read_text().replace('freeze = "off"', 'freeze = "refuse"'))
    with pytest.raises(Refused, match="nobody runs load tests on a weekend: case is frozen since Fri"):
        loaded(load_case, scenario, clock=lambda: saturday)
    settings.write_text(settings.read_text().replace('freeze = "refuse"', 'freeze = "off"'))
    steady = replace(scenario.phases[1], rate=1e6, rate_at_end=1e6)
    much = replace(scenario, phases=(steady,), safety=Safety(most_rate=10**6))
    with pytest.raises(Refused, match="quick wants 1,000,000 arrivals a second, and this machine can send about"):
        loaded(load_case, much)
    with session(cluster.address(), "test") as admin:
        with pytest.raises(Refused, match=r"the server has [\d,]+ MB free, the load test's rows need 1,000,000,000"):
            require_disk(admin, 10**9)
        require_disk(admin, 1, pytest.fail)
    assert databases(cluster) == []


@pytest.mark.faults
def test_pgbench_does_it_too_and_where_it_contradicts_it_is_no_verdict(load_case, cluster, scenario, monkeypatch):
    apart = Calibration(200.0, 1.0, 2.0)
    monkeypatch.setattr("wedsync_db.load.run.calibrate", lambda *_, **__: apart)
    quick, said = replace(scenario, repeats=1, phases=(replace(scenario.phases[1], seconds=1),)), []
    done = loaded(load_case, quick, options=Options(engine="pgbench", calibrate=True), say=said.append)
    assert "not judged, as pgbench looks at no rows: leaks: count==0" in said
    assert str(apart) in said
    assert (done.engine, done.calibration) == ("pgbench", apart)
    assert "leaks" not in {one.criterion.metric for one in done.result.judged}
    (errors,) = (one for one in done.result.judged if one.criterion.text == "errors: rate<0.001")
    assert errors.verdict is Verdict.PASS
    assert done.result.verdict is Verdict.INVALID
    assert [doubt for doubt in done.result.doubts if "differ by more than 15%" in doubt]
    assert databases(cluster) == []


def test_too_few_file_handles_are_said_before_anything_is_made(load_case, cluster, scenario, monkeypatch):
    monkeypatch.setattr("resource.getrlimit", lambda _: (100, 200))
    with pytest.raises(Refused, match="20 connections need 210 file handles in a process of the generator, 200 are"):
        loaded(load_case, scenario)
    assert databases(cluster) == []
