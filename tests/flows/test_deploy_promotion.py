"""A deployment to an environment that takes only what another one took before it."""

from __future__ import annotations

import pytest

from tests.support.broken import once_backed_up
from tests.support.case import URL_VARIABLE, database, url
from wedsync_db.errors import Refused
from wedsync_db.migrate import ledger
from wedsync_db.migrate.deployment import read_plan
from wedsync_db.postgres.session import session

pytestmark = pytest.mark.usefixtures("prefect_server")

FIRST = "WEDSYNC_FIRST_URL"
SETTINGS = f"""
[environments.case_each]
url_env = "{FIRST}"
allow_data_copy = true
[environments.case_each.guard]
freeze = "off"
free_disk_factor = 0.1
[environments.case]
url_env = "{URL_VARIABLE}"
allow_data_copy = true
promoted_from = "case_each"
[environments.case.guard]
freeze = "off"
free_disk_factor = 0.1
"""


@pytest.fixture
def first(case, cluster, monkeypatch):
    """The database of `case_each`, from which `case` is promoted."""
    (case.folder / "environments.toml").write_text(SETTINGS)
    case.migration("0001_one", "create table public.one (id int);", "drop table public.one;")
    with database(cluster, f"{case.address.dbname}_first") as address:
        monkeypatch.setenv(FIRST, url(address))
        yield address


def deploy(environment, **parameters):
    from flows.deploy import deploy as flow

    return flow(environment, **parameters, return_state=True)


def refusal(state) -> str:
    error = state.result(raise_on_failure=False)
    assert isinstance(error, Refused)
    return error.message


def applied(case) -> list[str]:
    return [e.id for e in read_plan(case.address, case.installation.environment("case")).applied]


def test_it_waits_for_the_other_one_unless_somebody_says_why_not(case, first):
    assert "0001_one is not applied on case_each" in refusal(deploy("case"))
    assert not list(case.installation.home.path.glob("backups/case/*"))  # refused before anything was done
    assert deploy("case_each").is_completed()
    assert deploy("case").is_completed()
    assert applied(case) == ["0001_one"]
    case.migration("0002_two", "create table public.two (id int);", "drop table public.two;")
    assert "0002_two is not applied on case_each" in refusal(deploy("case"))
    assert deploy("case", overrides=("promotion=tried by hand",)).is_completed()
    assert applied(case) == ["0001_one", "0002_two"]


@pytest.mark.faults
def test_it_is_asked_again_before_the_target_is_touched(case, first):
    assert deploy("case_each").is_completed()

    def take_back(_) -> None:
        with session(first, "test") as connection:
            ledger.forget(connection, "0001_one")

    with once_backed_up(case, take_back):
        state = deploy("case")
    assert "0001_one is not applied on case_each" in refusal(state)
    assert case.rows("select to_regnamespace('wedsync_db')") == [(None,)]  # nothing was touched
