"""Each rule of the linter: what it says of a bad example (golden), and that the good one beside it is left alone.

An example is one or more deploy.sql, parted by `--- next`. `UPDATE_GOLDEN=1` writes what is said now.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from wedsync_db.migrate.files import read_migrations
from wedsync_db.migrate.lint import lint, lint_pending
from wedsync_db.model import Severity
from wedsync_db.report.findings import findings_text

GOLDEN = Path(__file__).parents[1] / "golden" / "lint"
RULES = sorted(p.stem for p in GOLDEN.glob("*.sql"))
OFTEN = {"no-revert", "no-verify"}
IMPOSSIBLE = {"IDX-4", "TX-4", "TX-5"}


@pytest.fixture
def said(tmp_path, monkeypatch):
    """What is said of the deploy.sql texts of consecutive migrations; paths are relative, as in a checkout."""
    monkeypatch.chdir(tmp_path)

    def lint_texts(text, **options):
        for number, deploy in enumerate(text.split("--- next\n"), start=1):
            folder = Path("migrations") / f"{number:04}_example"
            folder.mkdir(parents=True)
            (folder / "deploy.sql").write_text(deploy, encoding="utf-8")
        migrations, findings = read_migrations(Path("migrations"))
        assert findings == ()
        return tuple(f for f in lint_pending(migrations, **options) if f.rule not in OFTEN)

    return lint_texts


def example(rule, part):
    text = (GOLDEN / f"{rule}.sql").read_text(encoding="utf-8")
    bad, good = re.fullmatch(r"--- bad\n(.*)--- good\n(.*)", text, re.DOTALL).groups()
    return {"bad": bad, "good": good}[part]


@pytest.mark.parametrize("rule", RULES)
def test_bad_example_is_found(rule, said):
    findings = said(example(rule, "bad"))
    assert rule in {f.rule for f in findings}
    assert {f.severity for f in findings if f.rule == rule} <= {Severity.WARNING, Severity.NOTE} or rule in IMPOSSIBLE
    text = findings_text(findings) + "\n"
    golden = GOLDEN / f"{rule}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", RULES)
def test_good_example_is_left_alone(rule, said):
    assert rule not in {f.rule for f in said(example(rule, "good"))}


def test_rewrite_of_not_null_is_that_of_the_target(said):
    sql = "alter table app.orders alter column note set not null;"
    (found,) = said(sql, target_major=18)
    assert "CHECK" not in found.hint
    assert "NOT VALID" in found.hint


def test_rewrite_of_not_null_before_18(said):
    (found,) = said("alter table app.orders alter column note set not null;", target_major=17)
    assert "CHECK (x IS NOT NULL) NOT VALID" in found.hint


def test_table_that_may_have_been_there_is_not_new(said):
    sql = "create table if not exists app.orders (id int);\ncreate index orders_id on app.orders (id);"
    assert {f.rule for f in said(sql)} == {"IDX-1"}


def test_table_dropped_and_made_by_others_again_is_not_new(said):
    sql = "create table app.t (id int);\ndrop table app.t;\ncreate index t_id on app.t (id);"
    assert {f.rule for f in said(sql)} == {"IDX-1"}


def test_do_block_that_enables_row_security_is_believed(said):
    sql = (
        "create table t (id int);\ndo $$ begin execute format('alter table %I enable row level security', 't'); end $$;"
    )
    assert said(sql) == ()


def test_statement_nested_too_deeply_is_a_note(said):
    (found,) = said(f"select {'+'.join('1' * 3000)};")
    assert (found.rule, found.severity) == ("EXE-1", Severity.NOTE)


def test_one_migration_alone(tmp_path):
    (tmp_path / "0001_a").mkdir()
    (tmp_path / "0001_a" / "deploy.sql").write_text("drop table app.orders;", encoding="utf-8")
    (migration,), _ = read_migrations(tmp_path)
    assert {f.rule for f in lint(migration)} == {"TAB-1"} | OFTEN


def test_caret_stands_under_the_character_meant_after_wide_ones(said):
    (found,) = said("select '日本', set_config('a', 'ü', false);")
    assert found.excerpt.splitlines() == [
        "select '日本', set_config('a', 'ü', false);",
        "               ^",
    ]
    assert found.column == 14
