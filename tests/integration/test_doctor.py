"""Ready for a first deployment, and what is missing."""

from dataclasses import replace

import pytest
from psycopg import sql

from wedsync_db.guard import doctor as module
from wedsync_db.guard.decide import RULES
from wedsync_db.guard.doctor import doctor
from wedsync_db.model import Severity
from wedsync_db.postgres.cluster import binaries_of
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.session import session
from wedsync_db.settings import Environment, GuardSettings

MAJORS = [m for m in (15, 16, 18) if binaries_of(m)]
READY = GuardSettings(freeze="off", free_disk_factor=0.001)


@pytest.fixture
def environment(tmp_path):
    return Environment("test", url_env="X", guard=READY, allow_data_copy=True, migrations=tmp_path)


def rules(findings, severity):
    return {f.rule for f in findings if f.severity is severity}


def message_of(rule, findings):
    return next(f.message for f in findings if f.rule == rule)


@pytest.mark.parametrize("major", MAJORS, indirect=True)
def test_everything_is_there_and_said(address, environment, home, major):
    found = doctor(address, environment, home)
    assert rules(found, Severity.ERROR) == set()
    assert {f.rule for f in found} == {*RULES, "rights", "client-programs", "scratch", "backup-key"}
    assert f"a scratch server of PostgreSQL {major} can run here" in message_of("scratch", found)
    assert "dumps this server (compresses with " in message_of("client-programs", found)


def test_what_was_not_asked_is_not_claimed(address, environment, home):
    found = doctor(address, environment, home)
    assert message_of("freeze", found) == "the freeze calendar is off in this environment"
    assert "does not require" in message_of("tls", found)
    strict = replace(environment, require_tls=True, guard=replace(READY, freeze="warn"))
    assert "is off" not in message_of("freeze", doctor(address, strict, home))


def test_what_is_missing_is_an_error_with_a_remedy(address, environment, home, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "binaries_of", lambda _: None)
    poor = replace(environment, require_tls=True, allow_data_copy=False, migrations=tmp_path / "none")
    unreachable_client = replace(address, parameters={"sslmode": "prefer"})
    found = doctor(unreachable_client, poor, home)
    assert rules(found, Severity.ERROR) == {"tls", "data-copy", "migrations", "scratch", "backup-key"}
    assert all(f.hint for f in found if f.severity is Severity.ERROR)


def test_no_program_that_can_dump_the_server(address, environment, home, monkeypatch):
    from wedsync_db.errors import Refused

    def nothing(*_):
        raise Refused("no pg_dump is installed here", hint="apt-get install it")

    monkeypatch.setattr(module, "programs_for", nothing)
    found = doctor(address, environment, home)
    (error,) = [f for f in found if f.severity is Severity.ERROR]
    assert (error.rule, error.message, error.hint) == (
        "client-programs",
        "no pg_dump is installed here",
        "apt-get install it",
    )


def test_what_passes_by_itself_is_only_a_warning(address, environment, home):
    with target_lock(address, "backup", wait_seconds=0, say=print):
        found = doctor(address, environment, home)
    assert rules(found, Severity.ERROR) == set()
    assert "held" in rules(found, Severity.WARNING)


@pytest.mark.parametrize("major", MAJORS, indirect=True)
def test_it_only_looks(db, address, environment, home):
    before = list(home.path.iterdir())
    db.execute("create table kept (n int)")
    doctor(address, environment, home)
    assert list(home.path.iterdir()) == before
    assert db.execute("select count(*) from pg_namespace where nspname = 'wedsync_db'").fetchone() == (0,)


@pytest.mark.parametrize("major", MAJORS, indirect=True)
def test_an_ordinary_role_is_told_what_to_grant(db, address, environment, home):
    name = f"ordinary_{address.dbname}"
    db.execute("create table guests (n int)")
    db.execute(sql.SQL("create role {}").format(sql.Identifier(name)))
    try:
        found = doctor(replace(address, session_authorization=name), environment, home)
    finally:
        db.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))
    assert rules(found, Severity.ERROR) == {"role", "rows"}
    assert [(f.severity, f.hint) for f in found if f.rule == "rights"] == [
        (Severity.WARNING, f"grant create on database {address.dbname} to {name}"),
        (Severity.WARNING, f"grant pg_read_all_stats to {name}"),
        (Severity.WARNING, f"alter role {name} bypassrls"),
    ]
    hints = {f.rule: f.hint for f in found if f.severity is Severity.ERROR}
    assert hints == {
        "role": f"grant create on database … to {name}",
        "rows": "grant select on it to the role: docs/grants.sql",
    }
    with session(address, "test") as other:
        assert other.execute("select 1").fetchone() == (1,)
