"""The top of the report as text, and as Markdown for the run's artifacts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wedsync_db.report.daily.top import Attention, Summary
from wedsync_db.report.markdown import table, untagged


def summary_text(environment: str, top: Summary) -> str:
    """In a few lines."""
    return "\n".join([f"{environment}: {top.line}", *(f"  {_said(one)}" for one in top.attention)])


def summary_markdown(environment: str, top: Summary, page: str) -> str:
    """What needs somebody, the figures, what changed, and where the page is."""
    parts = [f"# {environment}: {top.line}", *_listed(_said(one) for one in top.attention)]
    figures = ((one.label, ", ".join(part for part in (one.value, one.more) if part)) for one in top.facts)
    parts += ["## Now", table(("", ""), figures)]
    compared = ((one.label, one.today, one.before) for one in top.compared)
    parts += ["## Since yesterday", *_listed(top.changes)]
    parts += [table(("", "last 24 hours", "24 hours before"), compared), f"All of it, with pictures: `{page}`"]
    return "\n\n".join(parts)


def summary_json(environment: str, top: Summary, page: str) -> dict[str, Any]:
    """For programs."""
    return {
        "environment": environment,
        "status": top.state.value,
        "attention": [{"severity": one.tone, "text": one.text, "runbook": one.where or None} for one in top.attention],
        "changes": list(top.changes),
        "page": page,
    }


def _listed(lines: Iterable[str]) -> list[str]:
    found = "\n".join(f"- {untagged(line)}" for line in lines)
    return [found] if found else []


def _said(one: Attention) -> str:
    return f"{one.text} → {one.where}" if one.where else one.text
