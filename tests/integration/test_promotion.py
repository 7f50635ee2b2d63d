"""An environment that takes only what was deployed and verified on another one, with two real databases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from psycopg import sql

from tests.support.case import database, url
from tests.support.deployed import Deployed
from tests.support.majors import every_major
from wedsync_db.errors import Refused
from wedsync_db.guard.checks import check_guard
from wedsync_db.guard.decide import require_open
from wedsync_db.guard.doctor import doctor
from wedsync_db.history.store import open_history
from wedsync_db.installation import CHECKOUT, Installation
from wedsync_db.migrate import journal, ledger
from wedsync_db.migrate.deployment import read_plan
from wedsync_db.migrate.promotion import ask_source, promotion_of
from wedsync_db.model import DeploymentStatus, Severity
from wedsync_db.postgres.session import Address, session

SETTINGS = """
[environments.first]
url_env = "WEDSYNC_FIRST_URL"
[environments.second]
url_env = "WEDSYNC_SECOND_URL"
allow_data_copy = true
promoted_from = "first"
[environments.second.guard]
freeze = "off"
weddings = "off"
free_disk_factor = 0.001
"""
FIRST, SECOND = "WEDSYNC_FIRST_URL", "WEDSYNC_SECOND_URL"


@dataclass
class Two:
    """The database where everything comes first, and the one that is promoted to; both start empty."""

    first: Deployed
    second: Address
    installation: Installation

    def deploy_first(self, status: DeploymentStatus | None = DeploymentStatus.DONE) -> None:
        """Deploy what is pending on the first; None leaves the deployment unfinished."""
        deployment = self.first.deploy()
        if status:
            with session(self.first.address, "test") as connection:
                journal.finish(connection, deployment, status, "", None)

    def report(self, stage="start", overrides=(), **more):
        """What the guard of the second says of what is pending there."""
        environment = self.installation.environment("second")
        asked = {"promotion": promotion_of(self.installation, environment, read_plan(self.second, environment)), **more}
        return check_guard(
            self.second, environment, stage=stage, clock=lambda: datetime.now(UTC), home=self.installation.home,
            overrides=overrides, **asked,
        )  # fmt: skip

    def refusal(self, **asked) -> Refused:
        with pytest.raises(Refused) as caught:
            require_open(self.report(**asked))
        return caught.value

    def environ(self, **variables: str | None) -> None:
        """Change this machine's variables; None takes one away."""
        changed = {**self.installation.environ, **variables}
        self.installation = Installation(CHECKOUT, {name: v for name, v in changed.items() if v is not None})


@pytest.fixture
def two(cluster, address, home, tmp_path) -> Two:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "environments.toml").write_text(SETTINGS)
    with (
        database(cluster, f"{address.dbname}_first") as first,
        database(cluster, f"{address.dbname}_second") as second,
    ):
        environ = {
            "WEDSYNC_ENVIRONMENTS": str(tmp_path / "environments.toml"),
            "WEDSYNC_HOME": str(home.path),
            FIRST: url(first),
            SECOND: url(second),
        }
        made = Two(Deployed(first, tmp_path / "migrations"), second, Installation(CHECKOUT, environ))
        made.first.add("0001_one", "create table public.one (id int);", "drop table public.one;")
        yield made


@every_major
@pytest.mark.parametrize("stage", ["start", "migrate"])
def test_what_was_deployed_and_verified_first_may_come(two, stage):
    error = two.refusal(stage=stage)
    assert error.message == (
        "the guard refuses: 1 of 1 pending migrations cannot be promoted from first: 0001_one is not applied on first"
    )
    assert error.hint == "Deploy exactly these files to first first. Or: --override promotion=REASON"
    two.deploy_first(None)
    assert "its deployment there is running" in two.refusal(stage=stage).message
    with session(two.first.address, "test") as connection:
        journal.finish(connection, two.first.deployment, DeploymentStatus.DONE, "", None)
    require_open(two.report(stage))
    assert [f for f in two.report(stage).findings if f.rule == "promotion"] == []


def test_what_is_half_done_is_not_stopped_by_another_environment(two):
    require_open(two.report("between", promotion=None))


def test_what_needs_a_person_there_does_not_come_here(two):
    two.deploy_first(DeploymentStatus.PERSON_NEEDED)
    assert "0001_one was not verified on first" in two.refusal().message


def test_what_was_edited_since_does_not_come(two):
    two.deploy_first()
    two.first.add("0001_one", "create table public.one (id bigint);", "drop table public.one;")
    assert "0001_one is another text than the one applied on first" in two.refusal().message


def test_what_was_taken_back_there_does_not_come(two):
    two.deploy_first()
    with session(two.first.address, "test") as connection:
        assert ledger.forget(connection, "0001_one")
    assert "0001_one is not applied on first" in two.refusal().message


def test_one_more_than_was_tried_does_not_come(two):
    two.deploy_first()
    two.first.add("0002_two", "create table public.two (id int);", "drop table public.two;")
    assert "1 of 2 pending migrations cannot be promoted from first: 0002_two is not" in two.refusal().message


@every_major
def test_rows_that_came_with_a_copy_prove_nothing(two, cluster):
    two.deploy_first()
    copy = f"{two.second.dbname}_copy"
    names = {"copy": sql.Identifier(copy), "first": sql.Identifier(two.first.address.dbname)}
    with session(cluster.address(), "test-admin", statement_timeout_ms=0) as admin:
        admin.execute(sql.SQL("create database {copy} template {first}").format(**names))
        try:
            two.environ(**{FIRST: url(two.first.address.with_database(copy))})
            assert "0001_one was not deployed to first, it came there with a copy" in two.refusal().message
        finally:
            admin.execute(sql.SQL("drop database {copy} with (force)").format(**names))


def test_an_environment_that_is_not_reachable_is_not_a_yes(two):
    two.deploy_first()
    two.environ(**{FIRST: None})
    error = two.refusal()
    assert error.message == (
        f"the guard refuses: it is not known what was deployed to first: environment first needs the variable {FIRST},"
        " which is not set"
    )
    assert error.hint.startswith(f"export {FIRST}=")
    two.environ(**{FIRST: url(two.first.address.with_database("nowhere"))})
    assert "it is not known what was deployed to first: " in two.refusal().message
    assert "not-a-secret" not in f"{two.refusal().message} {two.refusal().hint}"


def test_one_that_may_not_be_read_is_not_a_yes_either(two, cluster):
    two.deploy_first()
    with session(cluster.address(two.first.address.dbname), "test-admin") as admin:
        admin.execute("alter schema wedsync_db owner to current_user")
    message = two.refusal().message
    assert message.endswith("schema wedsync_db is there, but this role may not read it")
    # nor one that nobody asked
    assert two.refusal(promotion=None).message.endswith("it is not known what was deployed to first: it was not asked")


def test_a_ledger_of_a_newer_program_is_not_a_yes(two):
    two.deploy_first()
    two.first.sql("insert into wedsync_db.version (number) values (9999)")
    assert "newer than this program knows" in two.refusal().message


def test_with_nothing_pending_nobody_is_asked(two):
    two.first.folder.joinpath("0001_one", "deploy.sql").unlink()
    two.first.folder.joinpath("0001_one", "revert.sql").unlink()
    two.first.folder.joinpath("0001_one").rmdir()
    two.environ(**{FIRST: None})
    require_open(two.report())


def test_somebody_may_take_it_upon_them_and_says_why(two):
    report = two.report(overrides=["promotion=first is being rebuilt, tried by hand"])
    require_open(report)
    (found,) = [f for f in report.findings if f.rule == "promotion"]
    assert found.severity is Severity.WARNING
    assert found.message.endswith("(overridden: first is being rebuilt, tried by hand)")
    assert [(o.rule, o.reason) for o in report.overrides] == [
        ("promotion", "first is being rebuilt, tried by hand"),
    ]


def test_doctor_asks_whether_it_answers(two):
    environment = two.installation.environment("second")

    def found(installation):
        asked = ask_source(installation, environment)
        return next(
            f for f in doctor(two.second, environment, installation.home, promotion=asked) if f.rule == "promotion"
        )

    assert found(two.installation).severity is Severity.NOTE  # what is pending, is not its question
    two.environ(**{FIRST: None})
    assert found(two.installation).severity is Severity.ERROR


def test_an_environment_that_asks_for_no_trial_gets_none(two):
    assert ask_source(two.installation, two.installation.environment("first")) is None


def test_where_a_load_test_is_asked_for_it_passes_with_these_files_first(two, tmp_path):
    (tmp_path / "environments.toml").write_text(
        SETTINGS.replace('promoted_from = "first"', 'promoted_from = "first"\nrequire_load_test = "peak"')
    )
    two.deploy_first()
    assert "there was no load test peak of first" in two.refusal().message
    migration = read_plan(two.second, two.installation.environment("second")).pending[0]
    remember(two, AT, "FAIL", migration)
    assert "it ended as FAIL" in two.refusal(stage="migrate").message
    remember(two, AT + timedelta(hours=1), "PASS", migration)
    require_open(two.report())
    remember(two, AT + timedelta(hours=2), "INCONCLUSIVE", migration)
    assert "it ended as INCONCLUSIVE" in two.refusal().message
    overridden = two.report(overrides=["load-test=the machine was busy"])
    require_open(overridden)
    assert [one.rule for one in overridden.overrides] == ["load-test"]


AT = datetime(2026, 11, 20, tzinfo=UTC)


def remember(two, at, verdict, migration):
    """A load test of the first environment, with this migration."""
    with two.installation.history() as address, open_history(address) as connection:
        connection.execute(
            "insert into history.load_test values ('first', 'peak', %s, %s, 'PostgreSQL', 20, 1, %s, %s, '{}')",
            [at, verdict, [migration.id], [migration.deploy.sha256]],
        )
