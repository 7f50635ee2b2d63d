"""What the guard's findings come to: policies and overrides are weighed here, and nowhere else. No effects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from wedsync_db.errors import Refused, TargetHeld, UsageError
from wedsync_db.model import Finding, Severity
from wedsync_db.setting_values import suggestion
from wedsync_db.settings import GuardSettings, Policy

# every rule with what it makes sure of; `refused` below says when it does not
RULES: Mapping[str, str] = {
    "version": "the server is PostgreSQL 15 to 18",
    "standby": "the server takes writes, it is no standby",
    "read-only": "transactions may write",
    "pooled": "the session goes to the server itself, not through a pooler",
    "settings": "the server took our timeouts",
    "tls": "the connection is encrypted where the environment requires it",
    "role": "the role may create what a deployment needs",
    "rows": "the role sees all rows, so that a backup is complete",
    "clock": "the server's clock and ours agree",
    "freeze": "it is no weekend, and will be none before the deployment is over",
    "weddings": "no wedding is so near that these migrations could disturb it",
    "promotion": "everything was deployed and verified first where this environment asks for it",
    "load-test": "a load test passed with these migrations where this environment asks for one",
    "held": "nobody else holds the database",
    "blockers": "no old transaction would block a migration",
    "disk": "there is room here for a backup and its restore",
    "replication": "nobody replicates from or into this database",
}
# an override of these would only fail later, or at the price of what the tool promises
NOT_OVERRIDABLE = frozenset({"version", "standby", "read-only", "settings", "held"})


@dataclass(frozen=True, slots=True)
class Override:
    """A rule that somebody decided not to be stopped by, and why."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class GuardReport:
    """All findings as they count, those of them that refuse, and the overrides that were given."""

    findings: tuple[Finding, ...]
    refused: tuple[Finding, ...]
    overrides: tuple[Override, ...] = ()


def parse_overrides(texts: Iterable[str]) -> tuple[Override, ...]:
    """Read `RULE=REASON`, as `--override` takes it.

    Raises:
        UsageError: it has no reason, or names no rule that can be overridden.
    """
    return tuple(_parse_override(text) for text in texts)


def _parse_override(text: str) -> Override:
    rule, _, reason = (part.strip() for part in text.partition("="))
    known = sorted(RULES.keys() - NOT_OVERRIDABLE)
    if rule not in RULES:
        raise UsageError(
            f"there is no guard rule {rule!r}{suggestion(rule, known)}", hint=f"Known are: {', '.join(known)}"
        )
    if rule in NOT_OVERRIDABLE:
        raise UsageError(f"the guard rule {rule} cannot be overridden", hint=f"These can: {', '.join(known)}")
    if not reason:
        raise UsageError(f"the override of {rule} has no reason", hint=f'--override {rule}="why it is right today"')
    return Override(rule, " ".join(reason.split()))


def policies(guard: GuardSettings) -> Mapping[str, Policy]:
    """The rules whose answer is the environment's to choose, with what it chose."""
    return {"freeze": guard.freeze, "weddings": guard.weddings}


def decide(
    findings: Iterable[Finding], policies: Mapping[str, Policy], overrides: tuple[Override, ...] = ()
) -> GuardReport:
    """Weigh the findings: an error refuses unless its rule's policy only warns or somebody overrode it.

    `policies` names the rules whose answer is the environment's to choose; all others refuse.
    """
    reasons = {override.rule: override.reason for override in overrides}
    weighed = tuple(_weigh(f, policies.get(f.rule, "refuse"), reasons.get(f.rule)) for f in findings)
    return GuardReport(weighed, tuple(f for f in weighed if f.severity is Severity.ERROR), overrides)


def _weigh(finding: Finding, policy: Policy, reason: str | None) -> Finding:
    if finding.severity is not Severity.ERROR:
        return finding
    if policy != "refuse":
        return replace(finding, severity=Severity.WARNING)
    if reason is not None and finding.rule not in NOT_OVERRIDABLE:
        return replace(finding, severity=Severity.WARNING, message=f"{finding.message} (overridden: {reason})")
    return finding


def require_open(report: GuardReport) -> None:
    """Make sure that nothing refuses.

    Raises:
        TargetHeld: somebody else holds the database.
        Refused: for another reason; the message has the first, the hint what would clear it.
    """
    if not report.refused:
        return
    first, *more = report.refused
    others = f" (and {len(more)} more: {', '.join(dict.fromkeys(f.rule for f in more))})" if more else ""
    way_round = "" if first.rule in NOT_OVERRIDABLE else f" Or: --override {first.rule}=REASON"
    kind = TargetHeld if first.rule == "held" else Refused
    raise kind(f"the guard refuses: {first.message}{others}", hint=f"{first.hint}.{way_round}".lstrip(". "))
