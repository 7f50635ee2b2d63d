"""Each rung a person takes shows what is at risk, needs a typed word, and is kept: who, why, which rung."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.__main__ import main
from tests.support.broken import lay_base
from tests.support.deployed import QUICK, Deployed
from tests.support.mistake import back_up
from wedsync_db.backup.since import since, since_lines
from wedsync_db.guard.decide import parse_overrides
from wedsync_db.migrate import deployment, journal, ledger
from wedsync_db.migrate.decisions import UNATTENDED, decisions
from wedsync_db.migrate.recover import recover
from wedsync_db.model import Change, DeploymentStatus, Rehearsal
from wedsync_db.postgres.session import session

NOT_REHEARSED = Rehearsal("", None, 0, "", Change({}), (), (), 0.0)
SURE = ("--confirm", "case", "--reason", "to compare with")


@pytest.fixture
def filled(case):
    """A target with a journal, some rows and a backup of them."""
    with session(case.address, "test") as connection:
        ledger.install(connection)
        connection.execute("create table public.items (id int primary key, n int)")
        connection.execute("create table public.quiet as select 1 as n")
        connection.execute("insert into public.items select n, n from generate_series(1, 100) n")
    return back_up(case)


def recorded(case) -> list:
    with session(case.admin, "test") as connection:
        return [(one.kind, one.what, one.reason, one.decided_by) for one in decisions(connection)]


def restore(*more: str) -> int:
    return main(["restore", "case", "newest", "--database", "never_made_x", *more])


def test_what_was_written_since_a_backup_is_counted(case, filled):
    with session(case.address, "people") as people:
        people.execute("update public.items set n = 0 where id <= 3")
        people.execute("delete from public.items where id > 98")
        people.execute("insert into public.items values (1000, 1)")
        people.execute("create table public.new as select 1 as n")
        people.execute("vacuum (freeze) public.items")
    found = since(filled, case.address)
    counted = {one.relation: (one.rows_then, one.rows_now, one.written) for one in found.tables}
    assert counted == {"public.items": (100, 99, 4), "public.quiet": (1, 1, 0), "public.new": (0, 1, 1)}
    assert found.transactions is not None
    assert found.transactions >= 4
    lines = since_lines(found)
    assert f"at most {found.transactions:,} transactions" in lines[0]
    assert "public.items: 100 rows then, 99 now; 4 inserted or updated since" in lines
    assert lines[-1] == "1 table has as many rows as then, and none written since"


def test_what_cannot_be_counted_is_said_to_be_unknown(case, filled):
    old = type(filled)(filled.path, type(filled.manifest)(**{**_fields(filled.manifest), "xid": None}))
    assert "an unknown number of transactions" in since_lines(since(old, case.address))[0]
    with session(case.admin, "test") as admin:
        admin.execute("alter table public.items owner to current_user")
        admin.execute("revoke all on public.items from case_deployer")
    lines = since_lines(since(filled, case.address))
    assert "public.items: 100 rows then, an unknown number now; an unknown number inserted or updated since" in lines
    elsewhere = since(filled, case.address.with_database("no_such_database"))
    assert "is not known: the database could not be asked" in since_lines(elsewhere)[0]


def _fields(manifest) -> dict:
    return {name: getattr(manifest, name) for name in type(manifest).__slots__}


@pytest.mark.parametrize(
    "words",
    [
        (), ("--reason", "why"), ("--confirm", "case"), ("--confirm", "production", "--reason", "why"),
        ("--confirm", "case", "--reason", "  "),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("filled")
def test_without_the_name_and_a_reason_nothing_is_restored(case, capsys, words):
    assert restore(*words) == 2
    said = capsys.readouterr().err
    assert "nothing was touched" in said
    assert "at risk: the backup is of 20" in said
    assert case.rows("select count(*) from pg_database where datname = 'never_made_x'") == [(0,)]
    assert recorded(case) == []


def test_the_name_can_be_typed_on_a_terminal(monkeypatch):
    from wedsync_db.cli import confirm

    def typing(*lines: str):
        typed = iter(lines)
        monkeypatch.setattr(confirm, "can_ask", lambda: True)
        monkeypatch.setattr(confirm, "ask", lambda _prompt, _seconds: next(typed))
        return confirm.confirm("case", None, None, risks=("all",), option="--confirm")

    assert typing("case", "because") == "because"
    for wrong in (("production",), ("",), ("case", "")):
        with pytest.raises(Exception, match="nothing was touched"):
            typing(*wrong)


@pytest.mark.usefixtures("filled")
def test_a_restore_is_kept_with_its_reason_even_if_it_then_fails(case, capsys):
    assert restore(*SURE) == 1  # this role may not create databases
    assert "permission denied" in capsys.readouterr().err
    ((kind, what, reason, by),) = recorded(case)
    assert (kind, reason) == ("rung", "to compare with")
    assert what.endswith("into never_made_x")
    assert " pid " in by


def test_where_the_source_is_gone_the_backup_takes_its_name(case, filled, monkeypatch, capsys):
    """The last rung: in place, as there is nothing any more that it could go over."""
    monkeypatch.setenv(
        "WEDSYNC_CASE_URL",
        f"postgresql://{case.admin.user}@/{case.admin.dbname}?host={case.admin.host}&port={case.admin.port}",
    )
    name = case.address.dbname
    words = ["restore", "case", filled.id, "--database", name, *SURE]
    assert main(words) == 2  # it is there: nothing is restored over it
    with session(case.admin.with_database("postgres"), "test") as admin:
        admin.execute(f"drop database {name} with (force)".encode())
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    out, err = capsys.readouterr()
    assert "it is not there any more" in err.replace(name, "it")
    assert "is not known" in err
    assert case.rows("select count(*) from public.items") == [(100,)]
    kept = json.loads(out)["recorded"]
    assert json.loads(Path(kept).read_text())["reason"] == "to compare with"


def test_overrides_are_kept_with_the_deployment(case):
    lay_base(case)
    environment = case.installation.environment("case")
    plan = deployment.read_plan(case.address, environment)
    given = parse_overrides(["freeze=checkout is down", "disk=a larger one is mounted"])
    deployment.open_deployment(case.address, environment, plan, NOT_REHEARSED, None, overrides=given)
    assert [(kind, what, reason) for kind, what, reason, _ in recorded(case)] == [
        ("override", "freeze", "checkout is down"), ("override", "disk", "a larger one is mounted"),
    ]  # fmt: skip


def test_a_rung_nobody_had_to_approve_is_kept_too(address, tmp_path):
    target = Deployed(address, tmp_path / "migrations")
    target.add("0001_a", "create table public.a (id int);", "drop table public.a;")
    target.add("0002_b", "create table public.b (id int);", "drop table public.b;")
    target.deploy(only=1)
    recover(target.address, target.migrations, locks=QUICK, say=print, clock=lambda: datetime.now(UTC))
    with session(address, "test") as connection:
        (one,) = decisions(connection)
    assert (one.what, one.reason, one.decided_by) == ("reverted", "it was interrupted", UNATTENDED)
    assert one.deployment_id == target.deployment.id
    target.deploy(only=1)
    target.sql("insert into public.a values (1)")
    with pytest.raises(Exception, match=r"1 row in public\.a"):
        recover(target.address, target.migrations, locks=QUICK, say=print, clock=lambda: datetime.now(UTC))
    with session(address, "test") as connection:
        _, one = decisions(connection)
        assert (one.what, one.at_risk) == ("left to a person", ("1 row in public.a",))
        assert journal.read(connection, one.deployment_id).status is DeploymentStatus.PERSON_NEEDED
