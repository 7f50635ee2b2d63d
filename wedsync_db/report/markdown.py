"""Markdown for Prefect's artifacts: what an operator wants to know first stands first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wedsync_db.model import Plan, Severity

_UNIT = 1024


def size(count: float) -> str:
    """Bytes for people: `512 B`, `3.4 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < _UNIT or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= _UNIT
    raise AssertionError


def duration(seconds: float) -> str:
    """Seconds for people: `12 ms`, `3.4 s`, `2 min 5 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:  # noqa: PLR2004 two digits of seconds still read well
        return f"{seconds:.1f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; pipes and line ends inside a cell are made harmless."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def plan_markdown(plan: Plan, environment: str) -> str:
    """The plan: what would run, in order, and what was found about it."""
    counts = f"{len(plan.pending)} pending, {len(plan.applied)} applied"
    title = f"# Plan for {environment}\n\n{counts} · plan `{plan.hash[:12]}`\n"
    pending = table(
        ("#", "migration", "statements", "needs", "revert", "transaction"),
        (
            (
                position,
                m.id,
                len(m.deploy.statements),
                ", ".join(m.requires) or "–",
                "yes" if m.revert else "**missing**",
                "yes" if m.transactional else "one statement at a time",
            )
            for position, m in enumerate(plan.pending, 1)
        ),
    )
    findings = table(
        ("", "where", "finding", "what to do"),
        (
            (
                "**error**" if f.severity is Severity.ERROR else f.severity.value,
                f"{f.migration or ''}{f':{f.line}' if f.line else ''}",
                f.message,
                f.hint,
            )
            for f in plan.findings
        ),
    )
    found = ["\n## Findings\n", findings] if plan.findings else []
    return "\n".join([title, pending if plan.pending else "Nothing to do.", *found])


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
