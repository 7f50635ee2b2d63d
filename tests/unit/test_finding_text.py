"""Findings and SQL as people and programs read them."""

from __future__ import annotations

import json
from pathlib import Path

from wedsync_db.model import Finding, Severity
from wedsync_db.report.findings import finding_json, finding_text, findings_text
from wedsync_db.report.sql import LONGEST, pretty_sql

FINDING = Finding(
    "syntax",
    Severity.ERROR,
    "syntax error",
    hint="first\nsecond",
    migration="0001_a",
    path=Path("migrations/0001_a/deploy.sql"),
    line=2,
    column=3,
    excerpt="  selec\n  ^",
)


def test_text_with_everything():
    assert finding_text(FINDING) == (
        "migrations/0001_a/deploy.sql:2:3: error: syntax error [syntax]\n      selec\n      ^\n  → first\n  → second"
    )


def test_text_with_less():
    assert finding_text(Finding("guard", Severity.WARNING, "a wedding")) == "warning: a wedding [guard]"
    about = Finding("missing", Severity.ERROR, "gone", migration="0001_a")
    assert finding_text(about) == "0001_a: error: gone [missing]"
    assert finding_text(Finding("name", Severity.NOTE, "bad", path=Path("x"))) == "x: note: bad [name]"


def test_several():
    one = Finding("a", Severity.NOTE, "b")
    assert findings_text([one, one]) == "note: b [a]\nnote: b [a]"


def test_json_holds_every_field():
    shown = json.loads(json.dumps(finding_json(FINDING)))
    assert shown.keys() == set(Finding.__dataclass_fields__)
    assert (shown["path"], shown["severity"], shown["line"]) == ("migrations/0001_a/deploy.sql", "error", 2)
    assert finding_json(Finding("a", Severity.NOTE, "b"))["path"] is None


def test_sql_is_laid_out():
    assert pretty_sql("SELECT a,b FROM t WHERE a=1 AND b='X'") == "select a,\n       b\nfrom t\nwhere a=1\n  and b='X'"


def test_sql_too_long_or_too_deep_stays_as_it_is():
    for sql in ("select " + "1," * LONGEST + "1", "select " + "(" * 3000 + "1" + ")" * 3000):
        assert pretty_sql(sql) == sql
