"""The command line's verbs on a real target: what they answer, what they refuse, and with which exit code."""

from __future__ import annotations

import json
import shutil

import pytest

from flows.__main__ import main
from tests.support.broken import damage_backup, lay_base
from tests.support.case import PASSWORD, URL_VARIABLE, url, write_settings
from tests.support.deployed import Deployed
from wedsync_db.migrate import journal
from wedsync_db.model import DeploymentStatus
from wedsync_db.postgres import fingerprint
from wedsync_db.postgres.locks import announce, target_lock
from wedsync_db.postgres.session import session

CONFIRMED = ("--confirm", "case", "--reason", "a look at yesterday")
CLOSED_PORT = "postgresql://nobody:of-nobody@127.0.0.1:1/nothing"


@pytest.fixture
def cli(case, capsys):
    """Run a verb: `cli("status", "case")` → exit code, stdout, stderr. Whatever it says, no secret and no traceback."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        out, err = capsys.readouterr()
        for text in (out, err):
            assert PASSWORD not in text
            assert "of-nobody" not in text
            assert "Traceback" not in text
        return code, out, err

    return run


@pytest.fixture
def answer(cli):
    """Run a verb with --json: exit code and the document, which is all there is on stdout."""

    def run(*arguments: str) -> tuple[int, object]:
        code, out, _ = cli(*arguments, "--json")
        return code, json.loads(out)

    return run


@pytest.fixture
def refused(cli):
    """Run a verb that must fail, as text and as JSON: exit code, then what was said."""

    def run(*arguments: str) -> tuple[int, str]:
        code, out, err = cli(*arguments)
        assert out == ""
        lines = [line for line in err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1
        again, document, _ = cli(*arguments, "--json")
        told = json.loads(document)
        assert (again, told["exit_code"]) == (code, code)
        assert f"error: {told['message']}" == lines[0]
        assert told["hint"] or told["findings"] or told["excerpt"], "every error says more than that it happened"
        return code, err

    return run


@pytest.fixture
def deployed(case):
    """Deploy the case's migrations without Prefect and close the deployment."""

    def deploy(*, finish: bool = True) -> Deployed:
        target = Deployed(case.address, case.folder / "migrations")
        target.deploy()
        if finish:
            with session(case.address, "test") as connection:
                after = fingerprint.take(connection).digest
                journal.finish(connection, target.deployment, DeploymentStatus.DONE, "", after)
        return target

    return deploy


@pytest.fixture
def as_superuser(case, monkeypatch):
    """The environment's URL logs in as superuser, as a restore needs it."""
    monkeypatch.setenv(URL_VARIABLE, f"postgresql://{case.admin.user}@/{case.admin.dbname}?host={case.admin.host}"
                       f"&port={case.admin.port}")  # fmt: skip


@pytest.fixture
def new_database(case, as_superuser):
    """A name for a restored database, dropped afterwards."""
    name = f"{case.address.dbname}_restored"
    yield name
    with session(case.admin, "test") as connection:
        connection.execute(f'drop database if exists "{name}" with (force)')


# -- looking -----------------------------------------------------------------------------------------------------------
def test_status_of_an_empty_target(case, cli, answer):
    lay_base(case)
    code, out, err = cli("status", "case")
    assert (code, err) == (0, "")
    assert out.splitlines()[:2] == ["case: 0 applied, 1 pending", "  pending  0001_base"]
    assert "guard: open" in out
    code, data = answer("status", "case")
    assert code == 0
    assert (data["pending"], data["applied"], data["held_by"]) == (["0001_base"], [], None)


def test_status_after_a_deployment(case, answer, deployed):
    lay_base(case)
    deployed()
    _, data = answer("status", "case")
    assert [e["id"] for e in data["applied"]] == ["0001_base"]
    assert data["pending"] == []


def test_status_says_who_is_at_work(case, answer):
    with announce(case.address), target_lock(case.address, "backup", wait_seconds=0, say=print):
        _, data = answer("status", "case")
    assert "wedsync-db/backup" in data["held_by"]
    assert "wedsync-db/deployment" in data["deployment_by"]


def test_status_says_whether_the_guard_would_refuse_now(case, answer, as_superuser):
    with session(case.admin, "old", autocommit=False) as old:
        old.execute("select txid_current()")
        text = (case.folder / "environments.toml").read_text()
        changed = text.replace('freeze = "off"', 'freeze = "off"\nlong_transaction_seconds = 1')
        (case.folder / "environments.toml").write_text(changed)
        with session(case.admin, "wait") as connection:
            connection.execute("select pg_sleep(1.1)")
        code, data = answer("status", "case")
    assert code == 0
    assert [(f["rule"], f["severity"]) for f in data["guard"]] == [("weddings", "note"), ("blockers", "error")]


def test_status_of_wrong_files_is_told_by_its_exit_code(case, cli):
    case.migration("0001_wrong", "create table x (;")
    code, out, _ = cli("status", "case")
    assert code == 1
    assert "0001_wrong/deploy.sql:1:17: error: syntax error" in out


def test_plan(case, cli, answer):
    lay_base(case)
    code, out, _ = cli("plan", "case")
    assert code == 0
    assert "1. 0001_base  4 statements" in out
    code, data = answer("plan", "case")
    assert [m["id"] for m in data["pending"]] == ["0001_base"]
    assert len(data["hash"]) == 64
    assert case.rows("select count(*) from pg_namespace where nspname = 'wedsync_db'") == [(0,)], "it wrote nothing"


def test_plan_with_nothing_to_do(case, cli, deployed):
    lay_base(case)
    deployed()
    assert cli("plan", "case") == (0, "case is up to date: 1 migration applied, none pending\n", "")


def test_lint(case, cli, answer):
    case.migration("0001_a", "drop table public.x;", "select 1;")
    code, out, _ = cli("lint", str(case.folder / "migrations"))
    assert code == 0
    assert "[TAB-1]" in out
    assert out.splitlines()[-1].startswith("1 migration, ")
    code, data = answer("lint", str(case.folder / "migrations"))
    assert "TAB-1" in {f["rule"] for f in data["findings"]}


def test_lint_of_what_may_not_run_fails(case, cli):
    case.migration("0001_a", "begin; create table x (id int); commit;")
    code, out, _ = cli("lint", str(case.folder / "migrations"))
    assert code == 1
    assert "1 migration" in out


def test_doctor(case, cli, answer):
    code, out, _ = cli("doctor", "case")
    assert code == 0
    assert out.splitlines()[-1] == "case: ready for a deployment"
    code, data = answer("doctor", "case")
    assert (code, data["ready"]) == (0, True)
    shutil.rmtree(case.folder / "migrations")
    code, out, _ = cli("doctor", "case")
    assert code == 3
    assert "error: there is no folder" in out
    assert out.splitlines()[-1] == "case: not ready"


# -- rehearsing --------------------------------------------------------------------------------------------------------
def test_rehearse_an_environment(case, cli):
    case.migration("0001_a", "create table public.a (id int primary key);", "drop table public.a;")
    code, out, err = cli("rehearse", "case")
    assert code == 0
    assert "0001_a: revert exact" in out
    assert "1 migration rehearsed" in out.splitlines()[-1]
    assert "scratch server" in err
    assert case.rows("select to_regclass('public.a') is null") == [(True,)]
    assert len(list(case.installation.home.backups("case").glob("2*"))) == 1


def test_rehearse_a_folder(case, answer):
    case.migration("0001_a", "create table public.a (id int primary key);", "drop table public.a;")
    code, data = answer("rehearse", "--dir", str(case.folder / "migrations"))
    assert code == 0
    assert [(p["migration"], p["licence"]) for p in data["proofs"]] == [("0001_a", "exact")]
    assert "from an empty database" in data["notes"][0]


def test_rehearse_says_no(case, refused):
    case.migration("0001_a", "create table public.a (id int primary key);", "select 1;")
    code, err = refused("rehearse", "--dir", str(case.folder / "migrations"))
    assert code == 1
    assert "0001_a" in err


def test_rehearse_shows_the_statement_that_fails(case, refused):
    case.migration("0001_a", "create table public.a (\n  id nothing\n);", "drop table public.a;")
    code, err = refused("rehearse", "--dir", str(case.folder / "migrations"))
    assert code == 1
    assert "0001_a/deploy.sql:2:6" in err
    assert "      id nothing\n         ^\n" in err


def test_rehearse_of_wrong_files_shows_all_places(case, refused):
    case.migration("0001_a", "create table x (;")
    case.migration("0002_b", "create table y (id int;")
    for arguments in (["case"], ["--dir", str(case.folder / "migrations")]):
        code, err = refused("rehearse", *arguments)
        assert code == 1
        assert "0001_a/deploy.sql:1:17: error" in err
        assert "0002_b/deploy.sql:1:23: error" in err
    assert not case.installation.home.backups("case").exists()


@pytest.mark.parametrize("arguments", [[], ["case", "--dir", "migrations"]])
def test_rehearse_takes_one_of_two(refused, arguments):
    assert refused("rehearse", *arguments)[0] == 2


def test_rehearse_with_nothing_pending_makes_no_backup(case, cli, answer, deployed):
    lay_base(case)
    deployed()
    assert cli("rehearse", "case") == (0, "nothing is pending, so there is nothing to rehearse\n", "")
    assert answer("rehearse", "case") == (0, {"proofs": []})
    assert not case.installation.home.backups("case").exists()
    empty = case.folder / "empty"
    empty.mkdir()
    assert cli("rehearse", "--dir", str(empty))[0] == 0


def test_rehearse_where_data_may_not_be_copied_makes_no_backup(case, refused):
    lay_base(case)
    path = case.folder / "environments.toml"
    path.write_text(path.read_text().replace("allow_data_copy = true", "allow_data_copy = false"))
    assert refused("rehearse", "case")[0] == 3
    assert not case.installation.home.backups("case").exists()


def test_rehearse_on_a_major_that_is_not_here(case, refused):
    lay_base(case)
    code, err = refused("rehearse", "--dir", str(case.folder / "migrations"), "--major", "9")
    assert code == 3
    assert "9" in err


# -- backups -----------------------------------------------------------------------------------------------------------
def filled(case) -> None:
    with session(case.address, "test") as connection:
        connection.execute(
            "create table public.items as select n, 'item ' || n as name from generate_series(1, 3000) n"
        )
        connection.execute("create sequence public.password_reset_seq")
        connection.execute("select nextval('public.password_reset_seq')")


def test_backup_and_backups(case, cli, answer):
    filled(case)
    code, out, _ = cli("backup", "case")
    assert code == 0
    assert "1 table  3,000 rows" in out
    code, data = answer("backup", "case")
    assert code == 0
    assert data["manifest"]["sequences"] == {"public.password_reset_seq": 1}, "a name is no secret"
    code, listed = answer("backups", "case")
    assert [one["rows"] for one in listed] == [3000, 3000]
    assert listed[-1]["id"] == data["manifest"]["id"]
    assert len(cli("backups", "case")[1].splitlines()) == 2


def test_no_backups_yet(case, cli, answer):
    code, out, _ = cli("backups", "case")
    assert (code, out) == (0, "no backups of case yet: `backup case` makes one\n")
    assert answer("backups", "case") == (0, [])


def test_damaged_manifest_is_said_and_left_out(case, cli):
    assert cli("backup", "case")[0] == 0
    (manifest,) = case.installation.home.path.glob("backups/case/2*/manifest.json")
    manifest.write_text(manifest.read_text().replace("fingerprint", "finger"))
    code, out, err = cli("backups", "case")
    assert code == 0
    assert "no backups of case yet" in out
    assert manifest.parent.name in err


def test_backup_of_a_held_target_says_who(case, refused):
    path = case.folder / "environments.toml"
    path.write_text(path.read_text().replace('freeze = "off"', 'freeze = "off"\nwait_for_holder_seconds = 0'))
    with target_lock(case.address, "maintenance", wait_seconds=0, say=print):
        code, err = refused("backup", "case")
    assert code == 3
    assert "wedsync-db/maintenance" in err


def test_restore_and_compare(case, cli, new_database):
    filled(case)
    assert cli("backup", "case")[0] == 0
    code, out, _ = cli("restore", "case", "newest", "--database", new_database, *CONFIRMED)
    assert code == 0
    assert f"restored into {new_database}" in out
    with session(case.admin.with_database(new_database), "test") as connection:
        assert connection.execute("select count(*) from public.items").fetchone() == (3000,)


def test_restore_by_name_never_over_anything(case, answer, refused, new_database):
    filled(case)
    _, made = answer("backup", "case")
    name = made["manifest"]["id"]
    code, data = answer("restore", "case", name, "--database", new_database, *CONFIRMED)
    assert (code, data["backup"], data["database"]) == (0, name, new_database)
    for existing in (new_database, case.admin.dbname):
        code, err = refused("restore", "case", name, "--database", existing, *CONFIRMED)
        assert code == 2
        assert "already" in err


def test_restore_of_an_unknown_backup(case, cli, refused):
    code, err = refused("restore", "case", "newest", "--database", "x")
    assert code == 2
    assert "`backup case`" in err
    assert cli("backup", "case")[0] == 0
    code, err = refused("restore", "case", "20000101T000000Z-0000", "--database", "x")
    assert code == 2
    assert "`backups case`" in err


def flip_a_bit(case) -> None:
    """In the middle of the newest backup's largest file of data."""
    files = [p for p in case.installation.home.path.glob("backups/case/2*/data/*") if ".dat" in p.name]
    victim = max(files, key=lambda p: p.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)


@pytest.mark.parametrize("damage", [flip_a_bit, damage_backup])
def test_restore_of_a_damaged_backup(case, cli, refused, new_database, damage):
    filled(case)
    assert cli("backup", "case")[0] == 0
    damage(case)
    code, err = refused("restore", "case", "newest", "--database", new_database, *CONFIRMED)
    assert code == 1
    assert "is damaged" in err
    assert case.rows(f"select count(*) from pg_database where datname = '{new_database}'") == [(0,)]


def test_restore_by_a_role_that_may_not(case, cli, refused):
    filled(case)
    assert cli("backup", "case")[0] == 0
    code, err = refused("restore", "case", "newest", "--database", f"{case.address.dbname}_x", *CONFIRMED)
    assert code == 1
    assert "permission denied" in err


# -- changing ----------------------------------------------------------------------------------------------------------
def test_revert(case, cli, deployed):
    lay_base(case)
    case.migration("0002_a", "create table public.a (id int primary key);", "drop table public.a;")
    deployed()
    code, out, err = cli("revert", "case", "--to", "0001_base")
    assert (code, out) == (0, "case: 1 migration reverted\n")
    assert "reverted 0002_a" in err
    assert case.rows("select to_regclass('public.a') is null") == [(True,)]
    assert cli("revert", "case", "--to", "0001_base")[1] == "nothing above 0001_base is applied\n"


def test_revert_that_loses_needs_a_person_who_types_the_name(case, answer, refused, deployed):
    lay_base(case)
    case.migration("0002_a", "create table public.a (id int primary key);", "drop table public.a;")
    deployed()
    with session(case.admin, "test") as connection:
        connection.execute("insert into public.a values (1)")
    code, err = refused("revert", "case", "--to", "0001_base")
    assert code == 4
    assert "  at risk: " in err
    assert "--accept-loss case" in err
    code, err = refused("revert", "case", "--to", "0001_base", "--accept-loss", "production")
    assert code == 2
    code, err = refused("revert", "case", "--to", "0001_base", "--accept-loss", "case")
    assert (code, "needs a reason" in err) == (2, True)
    sure = ("--accept-loss", "case", "--reason", "agreed  with\nthe owner")
    assert answer("revert", "case", "--to", "0001_base", *sure) == (0, {"reverted": ["0002_a"]})
    found = case.rows("select kind, what, reason, at_risk from wedsync_db.decision order by number")
    assert found[-1] == ("rung", "reverted to 0001_base", "agreed with the owner", ["0002_a: 1 row in public.a"])


def test_revert_to_what_is_not_applied(refused):
    code, err = refused("revert", "case", "--to", "0009_nothing")
    assert code == 2
    assert "0 reverts everything" in err


def test_recover_with_nothing_to_recover(cli, answer):
    assert cli("recover", "case") == (0, "case: no interrupted deployment\n", "")
    assert answer("recover", "case") == (0, {"recovered": []})


def test_recover_finishes_what_was_interrupted(case, answer, deployed):
    lay_base(case)
    target = deployed(finish=False)
    code, data = answer("recover", "case")
    assert code == 0
    (done,) = data["recovered"]
    assert done["deployment_id"] == target.deployment.id
    assert done["ended"] == "done"


def test_new(case, cli, answer, refused):
    folder = str(case.folder / "migrations")
    code, out, _ = cli("new", "first_thing", "--dir", folder)
    assert code == 0
    assert "0001_first_thing" in out
    code, data = answer("new", "second_thing", "--dir", folder, "--requires", "0001_first_thing")
    assert data["path"].endswith("0002_second_thing")
    assert refused("new", "second_thing", "--dir", folder)[0] == 2
    assert refused("new", "Bad Name", "--dir", folder)[0] == 2


# -- what goes wrong before a verb begins ------------------------------------------------------------------------------
VERBS = [
    ["doctor", "ENV"], ["status", "ENV"], ["plan", "ENV"], ["rehearse", "ENV"], ["backup", "ENV"], ["recover", "ENV"],
    ["revert", "ENV", "--to", "0"],
]  # fmt: skip
verbs = pytest.mark.parametrize("verb", VERBS, ids=lambda v: v[0])


def on(verb: list[str], environment: str) -> list[str]:
    return [environment if word == "ENV" else word for word in verb]


@pytest.mark.parametrize("verb", [*VERBS, ["backups", "ENV"], ["restore", "ENV", "newest", "--database", "x"],
                                  ["repair", "ENV", "--from", "newest"]],
                         ids=lambda v: v[0])  # fmt: skip
def test_unknown_environment(refused, verb):
    code, err = refused(*on(verb, "cse"))
    assert code == 2
    assert "did you mean 'case'" in err


@verbs
def test_missing_variable(refused, monkeypatch, verb):
    monkeypatch.delenv(URL_VARIABLE)
    code, err = refused(*on(verb, "case"))
    assert code == 2
    assert URL_VARIABLE in err


@verbs
def test_unreachable_server(refused, monkeypatch, verb):
    monkeypatch.setenv(URL_VARIABLE, CLOSED_PORT)
    code, err = refused(*on(verb, "case"))
    assert code == 1
    assert "Nothing listens there" in err


@verbs
def test_wrong_password(case, refused, monkeypatch, verb):
    monkeypatch.setenv(URL_VARIABLE, url(case.address).replace(PASSWORD, "wrong-of-nobody"))
    code, err = refused(*on(verb, "case"))
    assert code == 1
    assert "password is wrong or expired" in err


@verbs
def test_environment_that_does_not_exist_yet(case, refused, monkeypatch, verb):
    home = case.folder / "fresh-home"
    monkeypatch.setenv("WEDSYNC_HOME", str(home))
    monkeypatch.delenv("WEDSYNC_ENVIRONMENTS")
    if verb[0] in {"recover", "revert"}:
        monkeypatch.chdir(case.installation.checkout)
    code, err = refused(*on(verb, "demo"))
    assert code == 3
    assert "environment demo does not exist yet" in err
    assert not home.exists()


def test_backups_of_an_environment_that_does_not_exist_yet(case, cli, refused, monkeypatch):
    home = case.folder / "fresh-home"
    monkeypatch.setenv("WEDSYNC_HOME", str(home))
    assert cli("backups", "case")[0] == 0
    assert refused("restore", "case", "newest", "--database", "x")[0] == 2
    assert not home.exists()


@pytest.mark.parametrize("verb", [v for v in VERBS if v[0] not in {"doctor", "backup"}], ids=lambda v: v[0])
def test_missing_folder_of_migrations(case, refused, verb):
    shutil.rmtree(case.folder / "migrations")
    code, err = refused(*on(verb, "case"))
    assert code == 1
    assert "migrations cannot be read: No such file or directory" in err


def test_missing_settings_file(case, refused, monkeypatch):
    monkeypatch.setenv("WEDSYNC_ENVIRONMENTS", str(case.folder / "none.toml"))
    assert refused("status", "case")[0] == 2


def test_password_in_the_settings_file(case, refused):
    write_settings(case.folder, f'description = "{CLOSED_PORT}"')
    code, err = refused("status", "case")
    assert code == 2
    assert "holds a password" in err


def test_defect_is_one_line_too(refused, monkeypatch):
    def broken(*_arguments):
        raise RuntimeError("a row of-nobody")

    monkeypatch.setattr("wedsync_db.cli.looking.status", broken)
    code, err = refused("status", "case")
    assert code == 1
    assert "unexpected RuntimeError at test_cli.py:" in err


def test_interruption_is_one_line(cli, monkeypatch):
    def interrupted(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("wedsync_db.cli.looking.status", interrupted)
    assert cli("status", "case") == (130, "", "interrupted; `status` says where things stand\n")
