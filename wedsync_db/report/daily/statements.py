"""The statements that took most of the server's time. Pure."""

from __future__ import annotations

from wedsync_db.history.daily import Known
from wedsync_db.report.daily.chart import Ranking


def statements_ranking(known: Known) -> Ranking:  # noqa: ARG001 nothing keeps statements yet
    """The ten statements with the largest share of the time; not available where nothing kept them."""
    return Ranking(
        key="statements",
        title="Time by statement",
        says="The ten statements that took most of the server's time.",
        unit="ratio",
        notes=("Not available: the history store has no statements. They come from pg_stat_statements.",),
    )
