"""What may be deployed, and every reason why something may not."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from wedsync_db.errors import PlanError
from wedsync_db.migrate.files import read_migrations
from wedsync_db.migrate.plan import make_plan, plan_of, require_sound
from wedsync_db.model import LedgerEntry, Severity

ERROR, WARNING = Severity.ERROR, Severity.WARNING


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def write(folder, name, deploy="select 1", revert="select 1", verify="select true", **others):
    (folder / name).mkdir(exist_ok=True)
    for script, text in {"deploy": deploy, "revert": revert, "verify": verify, **others}.items():
        if text is not None:
            (folder / name / f"{script}.sql").write_text(text, encoding="utf-8")


def planned(folder, applied=()):
    return make_plan(*read_migrations(folder), applied)


def applied(folder):
    """The ledger after everything in the folder was applied."""
    migrations, _ = read_migrations(folder)
    at = datetime(2026, 6, 1, tzinfo=UTC)
    return tuple(
        LedgerEntry(m.id, i, m.deploy.sha256, m.deploy.tree_hash, "d1", at, "ann") for i, m in enumerate(migrations, 1)
    )


def said(plan, *severities):
    return [(f.rule, f.migration) for f in plan.findings if f.severity in (severities or (ERROR,))]


def test_sound_plan(folder):
    write(folder, "0001_a")
    write(folder, "0003_c", "-- requires: 0001_a\nselect 1")
    write(folder, "0002_b", "-- requires: 0003_c\nselect 1")
    plan = planned(folder)
    assert [m.id for m in plan.pending] == ["0001_a", "0003_c", "0002_b"]
    assert plan.findings == ()
    require_sound(plan)


def test_nothing_pending(folder):
    write(folder, "0001_a")
    ledger = applied(folder)
    plan = planned(folder, ledger)
    assert (plan.pending, plan.applied, plan.findings) == ((), ledger, ())


def test_edited_in_meaning(folder):
    write(folder, "0001_a")
    ledger = applied(folder)
    write(folder, "0001_a", "select 2")
    plan = planned(folder, ledger)
    assert said(plan) == [("edited", "0001_a")]
    assert "2026-06-01 by ann" in plan.findings[0].message


def test_edited_in_layout_only(folder):
    write(folder, "0001_a")
    ledger = applied(folder)
    write(folder, "0001_a", "-- why\nSELECT\n  1;")
    plan = planned(folder, ledger)
    assert said(plan, ERROR) == []
    assert said(plan, WARNING) == [("edited", "0001_a")]


def test_edited_so_that_it_cannot_be_parsed(folder):
    write(folder, "0001_a")
    ledger = applied(folder)
    write(folder, "0001_a", "selec 1")
    plan = planned(folder, ledger)
    assert said(plan) == [("edited", "0001_a")]
    assert said(plan, WARNING) == [("syntax", "0001_a")]


def test_unknown_tree_is_not_an_equal_one(folder):
    write(folder, "0001_a", "selec 1")
    ledger = applied(folder)
    write(folder, "0001_a", "selec  1")
    assert said(planned(folder, ledger)) == [("edited", "0001_a")]


def test_gone_from_disk(folder):
    write(folder, "0001_a")
    write(folder, "0002_b")
    ledger = applied(folder)
    (folder / "0001_a" / "deploy.sql").unlink()
    plan = planned(folder, ledger)
    assert said(plan) == [("missing", "0001_a")]
    assert said(plan, WARNING) == [("no-deploy", "0001_a")]


def test_late(folder):
    write(folder, "0002_b")
    ledger = applied(folder)
    write(folder, "0001_a")
    write(folder, "0003_c")
    assert said(planned(folder, ledger)) == [("late", "0001_a")]


def test_ledger_of_somebody_elses_names(folder):
    write(folder, "0001_a")
    (entry,) = applied(folder)
    plan = planned(folder, (replace(entry, id="initial"),))
    assert said(plan) == [("missing", "initial")]


def test_cycle_and_unknown_requirement(folder):
    write(folder, "0001_a", "-- requires: 0002_b\nselect 1")
    write(folder, "0002_b", "-- requires: 0001_a, 0009_z\nselect 1")
    assert said(planned(folder)) == [("undeclared", "0002_b"), ("cycle", "0001_a")]


def test_requirement_that_cannot_be_read_is_said_once(folder):
    write(folder, "0001_a", deploy=None)
    write(folder, "0002_b", "-- requires: 0001_a\nselect 1")
    assert said(planned(folder)) == [("no-deploy", "0001_a")]


def test_fault_in_an_applied_migration_is_a_warning(folder):
    write(folder, "0001_a")
    ledger = applied(folder)
    write(folder, "0001_a", revert="selec 1")
    plan = planned(folder, ledger)
    assert (said(plan), said(plan, WARNING)) == ([], [("syntax", "0001_a")])
    require_sound(plan)


def test_number_of_an_applied_migration_taken_again(folder):
    write(folder, "0001_b")
    ledger = applied(folder)
    write(folder, "0001_a")
    assert said(planned(folder, ledger)) == [("duplicate", "0001_b")]


@pytest.mark.parametrize(
    ("scripts", "rule", "severity"),
    [
        ({"deploy": "begin; select 1; commit"}, "TX-4", ERROR),
        ({"deploy": "-- transaction: none\nbegin; select 1; commit"}, "TX-4", ERROR),
        ({"deploy": "savepoint a"}, "TX-4", ERROR),
        ({"deploy": "do $$ begin commit; end $$"}, "TX-5", ERROR),
        ({"deploy": "vacuum"}, "IDX-4", ERROR),
        ({"deploy": "-- nothing\n"}, "empty", ERROR),
        ({"deploy": "-- transaction: none\n;"}, "empty", ERROR),
        ({"revert": "drop index concurrently i"}, "IDX-4", ERROR),
        ({"revert": "rollback"}, "TX-4", ERROR),
        ({"revert": None}, "no-revert", WARNING),
        ({"revert": "selec"}, "no-revert", WARNING),
        ({"revert": "-- later"}, "no-revert", WARNING),
        ({"verify": None}, "no-verify", Severity.NOTE),
        ({"verify": ""}, "no-verify", Severity.NOTE),
        ({"verify": "commit"}, "TX-4", ERROR),
        ({"deploy": "-- transaction: none\nvacuum", "verify": "vacuum"}, "IDX-4", ERROR),
        ({"verify": "insert into log values (1)"}, "verify-writes", WARNING),
        ({"verify": "select 1 into t"}, "verify-writes", WARNING),
        ({"verify": "with gone as (delete from t returning 1) select * from gone"}, "verify-writes", WARNING),
        ({"lossless": "select 1; select 2"}, "lossless", ERROR),
        ({"lossless": "delete from t"}, "lossless", ERROR),
        ({"lossless": ""}, "lossless", ERROR),
        ({"lossless": f"select {'+'.join('1' * 3000)}"}, "lossless", ERROR),
    ],
)
def test_scripts(folder, scripts, rule, severity):
    write(folder, "0001_a", **scripts)
    plan = planned(folder)
    assert (rule, "0001_a") in said(plan, severity)


@pytest.mark.parametrize(
    "scripts",
    [
        {"deploy": "-- transaction: none\nvacuum", "revert": "vacuum"},
        {"deploy": "-- transaction: none\ndo $$ begin commit; end $$"},
        {"verify": "do $$ begin assert true; end $$; set local role x; select true; call check_it()"},
        {"lossless": "with a as (select 1) select count(*) from a"},
    ],
)
def test_scripts_that_are_right(folder, scripts):
    write(folder, "0001_a", **scripts)
    assert {rule for rule, _ in said(planned(folder), ERROR, WARNING)} == set()


def test_every_error_is_told_with_its_place(folder):
    write(folder, "0001_a", "select 1;\n  selec 2;")
    write(folder, "0002_b", "select 1;\nbegin;", revert=None)
    with pytest.raises(PlanError) as caught:
        require_sound(planned(folder))
    error = caught.value
    assert error.message == "the plan has 2 errors; nothing was touched"
    assert error.exit_code == 1
    assert error.hint.replace(str(folder), "migrations").splitlines() == [
        'migrations/0001_a/deploy.sql:2:3: error: syntax error at or near "selec" [syntax]',
        "      selec 2;",
        "      ^",
        "migrations/0002_b/deploy.sql:2:1: error: BEGIN in a migration [TX-4]",
        "    begin;",
        "    ^",
        "  → remove it: the program begins and ends transactions",
    ]
    again = pickle.loads(pickle.dumps(error))
    assert (again.message, again.hint, again.findings) == (error.message, error.hint, error.findings)


def test_one_error_is_one(folder):
    write(folder, "0001_a", "")
    with pytest.raises(PlanError, match="the plan has 1 error; nothing was touched"):
        require_sound(planned(folder))


def test_hash_follows_order_and_content(folder):
    write(folder, "0001_a")
    write(folder, "0002_b")
    before = planned(folder).hash
    assert planned(folder).hash == before
    write(folder, "0001_a", "-- requires: 0002_b\nselect 1")
    assert planned(folder).hash != before


def test_plan_of_a_folder_is_the_same_with_and_without_the_short_cut(folder):
    write(folder, "0001_a")
    write(folder, "0002_b")
    (folder / "README.md").write_text("about")
    ledger = applied(folder)
    assert plan_of(folder, ledger) == planned(folder, ledger)
    assert plan_of(folder, ledger[:1]) == planned(folder, ledger[:1])
    assert [m.id for m in plan_of(folder, ledger[:1]).pending] == ["0002_b"]


@pytest.mark.parametrize("change", ["edit", "remove", "add", "stray", "link"])
def test_short_cut_overlooks_nothing(folder, change):
    write(folder, "0001_a")
    write(folder, "0002_b")
    ledger = applied(folder)
    deploy = folder / "0002_b" / "deploy.sql"
    if change == "edit":
        write(folder, "0002_b", "select 2")
    elif change == "remove":
        deploy.unlink()
    elif change == "add":
        write(folder, "0003_c")
    elif change == "stray":
        (folder / "0003_c.sql").write_text("select 1")
    else:
        deploy.unlink()
        deploy.symlink_to("deploy.sql")
    plan = plan_of(folder, ledger)
    assert plan == planned(folder, ledger)
    assert plan.findings or plan.pending


def test_plan_of_no_folder(folder):
    with pytest.raises(PlanError, match="cannot be read"):
        plan_of(folder / "none", ())
