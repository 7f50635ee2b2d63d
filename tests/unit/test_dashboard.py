"""The dashboard is what its table says, asks only for what we export, and lies on its grid as Grafana wants it."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.series import asked_for, exported
from wedsync_db.monitor.dashboard import COLUMNS, dashboard, dashboard_text, limit_steps
from wedsync_db.monitor.panels import ROWS
from wedsync_db.monitor.thresholds import THRESHOLDS

FILE = Path(__file__).parents[2] / "docs/monitoring/dashboard.json"
PROMTOOL = shutil.which("promtool")
BOARD = dashboard()
SHOWN = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
UNITS = {"_seconds": {"s", "none"}, "_bytes": {"bytes"}, "_bytes_total": {"Bps"}, "_ratio": {"percentunit", "none"}}


def expressions():
    for panel in SHOWN:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for one in BOARD["annotations"]["list"]:
        yield one["name"], one["expr"]


def as_prometheus_reads_it(expression):
    return expression.replace("$__rate_interval", "5m").replace(" or vector(0)", "")


def test_the_file_is_what_the_table_says():
    assert FILE.read_text() == dashboard_text() + "\n", (
        "again: ./dev metrics --dashboard > docs/monitoring/dashboard.json"
    )


def test_every_series_is_exported_and_of_the_environment_chosen():
    for title, expression in expressions():
        names = asked_for(expression)
        assert names <= exported(), title
        assert names or "ALERTS" in expression, title
        assert expression.count('environment="$environment"') >= len(names), title


def test_panels_have_ids_of_their_own_and_do_not_overlap():
    panels = BOARD["panels"]
    assert sorted(panel["id"] for panel in panels) == list(range(1, len(panels) + 1))
    for one, other in itertools.combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"], (one, other)
    assert all(0 <= panel["gridPos"]["x"] <= COLUMNS - panel["gridPos"]["w"] for panel in panels)
    assert len({panel["title"] for panel in panels}) == len(panels)


def test_queries_of_a_panel_have_letters_of_their_own_and_the_datasource_is_chosen():
    for panel in SHOWN:
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters) > 0
        assert {panel["datasource"]["uid"], *(one["datasource"]["uid"] for one in panel["targets"])} == {
            "${datasource}"
        }
        assert all(target["legendFormat"] for target in panel["targets"])


def test_the_unit_is_that_of_the_series():
    for panel in SHOWN:
        unit = panel["fieldConfig"]["defaults"]["unit"]
        for name in {name for target in panel["targets"] for name in asked_for(target["expr"])}:
            for ending, units in UNITS.items():
                if name.endswith(ending):
                    assert unit in units, (panel["title"], name)


def test_limits_are_those_of_the_checks():
    drawn = {panel.title: panel.check for _, panels in ROWS for panel in panels if panel.check}
    assert {"connections", "wraparound", "cache_hit", "backup_age"} <= set(drawn.values())
    for panel in SHOWN:
        if check := drawn.get(panel["title"]):
            steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            limits = {THRESHOLDS[check].degraded, THRESHOLDS[check].unhealthy} - {None}
            assert {step["value"] for step in steps} - {None} == limits


def test_colours_go_from_the_smallest_value_up():
    assert limit_steps(THRESHOLDS["connections"]) == [
        {"color": "green", "value": None}, {"color": "orange", "value": 0.80}, {"color": "red", "value": 0.95},
    ]  # fmt: skip
    assert limit_steps(THRESHOLDS["cache_hit"]) == [
        {"color": "orange", "value": None},
        {"color": "green", "value": 0.95},
    ]
    assert limit_steps(THRESHOLDS["disk_free"]) == [{"color": "red", "value": None}, {"color": "green", "value": 0.10}]


def test_deployments_are_marked_at_their_time():
    marks = BOARD["annotations"]["list"][0]
    assert marks["useValueForTime"] is True
    assert marks["expr"].endswith("* 1000")  # Grafana counts in milliseconds


def test_it_is_json_whose_variables_are_all_that_it_uses():
    text = json.dumps(BOARD)
    names = {variable["name"] for variable in BOARD["templating"]["list"]}
    assert names == {"datasource", "environment"}
    assert "${datasource}" in text


@pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed")
def test_prometheus_reads_every_query(tmp_path):
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": 'pgops_up{environment="x"}', "values": "1"}],
            "promql_expr_test": [
                {"expr": as_prometheus_reads_it(expression), "eval_time": "0m"} for _, expression in expressions()
            ],
        }
    ]
    (tmp_path / "none.yml").write_text("groups: []\n")
    (tmp_path / "tests.yml").write_text(yaml.safe_dump({"rule_files": ["none.yml"], "tests": tests}))
    command = [PROMTOOL, "test", "rules", "tests.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
