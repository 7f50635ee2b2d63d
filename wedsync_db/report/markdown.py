"""Markdown for Prefect's artifacts: what an operator wants to know first stands first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wedsync_db.model import Finding, Plan, Severity

_UNIT = 1024
_SECOND = 1000  # milliseconds
_MINUTE = 60
_HOUR = 3600
_EXACT_BELOW = 100  # seconds; with a digit after the point they still read well


def counted(count: int, what: str) -> str:
    """A count with its word: `1 migration`, `2 migrations`, `1,200 rows`."""
    return f"{count:,} {what if count == 1 else f'{what}s'}"


def size(count: float) -> str:
    """Bytes for people: `512 B`, `3.4 MiB`."""
    if count < _UNIT:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= _UNIT
        if round(count, 1) < _UNIT:
            return f"{count:.1f} {unit}"
    return f"{count / _UNIT:.1f} TiB"


def duration(seconds: float) -> str:
    """Seconds for people: `12 ms`, `3.4 s`, `2 min 5 s`, `3 h 20 min`."""
    milliseconds = round(seconds * _SECOND)
    if milliseconds < _SECOND:
        return f"{milliseconds} ms"
    if round(seconds, 1) < _EXACT_BELOW:
        return f"{seconds:.1f} s"
    if round(seconds) < _HOUR:
        return f"{round(seconds) // _MINUTE} min {round(seconds) % _MINUTE} s"
    minutes = round(seconds / _MINUTE)
    return f"{minutes // _MINUTE} h {minutes % _MINUTE} min"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; pipes, line ends and tags inside a cell are made harmless."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def plan_markdown(plan: Plan, environment: str) -> str:
    """The plan: what would run, in order, and what was found about it."""
    title = f"# {_plan_headline(plan, environment)}\n\n{len(plan.applied)} applied before · plan `{plan.hash[:12]}`\n"
    pending = table(
        # what has to be seen stands first: a cell is not wrapped in the browser, and a long one pushes the rest out
        ("#", "migration", "revert", "transaction", "statements", "needs"),
        (
            (
                position,
                m.id,
                "yes" if m.revert else "**missing**",
                "yes" if m.transactional else "one statement at a time",
                len(m.deploy.statements),
                ", ".join(m.requires) or "–",
            )
            for position, m in enumerate(plan.pending, 1)
        ),
    )
    parts = [title, *([pending] if plan.pending else [])]
    if plan.findings:
        parts += ["\n## Findings\n", findings_list(plan.findings)]
    return "\n".join(parts)


def findings_list(findings: Iterable[Finding]) -> str:
    """What was found, a line each."""
    return "\n".join(_finding_line(f) for f in findings)


def _plan_headline(plan: Plan, environment: str) -> str:
    errors = sum(f.severity is Severity.ERROR for f in plan.findings)
    if errors:
        return f"{environment}: refused, {counted(errors, 'error')} in the files"
    todo = f"{counted(len(plan.pending), 'migration')} to deploy" if plan.pending else "nothing to do"
    return f"{environment}: {todo}"


def _finding_line(finding: Finding) -> str:
    """A line of a list, which the browser wraps; a cell of a table it does not."""
    where = f"{finding.migration or ''}{f':{finding.line}' if finding.line else ''}"
    weight = f"**{finding.severity}**" if finding.severity is Severity.ERROR else str(finding.severity)
    hint = f" → {untagged(finding.hint)}" if finding.hint else ""
    return f"- {weight}{f' `{where}`' if where else ''}: {untagged(finding.message)}{hint}".replace("\n", " ")


def _cell(value: object) -> str:
    return untagged(str(value)).replace("|", "\\|").replace("\n", " ")


def untagged(text: str) -> str:
    """Text in which nothing is taken for a tag; not for code spans, where an entity would be shown as it is."""
    return text.replace("<", "&lt;")
