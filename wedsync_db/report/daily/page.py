"""The daily report as one HTML page: no script, nothing from outside; every text in it escaped and without secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from wedsync_db.history.daily import Known
from wedsync_db.history.deployments import Deployed
from wedsync_db.monitor.thresholds import Threshold
from wedsync_db.report.daily.by_day import backups_chart, dead_rows, nights_chart, size_chart
from wedsync_db.report.daily.chart import Chart, Layer, Picture, Ranking
from wedsync_db.report.daily.draw import pictures
from wedsync_db.report.daily.over_time import of_samples
from wedsync_db.report.daily.runbook import FILE, sections
from wedsync_db.report.daily.statements import statements_ranking
from wedsync_db.report.daily.summary import summary
from wedsync_db.report.daily.top import Now, Summary
from wedsync_db.report.daily.words import figure
from wedsync_db.report.html import templates
from wedsync_db.report.legend import Key, Shown, keys_of, shown, swatch

_MOST_FINDINGS = 50


@dataclass(frozen=True, slots=True)
class Links:
    """Where a deployment's run and report are; empty where they cannot be linked."""

    run: str
    report: str


def charts(known: Known, now: Now, limits: Mapping[str, Threshold]) -> tuple[Picture, ...]:
    """Every picture of the page, in its order, as plain values."""
    over_time = {chart.key: chart for chart in of_samples(known, dict(limits))}
    first = ("connections", "transactions", "cache-hit")
    return (
        *(over_time.pop(key) for key in first),
        statements_ranking(known, now),
        *over_time.values(),
        size_chart(known, now.free_bytes),
        dead_rows(known),
        nights_chart(known),
        backups_chart(known),
    )


def daily_html(known: Known, now: Now, limits: Mapping[str, Threshold], *, runbook: str, folder: Path) -> str:
    """The whole page. `runbook` is the text of docs/runbooks/health.md, `folder` where the page will be."""
    top = summary(known, now, limits)
    return templates().get_template("daily.html").render(
        known=known,
        summary=top,
        days=round((known.until - known.since) / timedelta(days=1)),
        shown=[_shown(picture) for picture in charts(known, now, limits)],
        links=[_links(one, folder) for one in known.deployments],
        told=[one for one in reversed(known.told) if one.at > known.until - timedelta(days=1)],
        findings=[one for one in known.findings if one.still][:_MOST_FINDINGS],
        runbook=sections(runbook, _wanted(top)),
        file=FILE,
    )  # fmt: skip


def _wanted(top: Summary) -> frozenset[str]:
    return frozenset(one.runbook for one in top.attention if one.runbook)


def _shown(picture: Picture) -> Shown:
    """Draw a picture, with its legend and its figures."""
    return shown(picture, pictures(picture), _keys(picture), figures(picture))


def _keys(picture: Picture) -> list[Key]:
    if picture.is_empty:
        return []
    if isinstance(picture, Ranking):
        return [Key(picture.limit_label, swatch("line", "warn", "2 2"))] if picture.limit_label else []
    keys = keys_of(picture.layers)
    if picture.band:
        keys.append(Key("forecast, and where it lies with 90 %", swatch("area", "c1")))
    return keys if len(keys) > 1 or picture.band else []


def figures(picture: Picture) -> tuple[tuple[str, ...], ...]:
    """What a picture shows, in numbers; empty where it shows nothing."""
    if picture.is_empty:
        return ()
    if isinstance(picture, Ranking):
        return (("", "share", ""), *((bar.label, figure(bar.value, picture.unit), bar.more) for bar in picture.bars))
    return (("", "lowest", "average", "highest", "newest"), *(_row(layer, picture) for layer in picture.layers))


def _row(layer: Layer, chart: Chart) -> tuple[str, ...]:
    known = [value for value in layer.values if value is not None]
    values = (min(known), sum(known) / len(known), max(known), known[-1]) if known else (None,) * 4
    return (layer.label, *(figure(value, chart.unit) for value in values))


def _links(deployed: Deployed, folder: Path) -> Links:
    run = deployed.run_url or ""
    if not run.startswith(("http://", "https://")):
        run = ""
    report = Path(deployed.report_path) if deployed.report_path else None
    if report is None or not report.is_file():
        return Links(run, "")
    return Links(run, quote(os.path.relpath(report, folder)))
