"""The verb load-test: a database of its own, WedSync's schema and users in it, a verdict, and nothing left behind."""

import json
import shutil

import pytest

from flows.__main__ import main
from tests.support.case import ROLE, write_settings
from tests.support.schema import let_become_api_roles
from wedsync_db.installation import CHECKOUT
from wedsync_db.load.scenario import SHIPPED
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.session import session

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
    with session(cluster.address(), "test") as admin:
        admin.execute(f"alter role {ROLE} createdb")
    shutil.copytree(CHECKOUT / "migrations", case.folder / "migrations", dirs_exist_ok=True)
    write_settings(case.folder, "load_test = true")
    return case


@pytest.fixture
def scenario(tmp_path):
    """The file of a quick scenario, with these changes."""

    def write(**changes):
        text = (SHIPPED / "users_1000.toml").read_text()
        for old, new in {**QUICK, **changes}.items():
            text = text.replace(old, new)
        path = tmp_path / "quick.toml"
        path.write_text(text)
        return str(path)

    return write


def databases(cluster):
    with session(cluster.address(), "test") as admin:
        rows = admin.execute("select datname from pg_database where datname like '%\\_load'")
        return [name for (name,) in rows]


def test_a_thousand_users_are_judged_and_nothing_stays(load_case, cluster, scenario, capsys):
    code = main(["load-test", "case", scenario(), "--repeats", "2", "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert (answer["runs"] >= 2, answer["pool"]) == (True, 20)
    by_name = {one["criterion"]: one for one in answer["criteria"]}
    assert by_name["leaks: count==0"]["values"][0] == 0
    assert by_name["errors: rate<0.001"]["values"][0] == 0
    assert by_name["response_ms: p(95)<50000 @steady"]["values"][0] > 0
    assert code == {"PASS": 0, "FAIL": 1}.get(answer["verdict"], 5)
    assert databases(cluster) == []


def test_what_a_killed_one_left_is_dropped_and_what_is_somebody_s_is_not(load_case, cluster, scenario, capsys):
    name = f"{load_case.address.dbname}_load"
    with session(cluster.address(), "test") as admin:
        admin.execute(f"create database {name}")
        assert main(["load-test", "case", scenario(), "--repeats", "1"]) == 3
        assert f"a database {name}" in capsys.readouterr().err
        assert databases(cluster) == [name]
        admin.execute(f"comment on database {name} is 'wedsync-db load test: dropped by the next one'")
        admin.execute(f"alter database {name} owner to {ROLE}")
    assert main(["load-test", "case", scenario(), "--repeats", "1"]) in (0, 1, 5)
    assert databases(cluster) == []


def test_an_environment_that_is_none_for_load_tests_is_refused(case, scenario, capsys):
    assert main(["load-test", "case", scenario()]) == 3
    assert "load_test = true" in capsys.readouterr().err


def test_who_may_create_no_database_is_told_how(load_case, cluster, scenario, capsys):
    with session(cluster.address(), "test") as admin:
        admin.execute(f"alter role {ROLE} nocreatedb")
    assert main(["load-test", "case", scenario()]) == 3
    assert f"alter role {ROLE} createdb" in capsys.readouterr().err


def test_a_busy_target_is_left_alone(load_case, scenario, capsys):
    settings = load_case.folder / "environments.toml"
    settings.write_text(settings.read_text().replace('"off"', '"off"\nwait_for_holder_seconds = 0'))
    with target_lock(load_case.address, "maintenance", wait_seconds=0, say=print):
        assert main(["load-test", "case", scenario()]) == 3
    assert "maintenance" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pool", "0"], "--pool is 1 to 1000"),
        (["--pool", "1001"], "--pool is 1 to 1000"),
        (["--repeats", "11"], "--repeats is 1 to 10"),
        (["--pool", "900"], "connections there are"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(load_case, cluster, scenario, capsys, arguments, said):
    expected = 3 if said == "connections there are" else 2
    assert main(["load-test", "case", scenario(), *arguments]) == expected
    assert said in capsys.readouterr().err
    assert databases(cluster) == []
