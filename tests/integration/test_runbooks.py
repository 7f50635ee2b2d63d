"""The commands of the runbooks, run in the state of a target in which somebody would read that page."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import MappingProxyType

import psycopg
import pytest
from psycopg import sql

from flows.__main__ import main
from tests.support.case import PASSWORD, URL_VARIABLE, url
from tests.support.deployed import Deployed
from tests.support.majors import every_major
from wedsync_db.cli.parser import build_parser
from wedsync_db.errors import WedsyncError
from wedsync_db.installation import CHECKOUT
from wedsync_db.migrate import journal
from wedsync_db.model import DeploymentStatus
from wedsync_db.postgres.binaries import binaries_of
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.session import session

FOLDER = CHECKOUT / "docs" / "runbooks"
PAGES = {path.stem: path for path in FOLDER.glob("*.md")}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXPECTED = re.compile(r"#\s*(\d)\b")


def blocks(page: str, kind: str) -> list[str]:
    return [text for found, text in BLOCK.findall(PAGES[page].read_text()) if found == kind]


def commands(page: str) -> list[tuple[list[str], int]]:
    """The command lines of a page without `./dev`, each with the exit code it is said to end with."""
    found = []
    for line in "".join(blocks(page, "console")).splitlines():
        words = shlex.split(line, comments=True)
        assert words[0] == "./dev", line
        code = EXPECTED.search(line)
        found.append((words[1:], int(code[1]) if code else 0))
    return found


def test_there_is_a_page_for_each_exit_code_and_no_other_kind_of_block():
    codes = {kind.exit_code for kind in _kinds(WedsyncError)}
    assert {int(name[0]) for name in PAGES if name[0].isdigit()} == codes
    for page, path in PAGES.items():
        assert {kind for kind, _ in BLOCK.findall(path.read_text())} <= {"console", "sql"}
        assert "console" in path.read_text() or page == "README"


def _kinds(kind: type[WedsyncError]) -> Iterator[type[WedsyncError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)


def test_every_link_leads_somewhere():
    for path in [*PAGES.values(), CHECKOUT / "docs" / "guide.md"]:
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_the_error_names_in_the_pages_are_ours():
    known = {kind.__name__ for kind in _kinds(WedsyncError)} | {"RolledBack", "RollbackFailed"}
    for path in PAGES.values():
        named = set(re.findall(r"\b(?:[A-Z][a-z]+Error|[A-Z][a-z]+[A-Z][a-z]+|\*\*[A-Z]\w+\*\*)", path.read_text()))
        assert {name.strip("*") for name in named} <= known, path.name


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_command_is_one_of_ours(page):
    for words, _ in commands(page):
        build_parser().parse_args(words)


@pytest.fixture
def deployed(case):
    """0041_good and 0042_bad applied, in a deployment that is still open; `finish` closes it."""
    target = Deployed(case.address, case.folder / "migrations")
    target.add(
        "0041_good",
        "create table public.items (id bigint primary key, name text);\ninsert into public.items values (1, 'x');",
        "drop table public.items;",
    )
    target.add("0042_bad", "create table public.bad (id bigint primary key);", "drop table public.bad;")
    target.deploy()
    return target


def finish(target: Deployed, status: DeploymentStatus) -> None:
    with session(target.address, "test") as connection:
        journal.finish(connection, target.deployment, status, "", target.catalog().digest)


def run(case, page: str, between: Mapping[str, Callable[[], object]] = MappingProxyType({})) -> None:
    """Run the page's commands on the case, in order; each must end as the page says. `between`: before that verb."""
    before = dict(os.environ)
    new = f"{case.address.dbname}_before"
    for words, expected in commands(page):
        told = [w.replace("production", "case").replace("wedding_before", new) for w in words]
        told = [case.address.dbname if w == "wedding" else w for w in told]
        between.get(told[0], lambda: None)()
        assert main(told) == expected, " ".join(told)
    for name in os.environ.keys() - before.keys():  # what `deploy` sets for its process
        del os.environ[name]


# -- in the state each page is about -----------------------------------------------------------------------------------
@pytest.mark.parametrize("page", ["1-failed", "2-usage"])
def test_after_a_failure_all_is_as_before(case, deployed, page):
    finish(deployed, DeploymentStatus.DONE)
    run(case, page)
    assert deployed.applied() == ["0041_good", "0042_bad"]


@pytest.mark.faults
@pytest.mark.usefixtures("prefect_server")
def test_what_a_guard_refused_can_be_overridden(case, deployed):
    finish(deployed, DeploymentStatus.DONE)
    deployed.add("0043_fix", "create table public.fix (id int);", "drop table public.fix;")
    settings = case.folder / "environments.toml"
    settings.write_text(
        settings.read_text().replace('freeze = "off"', 'freeze = "refuse"\nfreeze_from_friday_hour = 0')
    )
    run(case, "3-refused")
    assert deployed.applied() == ["0041_good", "0042_bad", "0043_fix"]


def superuser(case) -> str:
    admin = case.admin
    return f"postgresql://{admin.user}@/{admin.dbname}?host={admin.host}&port={admin.port}"


def test_a_person_looks_decides_and_takes_back(case, deployed, monkeypatch):
    finish(deployed, DeploymentStatus.PERSON_NEEDED)
    deployed.sql("insert into public.bad values (1)")
    admin = case.admin
    monkeypatch.setenv(URL_VARIABLE, superuser(case))
    assert main(["backup", "case"]) == 0
    try:
        run(case, "4-person-needed")
    finally:
        drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(f"{admin.dbname}_before"))
        with session(admin.with_database("postgres"), "test-admin") as connection:
            connection.execute(drop)
    assert deployed.applied() == ["0041_good"]


def test_what_nobody_knew_is_settled(case, deployed):
    assert deployed.status() == "running"
    run(case, "5-inconclusive")
    assert deployed.status() == "done"


@pytest.mark.faults
@pytest.mark.usefixtures("prefect_server")
def test_after_a_failed_drill_another_backup_is_made_and_tried(case, deployed):
    from wedsync_db.backup.proven import proven
    from wedsync_db.backup.store import list_backups

    finish(deployed, DeploymentStatus.DONE)
    run(case, "failed-drill")
    (made,) = list_backups(case.installation.home.backups("case"))
    assert proven(made).progress == "restored"


# -- with the tool dead ------------------------------------------------------------------------------------------------
def psql(case, major: int, text: str, who: str = "") -> str:
    """What psql says to a script, as the deployer in the checkout unless it is said who; it must not fail."""
    program = binaries_of(major) / "psql"
    done = subprocess.run(
        [program, "-X", "-v", "ON_ERROR_STOP=1", "-f", "-", who or url(case.address)],
        input=text, cwd=case.folder, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    return done.stdout


def leave_invalid_index(case) -> None:
    """REINDEX CONCURRENTLY that cannot have its second lock leaves what it has built."""
    with session(case.address, "app") as writer, session(case.address, "test", lock_timeout_ms=200) as other:
        other.execute("create index items_name on public.items (name)")
        with writer.transaction():
            writer.execute("insert into public.items values (3, 'y')")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("reindex index concurrently public.items_name")


def indexes(case) -> list[tuple]:
    return case.rows("select relname from pg_class where relname like 'items_name%' order by 1")


@every_major
def test_all_of_it_can_be_done_by_hand(case, deployed, major):
    leave_invalid_index(case)
    assert indexes(case) == [("items_name",), ("items_name_ccnew",)]
    with ExitStack() as stack:
        stack.enter_context(target_lock(case.address, "deploy", wait_seconds=0, say=print))
        runner = stack.enter_context(session(case.address, "migrate", autocommit=False))
        journal.hold(runner, deployed.deployment)  # half way in its next transaction
        runner.execute("create table public.half (id int)")
        text = "".join(blocks("by-hand", "sql"))
        said = psql(case, major, text)
        with suppress(psycopg.Error), pytest.raises(psycopg.Error):
            runner.commit()
    assert re.search(r"target +\| +\d+ +\| wedsync-db/deploy ", said)  # who holds the lock
    assert said.count("wedsync-db/migrate") >= 2  # seen, and ended
    assert " items_name_ccnew " in said
    assert re.search(r"is_the_newest\s*\n-+\n t", said)
    assert re.search(r" ours\s*\n-+\n t", said)
    assert deployed.applied() == ["0041_good"]
    assert deployed.status() == "rolled_back"
    assert case.rows("select to_regclass('public.bad'), to_regclass('public.half')") == [(None, None)]
    assert indexes(case) == [("items_name",)]
    run(case, "by-hand")


def test_a_script_that_fails_by_hand_changes_nothing(case, deployed, major):
    Path(case.folder / "migrations" / "0042_bad" / "revert.sql").write_text("drop table public.bad;\nselect 1 / 0;\n")
    (undo,) = [text for text in blocks("by-hand", "sql") if "\\i " in text]
    with pytest.raises(AssertionError, match="division by zero"):
        psql(case, major, undo)
    assert deployed.applied() == ["0041_good", "0042_bad"]
    assert case.rows("select to_regclass('public.bad') is not null") == [(True,)]


@every_major
def test_a_runner_that_lives_on_can_commit_nothing(case, deployed, major):
    psql(case, major, next(text for text in blocks("by-hand", "sql") if "epoch + 1" in text))
    with session(case.address, "migrate", autocommit=False) as runner, pytest.raises(WedsyncError) as caught:
        journal.hold(runner, deployed.deployment)
    assert type(caught.value).__name__ == "Displaced"


def test_the_last_resort_swaps_the_names_and_loses_neither_database(case, deployed, major, monkeypatch):
    finish(deployed, DeploymentStatus.DONE)
    monkeypatch.setenv(URL_VARIABLE, superuser(case))
    assert main(["backup", "case"]) == 0
    deployed.sql("insert into public.items values (2, 'since')")
    live = case.address.dbname
    (text,) = blocks("last-resort", "sql")
    for name in ("wedding_replaced", "wedding_before", "wedding"):
        text = text.replace(name, name.replace("wedding", live))
    try:
        with session(case.address, "app"):  # somebody is still there
            run(case, "last-resort", between={"status": lambda: psql(case, major, text, superuser(case))})
        assert case.rows("select id from public.items") == [(1,)]
        with session(case.admin.with_database(f"{live}_replaced"), "test") as replaced:
            assert replaced.execute("select id from public.items order by 1").fetchall() == [(1,), (2,)]
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                replaced.execute("delete from public.items")
    finally:
        with session(case.admin.with_database("postgres"), "test-admin") as connection:
            for name in (f"{live}_before", f"{live}_replaced"):
                connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
