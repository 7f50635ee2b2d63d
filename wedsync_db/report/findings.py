"""A finding as people read it in a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wedsync_db.model import Finding


def finding_text(finding: Finding) -> str:
    """`file:line:column: severity: message [rule]`, then the excerpt with its caret, then what to do about it."""
    lines = [f"{_place(finding)}{finding.severity.value}: {finding.message} [{finding.rule}]"]
    lines += [f"    {line}" for line in finding.excerpt.splitlines()]
    lines += [f"  → {line}" for line in finding.hint.splitlines()]
    return "\n".join(lines)


def findings_text(findings: Iterable[Finding]) -> str:
    """Several findings, one below the other."""
    return "\n".join(finding_text(f) for f in findings)


def finding_json(finding: Finding) -> dict[str, Any]:
    """The finding's fields as plain JSON values."""
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "message": finding.message,
        "hint": finding.hint,
        "migration": finding.migration,
        "path": str(finding.path) if finding.path is not None else None,
        "line": finding.line,
        "column": finding.column,
        "excerpt": finding.excerpt,
    }


def _place(finding: Finding) -> str:
    if finding.path is None:
        return f"{finding.migration}: " if finding.migration else ""
    numbers = [str(n) for n in (finding.line, finding.column) if n is not None]
    return ":".join([str(finding.path), *numbers]) + ": "
