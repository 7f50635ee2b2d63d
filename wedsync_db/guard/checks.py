"""Asking the guard's questions of a target, and deciding on the answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime

import psycopg

from wedsync_db.guard import questions
from wedsync_db.guard.decide import RULES, GuardReport, decide, parse_overrides, policies
from wedsync_db.guard.impact import NO_WORK, Work
from wedsync_db.guard.promotion import Promotion
from wedsync_db.guard.questions import Context, Question
from wedsync_db.home import Home
from wedsync_db.model import Finding, Severity
from wedsync_db.postgres.locks import holder
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import Environment

QUESTIONS: Mapping[str, Question] = {
    "version": questions.version,
    "standby": questions.standby,
    "read-only": questions.read_only,
    "pooled": questions.pooled,
    "settings": questions.settings,
    "tls": questions.tls,
    "role": questions.role,
    "rows": questions.rows,
    "clock": questions.clock,
    "freeze": questions.freeze,
    "weddings": questions.weddings,
    "promotion": questions.promotion,
    "load-test": questions.load_test,
    "held": questions.held,
    "blockers": questions.blockers,
    "disk": questions.disk,
    "replication": questions.replication,
}
# what may change while a deployment runs. Not `held`: by then the lock is ours, or taking it tells
TIMELY = frozenset({"standby", "read-only", "pooled", "settings", "tls", "clock", "freeze", "weddings", "blockers"})
_STAGES: Mapping[str, frozenset[str]] = {
    "start": frozenset(QUESTIONS),
    "migrate": TIMELY | {"promotion", "load-test"},
    "between": TIMELY,  # another environment that goes away now is no reason to undo what is half done here
}
_POLL_SECONDS = 0.2


def check_guard(
    address: Address,
    environment: Environment,
    *,
    stage: str,
    clock: Callable[[], datetime],
    home: Home,
    work: Work = NO_WORK,
    promotion: Promotion | None = None,
    overrides: Iterable[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> GuardReport:
    """Ask everything that speaks against touching the target now. Refuses nothing itself: see `require_open`.

    Args:
        address: The target.
        environment: Its policies and limits.
        stage: "start" asks everything and gives a holder of the database time to yield; "migrate", right before
            the first migration, and "between" them only what may have changed.
        clock: This machine's time, aware; the freeze goes by the server's.
        home: Where backup and scratch server go.
        work: What the deployment has still to do, as far as it is known.
        promotion: What the environment says of it that comes first, where there is one.
        overrides: `RULE=REASON` each.
        say: Gets a line when somebody is waited for.

    Raises:
        UsageError: an override is not right.
        Unreachable: no session with the target could be opened.
        Refused: a pooler answers that takes no settings, or the server is far too old.
    """
    accepted = parse_overrides(overrides)
    context = Context(environment, home.path, clock, work, promotion)
    with session(address, "guard") as connection:
        if stage == "start":
            _wait_for_holder(connection, environment.guard.wait_for_holder_seconds, say)
        findings = ask(connection, context, _STAGES[stage])
    return decide(findings, policies(environment.guard), accepted)


def ask(connection: psycopg.Connection, context: Context, rules: frozenset[str]) -> tuple[Finding, ...]:
    """The findings of these rules, in their order. What could not be asked is a finding, too."""
    findings: list[Finding] = []
    for rule, question in QUESTIONS.items():
        if rule not in rules:
            continue
        try:
            findings += question(connection, context)
        except (psycopg.Error, OSError) as error:
            text = f"it could not be checked that {RULES[rule]}: {questions.reason(error)}"
            findings.append(Finding(rule, Severity.ERROR, text, "What is not known does not pass"))
    return tuple(findings)


def _wait_for_holder(connection: psycopg.Connection, seconds: float, say: Callable[[str], None]) -> None:
    """Give a long job that holds the target, and sees our announcement, the time to yield."""
    deadline = time.monotonic() + seconds
    said = False
    with suppress(psycopg.Error):  # the question itself says so afterwards
        while time.monotonic() < deadline and (who := holder(connection)):
            if not said:
                say(f"guard: waiting up to {seconds:g} s for {who}")
                said = True
            time.sleep(_POLL_SECONDS)
