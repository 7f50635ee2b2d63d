"""What a policy may look like: for whom, over which rows, and in which form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from wedsync_db.model import Finding, Severity
from wedsync_db.schema.policy_form import Form, form_of
from wedsync_db.schema.rules import Rule

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
_FORM = "Compare the tenant column: = any ((select f())::uuid[]), or = (select auth.uid())"
_COMMANDS = ("select", "insert", "update", "delete")
_EDITABLE = re.compile(r"\b(raw_user_meta_data|user_metadata|request\.(?:header|cookie)s?)\b")

RULES: Mapping[str, Rule] = {
    "policy-per-row": Rule(_ERROR, "it calls {detail} for every row", _FORM),
    "policy-subquery": Rule(_ERROR, "{detail} is a filter over every row and uses no index of the tenant's", _FORM),
    "policy-unscoped": Rule(_ERROR, "some way through it compares no plain column with the caller's own", _FORM),
    "policy-unindexed": Rule(
        _ERROR, "no index leads with {detail}, by which it finds the rows", "CREATE INDEX on {detail}"
    ),
    "policy-always-true": Rule(_ERROR, "it lets everybody {detail} every row", _FORM),
    "policy-for-everybody": Rule(
        _ERROR, "it names no role, so it is computed for every one", "TO authenticated, or TO anon"
    ),
    "policy-user-metadata": Rule(
        _ERROR, "it trusts {detail}, which users write themselves", "Ask a table of ours, or app_metadata"
    ),
    "policy-multiple": Rule(
        _WARNING, "{detail}: each is computed for every row", "One policy with OR, or two roles that do not overlap"
    ),
    "policy-public": Rule(
        _NOTE, "everybody it is for ({detail}) sees the same rows, whoever they are", "Fine if meant"
    ),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as the catalog has it; `indexed` are the columns that lead an index of its table."""

    table: str
    name: str
    command: str  # select, insert, update, delete or all
    permissive: bool
    roles: tuple[str, ...]  # PUBLIC for everybody
    using: str | None
    check: str | None
    indexed: frozenset[str]
    has_tenant: bool

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands it is asked about."""
        return _COMMANDS if self.command == "all" else (self.command,)

    @property
    def writes(self) -> bool:
        """Whether it is asked about anything but reading."""
        return self.command != "select"


def judge(policies: Iterable[Policy]) -> Iterator[Finding]:
    """What is wrong with these policies, each by itself and together."""
    known = tuple(policies)
    for policy in known:
        if "PUBLIC" in policy.roles:
            yield _says(policy, "policy-for-everybody")
        for expression, reads in ((policy.using, True), (policy.check, False)):
            if expression is not None:
                yield from _judge_expression(policy, expression, reads=reads)
    yield from _multiple(known)


def _judge_expression(policy: Policy, expression: str, *, reads: bool) -> Iterator[Finding]:
    if editable := _EDITABLE.search(expression):
        yield _says(policy, "policy-user-metadata", editable[0], expression)
    form = form_of(expression)
    slow = tuple(_slow(policy, form, expression))
    yield from slow
    if slow or not policy.permissive:
        return
    if not form.is_scoped:
        yield _unscoped(policy, form, expression)
    elif reads and not form.is_found_by(policy.indexed):
        yield _says(policy, "policy-unindexed", " or ".join(sorted(set(form.columns) - policy.indexed)), expression)


def _slow(policy: Policy, form: Form, expression: str) -> Iterator[Finding]:
    for name in form.per_row:
        yield _says(policy, "policy-per-row", f"{name}()", expression)
    for what in form.subqueries:
        yield _says(policy, "policy-subquery", what, expression)


def _unscoped(policy: Policy, form: Form, expression: str) -> Finding:
    """Rows shown to strangers, or of a table that belongs to no tenant, are public on purpose; writes never are."""
    if not (form.asks or form.looks) and policy.writes:
        return _says(
            policy, "policy-always-true", " and ".join(c for c in policy.commands if c != "select"), expression
        )
    public = policy.roles == ("anon",) or not policy.has_tenant
    if public and not policy.writes and not form.asks:
        return _says(policy, "policy-public", ", ".join(policy.roles), expression)
    return _says(policy, "policy-unscoped", excerpt=expression)


def _multiple(policies: Iterable[Policy]) -> Iterator[Finding]:
    """Several permissive policies for one role and command: each is computed, and one may widen another unseen."""
    names: dict[tuple[str, str], list[str]] = {}
    for policy in policies:
        for command in policy.commands if policy.permissive else ():
            for role in ("anon", "authenticated") if "PUBLIC" in policy.roles else policy.roles:
                names.setdefault((policy.table, f"{role} to {command}"), []).append(policy.name)
    for (table, what), found in names.items():
        if len(found) > 1:
            detail = f"{len(found)} permissive policies for {what} ({', '.join(found)})"
            yield RULES["policy-multiple"].finding("policy-multiple", table, detail)


def _says(policy: Policy, rule: str, detail: str = "", excerpt: str = "") -> Finding:
    return RULES[rule].finding(rule, f"{policy.table}, policy {policy.name}", detail, excerpt)
