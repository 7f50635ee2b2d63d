"""A Grafana dashboard over the series that we export, made from one table of panels. Pure.

Limits are those of the health checks; the datasource and the environment are variables; deployments and alerts are
marks on every plot.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wedsync_db.monitor.panels import ROWS, Panel
from wedsync_db.monitor.thresholds import THRESHOLDS, Threshold

SCHEMA_VERSION = 41  # of Grafana 12; older ones read it, newer ones bring it up to date
COLUMNS = 24
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_OF = 'environment="$environment"'
_SELECTED = re.compile(r"\$(?!__)")  # not Grafana's own
_GREEN, _ORANGE, _RED = "green", "orange", "red"
_STATES = {0: ("healthy", _GREEN), 1: ("degraded", _ORANGE), 2: ("unhealthy", _RED), 3: ("unknown", "purple")}


def dashboard_text() -> str:
    """The dashboard as the file that Grafana imports."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False)


def dashboard() -> Mapping[str, Any]:
    """The dashboard as Grafana's model of one."""
    return {
        "uid": "wedsync-db",
        "title": "PostgreSQL by wedsync-db",
        "description": "Made by `wedsync-db metrics --dashboard`: not changed by hand.",
        "tags": ["postgresql"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource_variable(), _environment_variable()]},
        "annotations": {"list": [_deployments(), _alerts()]},
        "panels": list(_panels()),
    }


def _panels() -> Iterator[Mapping[str, Any]]:
    """Rows one below the other, in each its panels from left to right."""
    number, y, tallest = 0, 0, 0
    for heading, panels in ROWS:
        number += 1
        place = _at(0, y, COLUMNS, 1)
        yield {"id": number, "type": "row", "title": heading, "collapsed": False, "panels": [], "gridPos": place}
        x, y = 0, y + 1
        for panel in panels:
            height = 4 if panel.kind == "stat" else 8
            if x + panel.width > COLUMNS:
                x, y = 0, y + tallest
            number += 1
            tallest = height
            yield _panel(number, panel, _at(x, y, panel.width, height))
            x += panel.width
        y += tallest


def _panel(number: int, panel: Panel, place: Mapping[str, int]) -> Mapping[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.why,
        "datasource": _SOURCE,
        "gridPos": place,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "editorMode": "code",
                "expr": _SELECTED.sub(f"{{{_OF}}}", expression),
                "legendFormat": legend,
                "range": True,
            }
            for index, (legend, expression) in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _limit_line(panel)},
        "options": _options(panel),
    }


def _defaults(panel: Panel) -> Mapping[str, Any]:
    found: dict[str, Any] = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": _steps(panel)}}
    if panel.kind == "timeseries":
        found["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 20 if panel.stacked else 0,
            "spanNulls": False,  # a gap is a gap
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "line" if panel.check else "off"},
        }
        found["color"] = {"mode": "palette-classic"}
        found["min"] = 0
    else:
        found["color"] = {"mode": "thresholds"}
    if panel.kind == "state-timeline":
        options = {str(code): {"text": text, "color": color} for code, (text, color) in _STATES.items()}
        found["mappings"] = [{"type": "value", "options": options}]
    return found


def _steps(panel: Panel) -> Sequence[Mapping[str, Any]]:
    if panel.check:
        return limit_steps(THRESHOLDS[panel.check])
    if panel.title == "Server":
        return [{"color": _RED, "value": None}, {"color": _GREEN, "value": 1}]
    if panel.kind == "stat":
        return [{"color": _GREEN, "value": None}, {"color": _ORANGE, "value": 1}]
    return [{"color": _GREEN, "value": None}]


def limit_steps(threshold: Threshold) -> Sequence[Mapping[str, Any]]:
    """The colours of a value by a check's limits, from the smallest value up."""
    known = [
        (limit, color)
        for limit, color in ((threshold.degraded, _ORANGE), (threshold.unhealthy, _RED))
        if limit is not None
    ]
    if threshold.higher_is_worse:
        return [{"color": _GREEN, "value": None}, *({"color": color, "value": limit} for limit, color in known)]
    worst_first = [*reversed([color for _, color in known]), _GREEN]
    bounds = [None, *sorted(limit for limit, _ in known)]
    return [{"color": color, "value": bound} for color, bound in zip(worst_first, bounds, strict=True)]


def _limit_line(panel: Panel) -> Sequence[Mapping[str, Any]]:
    """What is a limit is a line, and no part of a stack."""
    if not panel.stacked:
        return []
    properties = [
        {"id": "custom.stacking", "value": {"mode": "none", "group": "A"}},
        {"id": "custom.fillOpacity", "value": 0},
        {"id": "color", "value": {"mode": "fixed", "fixedColor": _RED}},
    ]
    return [{"matcher": {"id": "byName", "options": panel.queries[-1][0]}, "properties": properties}]


def _options(panel: Panel) -> Mapping[str, Any]:
    if panel.kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"], "values": False}, "colorMode": "value", "graphMode": "none"}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    if panel.kind == "state-timeline":
        return {"mergeValues": True, "showValue": "never", "rowHeight": 0.9, "legend": legend}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def _at(x: int, y: int, width: int, height: int) -> Mapping[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _datasource_variable() -> Mapping[str, Any]:
    return {"name": "datasource", "type": "datasource", "label": "Data source", "query": "prometheus", "refresh": 1}


def _environment_variable() -> Mapping[str, Any]:
    query = "label_values(pgops_up, environment)"
    return {
        "name": "environment",
        "type": "query",
        "label": "Environment",
        "datasource": _SOURCE,
        "definition": query,
        "query": {"query": query, "refId": "environment"},
        "refresh": 2,
        "sort": 1,
        "includeAll": False,
        "multi": False,
    }


def _deployments() -> Mapping[str, Any]:
    return {
        "name": "Deployments",
        "datasource": _SOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": f"pgops_deployment_timestamp_seconds{{{_OF}}} * 1000",
        "useValueForTime": True,
        "step": "60s",
        "titleFormat": "Deployment of {{environment}}",
    }


def _alerts() -> Mapping[str, Any]:
    return {
        "name": "Alerts",
        "datasource": _SOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": f'ALERTS{{alertname=~"Pgops.*", alertstate="firing", {_OF}}}',
        "step": "60s",
        "titleFormat": "{{alertname}}",
        "textFormat": "{{severity}}",
    }
