"""The deployment report as a page: what is seen first, that nothing gets out of its place, and that it is private."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.support import values
from tests.support.golden import assert_golden
from wedsync_db.model import Change, Outcome, Proof
from wedsync_db.redact import register_secret
from wedsync_db.report.html import deployment_html, write_report

OUTCOMES = {
    "deployed": values.deployed(),
    "rolled_back": values.rolled_back(),
    "person_needed": values.person_needed(),
}
EVIL = '<script>alert("1")</script>'
_VOID = {"meta", "br", "link", "img"}


class Page(HTMLParser):
    """Reads a page strictly: every tag closed in order; collects tags, attributes and headings."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.headings: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in {"h1", "h2"}:
            self.headings.append(data)


def with_rehearsal(**more) -> Outcome:
    outcome = values.deployed()
    return replace(outcome, proof=Proof(outcome.proof.plan, outcome.proof.backup, values.rehearsal(**more)))


@pytest.mark.parametrize("end", OUTCOMES)
def test_page(end):
    assert_golden(f"report/page_{end}.html", deployment_html(OUTCOMES[end]))


@pytest.mark.parametrize("end", OUTCOMES)
def test_page_says_first_how_it_ended_then_licences_locks_and_statements(end):
    headings = Page(deployment_html(OUTCOMES[end])).headings
    assert headings[0] == {
        "deployed": "Deployed", "rolled_back": "Rolled back", "person_needed": "A person is needed"
    }[end]  # fmt: skip
    order = [headings.index(h) for h in headings if h.startswith(("Can it", "Who has", "Statements"))]
    assert order == sorted(order)
    assert len(order) == 3


def test_person_needed_sees_the_risk_before_any_figure():
    text = Page(deployment_html(OUTCOMES["person_needed"])).text
    assert text.index("12 rows of app.guest_notes") < text.index("What to do") < text.index("Predicted")


def test_page_needs_nothing_from_outside():
    text = deployment_html(OUTCOMES["deployed"])
    tags = Page(text).tags
    assert {tag for tag, _ in tags}.isdisjoint({"script", "link", "img", "iframe", "object", "base", "form"})
    assert not [a for _, attributes in tags for a in attributes if a in {"src", "href", "action"} or a.startswith("on")]
    assert not re.search(r"url\(|@import|https?://", text)


def evil_outcome() -> Outcome:
    """`EVIL` wherever a text of the target, of a file or of a person can stand."""
    proofs = tuple(replace(p, reasons=(EVIL,), locks=tuple(replace(k, relation=EVIL) for k in p.locks))
                   for p in values.proofs())  # fmt: skip
    statements = tuple(replace(s, sql=f"select '{EVIL}'", rewrites=(EVIL,), scans=((EVIL, 3),))
                       for s in values.statements())  # fmt: skip
    rehearsal = values.rehearsal(
        proofs=proofs, statements=statements, notes=(EVIL,), expected=Change({EVIL: (None, EVIL)})
    )
    findings = tuple(replace(f, message=EVIL, hint=EVIL, migration=EVIL) for f in values.FINDINGS)
    outcome = values.person_needed()
    return replace(
        outcome,
        deployment=replace(outcome.deployment, runner=EVIL),
        proof=Proof(values.plan(*findings), outcome.proof.backup, rehearsal),
        problem=EVIL,
        at_risk=(EVIL,),
    )


def test_everything_is_escaped():
    text = deployment_html(evil_outcome())
    assert "<script" not in text
    page = Page(text)
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count(EVIL) >= 20, "shown as what it is"


@pytest.mark.parametrize(
    "secret",
    [
        "create role a password 'of-nobody'",
        "alter role a password E'of-nobody'",
        "select dblink('host=x password=of-nobody')",
        "create subscription s connection 'postgresql://me:of-nobody@host/db' publication p",
        "select 'registered <&> of-nobody'",
        f"create user mapping for x server {'y' * 90} options (user 'someone', password 'of-nobody')",
    ],
)
def test_secrets_are_not_shown(secret):
    register_secret("registered <&> of-nobody")
    outcome = with_rehearsal(statements=tuple(replace(s, sql=secret) for s in values.statements()), notes=(secret,))
    text = deployment_html(replace(outcome, applied=None, problem=secret))
    assert "of-nobody" not in text
    assert Page(text).headings, "and no tag was taken along"


def test_page_of_a_rehearsal_without_locks_says_so():
    proofs = tuple(replace(p, locks=()) for p in values.proofs())
    assert "Nobody: no table" in deployment_html(with_rehearsal(proofs=proofs))


def test_weaker_rehearsal_is_called_weaker():
    assert "weaker: see its notes" in deployment_html(with_rehearsal(complete=False))
    assert "weaker: see its notes" not in deployment_html(with_rehearsal())


def test_lock_that_stops_readers_stands_first():
    text = Page(deployment_html(OUTCOMES["deployed"])).text
    waiting = text[text.index("Who has to wait") : text.index("Statements")]
    order = [waiting.index(mode) for mode in ("AccessExclusiveLock", "ShareUpdateExclusiveLock", "RowShareLock")]
    assert order == sorted(order)


def test_many_statements_are_folded():
    assert "<details open" in deployment_html(with_rehearsal())
    many = tuple(replace(s, index=n) for n in range(5) for s in values.statements())
    assert "<details open" not in deployment_html(with_rehearsal(statements=many))


def test_times_are_utc_wherever_the_database_is():
    from datetime import timedelta, timezone

    outcome = values.deployed()
    there = values.AT.astimezone(timezone(timedelta(hours=5)))
    text = deployment_html(replace(outcome, deployment=replace(outcome.deployment, started_at=there)))
    assert "2026-06-07 14:30:00 UTC" in text


def test_file_is_private_and_appears_at_once(tmp_path):
    before = os.umask(0)
    try:
        path = write_report(values.deployed(), tmp_path / "reports")
    finally:
        os.umask(before)
    assert path == tmp_path / "reports" / "staging" / f"{values.deployment().id}.html"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_text(encoding="utf-8") == deployment_html(values.deployed())
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert write_report(values.deployed(), tmp_path / "reports") == path, "once more is no error"


def test_text_that_is_none_does_not_stop_the_report(tmp_path):
    outcome = replace(values.rolled_back(), problem="a path: \udcff")
    assert "\\udcff" in write_report(outcome, tmp_path).read_text(encoding="utf-8")
