"""A night of maintenance, in a line, as text and as a page."""

from __future__ import annotations

from collections.abc import Iterator

from wedsync_db.maintain.findings import Found
from wedsync_db.maintain.night import Night
from wedsync_db.maintain.work import Done
from wedsync_db.report.markdown import counted, duration, table, untagged

_HEADLINES = {
    "done": "Maintenance is done",
    "yielded": "Maintenance gave way to a deployment",
    "failed": "Some of the maintenance failed",
}
_REASONS = {"running": "somebody is at it", "hot": "written too hard", "over_budget": "no time left"}


def maintenance_line(night: Night) -> str:
    """In one line how the night ended."""
    counts = night.counted()
    tables = ", ".join(f"{count} {word}" for word, count in sorted(counts.items())) or "no table needed anything"
    said = [f"{night.environment}: {night.outcome}", tables]
    notable = sum(1 for one in night.kept if one.outcome != "done")
    said += [f"{counted(notable, 'thing')} to look at"] if notable else []
    said += [f"{counted(len(night.findings.new), 'new finding')} in the schema"] if night.findings.new else []
    return "; ".join(said)


def maintenance_markdown(night: Night) -> str:
    """The page in the run's artifacts: what somebody should look at first, then the table of outcomes."""
    seconds = (night.finished_at - night.started_at).total_seconds()
    parts = [
        f"# {_HEADLINES[night.outcome]}",
        untagged(maintenance_line(night)),
        f"It took {duration(seconds)}. Backup before it: {night.backup_id or 'none'}.",
    ]
    parts += [f"- {untagged(problem)}" for problem in night.problems]
    if rows := [*map(_row, night.done), *((one.table, one.action, _REASONS[one.reason], "", "") for one in night.left)]:
        parts += ["## Tables", table(("table", "action", "outcome", "took", "dead rows, frozen age"), rows)]
    if night.kept:
        kept = ((one.what, one.outcome, one.detail) for one in night.kept)
        parts += ["## Besides", table(("what", "outcome", "detail"), kept)]
    return "\n\n".join([*parts, *_findings(night)])


def _row(done: Done) -> tuple[object, ...]:
    outcome = f"{done.outcome}: {done.detail}" if done.detail else done.outcome
    return done.table, done.action, outcome, duration(done.seconds), _effect(done)


def _effect(done: Done) -> str:
    if not done.before or not done.after:
        return ""
    dead = f"{done.before.dead_rows:,} → {done.after.dead_rows:,}"
    return f"{dead}; {done.before.xid_age:,} → {done.after.xid_age:,}" if done.action == "freeze" else dead


def _findings(night: Night) -> Iterator[str]:
    found = night.findings
    yield f"## Schema\n\n{counted(len(found.all), 'finding')}"
    if found.new is None:
        yield "No earlier night is remembered, so nothing is known to be new."
    for title, some in (("New since the night before", found.new), ("Gone", found.gone)):
        if some:
            yield f"### {title}\n\n{_listed(some)}"
    if found.new is None and found.all:
        yield _listed(found.all)


def _listed(some: tuple[Found, ...]) -> str:
    return table(("rule", "finding"), ((one.rule, one.message) for one in some))
