"""The statements that took most of the server's time. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from wedsync_db.history.daily import Known
from wedsync_db.history.statements import Cost
from wedsync_db.monitor.statements import OTHERS
from wedsync_db.report.daily.chart import Bar, Ranking
from wedsync_db.report.daily.top import Now
from wedsync_db.report.daily.words import counted_short, percent
from wedsync_db.report.markdown import duration

MOST = 10
_LABEL = 200  # characters; a picture shows fewer, the table all of them


def statements_ranking(known: Known, now: Now) -> Ranking:
    """The ten statements with the largest share of the time; not available where nothing kept them."""
    costs = [cost for cost in known.statements if cost.share is not None and cost.queryid != OTHERS]
    return Ranking(
        key="statements",
        title="Time by statement",
        says="The statements that took most of the time the server worked, without the values in them.",
        unit="ratio",
        bars=tuple(Bar(_label(cost), cost.share or 0.0, _more(cost)) for cost in costs[:MOST]),
        notes=tuple(_notes(known.statements) if costs else [_why_not((*now.unread, *known.unread))]),
    )


def _label(cost: Cost) -> str:
    text = " ".join((cost.text or "").split())
    return text[:_LABEL] or f"statement {cost.queryid}, whose text nobody has"


def _more(cost: Cost) -> str:
    return f"{counted_short(cost.calls)} calls of {duration(cost.seconds / cost.calls)}" if cost.calls > 0 else ""


def _notes(costs: Sequence[Cost]) -> list[str]:
    rest = sum(cost.share or 0.0 for cost in [*costs[MOST:], *(c for c in costs[:MOST] if c.queryid == OTHERS)])
    return [f"All others together took {percent(rest)}."] if rest > 0 else []


def _why_not(unread: Sequence[str]) -> str:
    for problem in unread:
        if problem.startswith("statements: "):
            return f"Not available: {problem.removeprefix('statements: ')}."
    return "Not available: nothing was kept of statements in this time. They come from pg_stat_statements."
