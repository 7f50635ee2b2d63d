"""docs/grants.sql on every major: each role can do what it is for, and nothing beyond."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from flows.__main__ import main
from tests.support.case import PASSWORD, environ_of, write_settings
from tests.support.majors import every_major
from wedsync_db.guard.doctor import doctor
from wedsync_db.home import Home
from wedsync_db.installation import CHECKOUT, Installation
from wedsync_db.migrate import ledger
from wedsync_db.model import Severity
from wedsync_db.postgres.binaries import binaries_of
from wedsync_db.postgres.session import Address, session

SCRIPT = CHECKOUT / "docs" / "grants.sql"
KINDS = ("deployer", "backup", "monitor", "load_test")
pytestmark = every_major


@dataclass
class Granted:
    """A superuser's empty database after the script; `roles` log in to it, `folder` is an environment's."""

    admin: Address
    roles: dict[str, Address]
    folder: Path
    home: Home
    major: int

    def run_script(self, admin: Address | None = None, **names: str) -> None:
        """As an operator does it: psql, as superuser or as somebody else."""
        admin = admin or self.admin
        named = {kind: one.user for kind, one in self.roles.items()} | names
        variables = [argument for kind, name in named.items() for argument in ("-v", f"{kind}={name}")]
        password = f":{admin.password}" if admin.password else ""
        address = f"postgresql://{admin.user}{password}@/{admin.dbname}?host={admin.host}&port={admin.port}"
        done = subprocess.run(
            [binaries_of(self.major) / "psql", "-X", "-v", "ON_ERROR_STOP=1", *variables, "-f", SCRIPT, address],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    @contextmanager
    def as_role(self, kind: str) -> Iterator[psycopg.Connection]:
        with session(self.roles[kind], "test") as connection:
            yield connection

    def sql(self, kind: str, statement: str) -> list[tuple]:
        with self.as_role(kind) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def use(self, monkeypatch, kind: str) -> Installation:
        """From now on the environment `case` logs in as this role."""
        environ = environ_of(self.folder, self.home.path, self.roles[kind])
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        return Installation(CHECKOUT, environ)


@pytest.fixture
def granted(address, home, tmp_path, major) -> Iterator[Granted]:
    (tmp_path / "migrations").mkdir()
    write_settings(tmp_path)
    names = {kind: f"{kind}_{address.dbname}" for kind in KINDS}
    roles = {kind: replace(address, user=name, password=PASSWORD) for kind, name in names.items()}
    made = Granted(address, roles, tmp_path, home, major)
    made.run_script()
    with session(address, "test-admin") as admin:
        for name in names.values():
            admin.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(name), PASSWORD))
        yield made
        for name in names.values():
            admin.execute(sql.SQL("drop owned by {} cascade").format(sql.Identifier(name)))
            admin.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


@pytest.fixture
def filled(granted) -> Granted:
    """The ledger, and a table of the deployer's of which policies show a client one row of two."""
    with granted.as_role("deployer") as db:
        ledger.install(db)
        db.execute("create table public.guests (id int primary key, seen boolean not null)")
        db.execute("insert into public.guests values (1, true), (2, false)")
        db.execute("alter table public.guests enable row level security, force row level security")
        db.execute("create policy shown on public.guests to anon using (seen)")
        db.execute("grant select on public.guests to anon")
    return granted


def refused(granted: Granted, kind: str, statement: str) -> None:
    with granted.as_role(kind) as db:
        try:
            db.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            return
    pytest.fail(f"{kind} may: {statement}")


# -- nobody ------------------------------------------------------------------------------------------------------------
FOR_NOBODY = (
    "create database more",
    "create role more",
    "select rolpassword from pg_authid",
    "select * from pg_shadow",
    "select pg_read_file('PG_VERSION')",
    "copy (select 1) to program 'true'",
    "copy (select 1) to '/tmp/x'",
    "alter system set work_mem = '1MB'",
    "set role service_role",
    "create function pg_temp.f() returns int language c as 'libc', 'getpid'",
    "create schema more authorization pg_monitor",
)


@pytest.mark.parametrize("kind", KINDS)
def test_none_may_rule_the_server(granted, kind):
    superuser = sql.Identifier(granted.admin.user).as_string()
    for statement in (*FOR_NOBODY, f"set role {superuser}", f"set session authorization {superuser}"):
        refused(granted, kind, statement)
    for right in ("pg_write_server_files", "pg_execute_server_program", superuser):
        refused(granted, kind, f"grant {right} to {sql.Identifier(granted.roles[kind].user).as_string()}")
    for other in set(KINDS) - {kind}:
        refused(granted, kind, f"set role {sql.Identifier(granted.roles[other].user).as_string()}")


@pytest.fixture
def platform(granted) -> Iterator[Address]:
    """The administrator of a hosted database, as on Supabase: its owner, may make roles, and is no superuser."""
    name = f"platform_{granted.admin.dbname}"
    with session(granted.admin, "test-admin") as admin:
        for kind in KINDS:  # made anew by the other one
            admin.execute(f"drop owned by {granted.roles[kind].user} cascade; drop role {granted.roles[kind].user}")
        admin.execute(f"create role {name} login createrole createdb bypassrls password '{PASSWORD}'")
        for role in ("anon", "authenticated", "pg_read_all_stats", "pg_read_all_settings"):
            admin.execute(f"grant {role} to {name} with admin option")
        admin.execute(f"alter database {admin.info.dbname} owner to {name}")
        yield replace(granted.admin, user=name, password=PASSWORD)
        admin.execute(f"alter database {admin.info.dbname} owner to current_user")
        for one in granted.roles.values():  # what the other fixture takes away again
            admin.execute(
                f"do $$ begin create role {one.user}; exception when duplicate_object then end $$; "
                f"drop owned by {one.user} cascade"
            )
        admin.execute(f"drop owned by {name} cascade; drop role {name}")


def test_who_administers_a_hosted_database_can_run_it(granted, platform, major):
    deployer = granted.roles["deployer"]
    if major < 16:  # only a superuser makes a role that row-level security does not bind: the platform's own has to do
        with pytest.raises(AssertionError, match="must be superuser to create bypassrls users"):
            granted.run_script(platform)
        granted.run_script(platform, deployer=platform.user, backup=platform.user)
        deployer = platform
    else:
        granted.run_script(platform)
        with session(granted.admin, "test-admin") as admin:
            admin.execute(f"alter role {deployer.user} password '{PASSWORD}'")
    with session(deployer, "test") as db:
        ledger.install(db)
        assert db.execute("show lock_timeout").fetchone() == ("2s",)  # the program's own


# -- what each is for --------------------------------------------------------------------------------------------------
def test_the_deployer_owns_what_it_makes_and_nothing_else(filled):
    with session(filled.admin, "test-admin") as admin:
        admin.execute("create table public.others (id int)")
    refused(filled, "deployer", "select * from public.others")
    filled.run_script()  # again, as the guard's hint says
    assert filled.sql("deployer", "select count(*) from public.others") == [(0,)]
    for statement in ("drop table public.others", "insert into public.others values (1)"):
        refused(filled, "deployer", statement)
    filled.sql("deployer", "alter table public.guests add column name text; drop table public.guests")


def test_the_backup_reads_everything_and_writes_nothing(filled):
    assert filled.sql("backup", "select count(*) from public.guests") == [(2,)]
    for statement in (
        "insert into public.guests values (3, true)",
        "delete from public.guests",
        "truncate public.guests",
        "create table public.more (id int)",
        "create schema more",
        "delete from wedsync_db.ledger",
    ):
        refused(filled, "backup", statement)


def test_the_monitor_sees_who_does_what_and_no_row(filled):
    with filled.as_role("deployer") as other:
        other.execute("select 'here'")
        seen = filled.sql("monitor", f"select query from pg_stat_activity where pid = {other.info.backend_pid}")
    assert seen == [("select 'here'",)]
    assert filled.sql("monitor", "select count(*) from wedsync_db.ledger") == [(0,)]
    for statement in (
        "select * from public.guests",
        "delete from wedsync_db.ledger",
        "create table wedsync_db.more (id int)",
        "create table public.more (id int)",
    ):
        refused(filled, "monitor", statement)


def test_the_load_test_is_a_client_of_the_api_and_no_more(filled):
    with filled.as_role("load_test") as db:
        db.execute("set role anon")
        assert db.execute("select id from public.guests").fetchall() == [(1,)]  # and not 2
    for statement in (
        "select * from public.guests",  # by itself it has nothing
        "select * from wedsync_db.ledger",
        "create table public.more (id int)",
    ):
        refused(filled, "load_test", statement)


# -- what the program makes of it --------------------------------------------------------------------------------------
def test_a_backup_as_the_backup_role_is_complete(filled, monkeypatch):
    filled.use(monkeypatch, "backup")
    assert main(["backup", "case"]) == 0
    (manifest,) = filled.home.path.glob("backups/case/*/manifest.json")
    assert "guests" in manifest.read_text()
    relations = {r["relation"]: r["rows"] for r in json.loads(manifest.read_text())["relations"]}
    assert relations["public.guests"] == 2


def test_status_and_the_source_of_a_promotion_as_the_monitor(filled, monkeypatch, capsys):
    filled.use(monkeypatch, "monitor")
    assert main(["status", "case"]) == 0
    assert "lock: free" in capsys.readouterr().out
    with filled.as_role("monitor") as db:
        assert ledger.trials(db) == {}


def test_doctor_finds_all_of_it_and_misses_what_is_taken_away(granted, monkeypatch):
    environment = granted.use(monkeypatch, "deployer").environment("case")
    deployer = granted.roles["deployer"]
    found = doctor(deployer, environment, granted.home)
    assert [f for f in found if f.severity is Severity.ERROR] == []
    assert [f.severity for f in found if f.rule == "rights"] == [Severity.NOTE]
    with session(granted.admin, "test-admin") as admin:
        for take, give_back in (
            ("revoke pg_read_all_stats from {role}", "grant pg_read_all_stats to {role}"),
            ("revoke create on database {database} from {role}", "grant create on database {database} to {role}"),
            ("alter role {role} nobypassrls", "alter role {role} bypassrls"),
        ):
            names = {"role": deployer.user, "database": deployer.dbname}
            admin.execute(take.format(**names))
            (missing,) = [f for f in doctor(deployer, environment, granted.home) if f.rule == "rights"]
            assert (missing.severity, missing.hint) == (Severity.WARNING, give_back.format(**names))
            granted.run_script()  # a second time: what was granted is granted again; attributes are left alone
            admin.execute("alter role {role} bypassrls".format(**names))
            assert Severity.WARNING not in {
                f.severity for f in doctor(deployer, environment, granted.home) if f.rule == "rights"
            }


def test_doctor_calls_a_superuser_too_much(granted, monkeypatch):
    environment = granted.use(monkeypatch, "deployer").environment("case")
    (found,) = [f for f in doctor(granted.admin, environment, granted.home) if f.rule == "rights"]
    assert (found.severity, found.message) == (
        Severity.WARNING,
        f"role {granted.admin.user} is a superuser, and a deployment needs none",
    )


@pytest.mark.faults
@pytest.mark.usefixtures("prefect_server")
def test_a_whole_deployment_needs_no_more(granted, monkeypatch):
    """All that WedSync ships: guard, backup, rehearsal, migrations and verify, as the deployer."""
    from flows.deploy import deploy

    shutil.copytree(CHECKOUT / "migrations", granted.folder / "migrations", dirs_exist_ok=True)
    granted.use(monkeypatch, "deployer")
    state = deploy("case", return_state=True)
    assert state.is_completed(), state.message
    assert main(["schema", "case"]) == 0  # nor do these grants look like a leak
    granted.use(monkeypatch, "backup")
    assert main(["backup", "case"]) == 0  # what the deployer has made since can be read at once
    count = len(list((granted.folder / "migrations").glob("*/deploy.sql")))
    assert granted.sql("monitor", "select count(*) from wedsync_db.ledger") == [(count,)]
    assert granted.sql("deployer", "select rolsuper or rolcreaterole from pg_roles where rolname = current_user") == [
        (False,)
    ]
