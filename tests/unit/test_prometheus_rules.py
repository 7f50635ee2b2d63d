"""The rule file is what the thresholds say, asks for what we export, and fires and clears as our own engine does."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.support.series import asked_for, exported
from wedsync_db.monitor import health
from wedsync_db.monitor.alerts import CALM_SECONDS, clear_limit
from wedsync_db.monitor.judge import RUNBOOK
from wedsync_db.monitor.rules import LEAST_BLOCKS, LEAST_TRANSACTIONS, VALUES, alert_name, rules, rules_text
from wedsync_db.monitor.thresholds import THRESHOLDS

CHECKOUT = Path(__file__).parents[2]
FILE = CHECKOUT / "docs/monitoring/rules.yml"
HERE = 'environment="production"'
PROMTOOL = shutil.which("promtool")
with_promtool = pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed")
RULES = {rule.alert: rule for rule in rules({})}
GROWING = {  # what a counter grows by in a minute: good, degraded, unhealthy; and that of its sibling
    "cache_hit": (
        "pgops_blocks_hit_total",
        "pgops_blocks_read_total",
        {"good": (9_900, 100), "degraded": (5_000, 5_000)},
    ),
    "rollbacks": ("pgops_rollbacks_total", "pgops_commits_total", {"good": (1, 999), "degraded": (200, 800)}),
    "deadlocks": ("pgops_deadlocks_total", None, {"good": (0, 0), "degraded": (1, 0), "unhealthy": (10, 0)}),
    "checksum_failures": ("pgops_checksum_failures_total", None, {"good": (0, 0), "unhealthy": (1, 0)}),
}
MINUTES = {"good": 30, "bad": 90, "calm": 120}
GAUGES = {  # the series of a check whose values are what was observed
    name: re.search(r"pgops_\w+", value.expression)[0] for name, value in VALUES.items() if name not in GROWING
}


@dataclass
class Case:
    """A rule, and series on which it has to fire in the bad part only."""

    alert: str
    series: dict[str, str]
    extra: int = 0  # minutes more that it takes


def metric(name, **labels):
    return f"{name}{{{HERE}{''.join(f', {key}={chr(34)}{value}{chr(34)}' for key, value in labels.items())}}}"


def steps(*parts):
    """A gauge: each value for so many minutes."""
    return " ".join(f"{value}x{minutes - 1}" if minutes > 1 else str(value) for value, minutes in parts)


def of_gauge(name, level):
    limit = getattr(THRESHOLDS[name], level)
    good, bad = (0, limit * 1.02 + 1e-6) if THRESHOLDS[name].higher_is_worse else (1, limit * 0.98)
    if name in ("backup_age", "drill_age"):  # a time that stays where it is: the age grows by a minute a minute
        return _of_time(name, level, limit)
    values = steps((good, MINUTES["good"]), (bad, MINUTES["bad"]), (good, MINUTES["calm"]))
    return Case(alert_name(name, level), {metric(GAUGES[name]): values, metric("pgops_up"): "1x300"})


def _of_time(name, level, limit):
    made = MINUTES["good"] * 60 - limit  # as old as it may be at the end of the good part
    again = (MINUTES["good"] + MINUTES["bad"]) * 60
    values = steps((made, MINUTES["good"] + MINUTES["bad"]), (again, MINUTES["calm"]))
    return Case(alert_name(name, level), {metric(GAUGES[name]): values, metric("pgops_up"): "1x300"}, extra=1)


def of_counter(name, level):
    one, other, growth = GROWING[name]
    parts = [("good", MINUTES["good"]), (level, MINUTES["bad"]), ("good", MINUTES["calm"])]
    series = {metric("pgops_up"): "1x300"}
    for place, counter in enumerate((one, other)):
        if counter:
            series[metric(counter)] = _sum_up([(growth[part][place], minutes) for part, minutes in parts])
    return Case(alert_name(name, level), series, extra=15)


def _sum_up(parts):
    values, total = [], 0
    for each, minutes in parts:
        for _ in range(minutes):
            values.append(str(total))
            total += each
    return " ".join(values)


def of_floor(name, level):
    """Health calls it so whatever was observed: a session that keeps others waiting, a slot that loses WAL."""
    code = {"degraded": 1, "unhealthy": 2}[level]
    values = steps((0, MINUTES["good"]), (code, MINUTES["bad"]), (0, MINUTES["calm"]))
    return Case(alert_name(name, level), {metric("pgops_check_state", check=name): values, metric("pgops_up"): "1x300"})


def of_missing():
    for alert, series in {
        "PgopsDown": {metric("pgops_up"): steps((1, 30), (0, 90), (1, 120))},
        "PgopsAbsent": {metric("pgops_up"): f"{steps((1, 30))} _x90 {steps((1, 120))}"},
        "PgopsGone": {metric("pgops_up"): f"{steps((1, 30))} _x90 {steps((1, 120))}"},
        "PgopsStale": {
            metric("pgops_collected_timestamp_seconds", tier="fast"): f"0+60x29 {steps((1740, 90))} 7200+60x119"
        },
        "PgopsUnknown": {
            metric("pgops_check_state", check="sequence"): steps((0, 30), (3, 90), (0, 120)),
            metric("pgops_up"): "1x300",
        },
        "PgopsNotCollected": {
            metric("pgops_collect_problems", tier="fast"): steps((0, 30), (2, 90), (0, 120)),
            metric("pgops_up"): "1x300",
        },
    }.items():
        yield Case(alert, series, extra=11)


def levels():
    return [
        (name, level)
        for name, t in THRESHOLDS.items()
        for level in ("degraded", "unhealthy")
        if getattr(t, level) is not None
    ]


def cases():
    found = [of_counter(*one) if one[0] in GROWING else of_gauge(*one) for one in levels()]
    floors = [
        of_floor(name, level) for name, value in VALUES.items() if value.floor for level in ("degraded", "unhealthy")
    ]
    return [*found, *floors, *of_missing()]


def firing(alert, minute, count):
    return {
        "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)',
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": "{}", "value": count}],
    }


def in_the_parts(case):
    """Quiet in the good part, firing in the bad one, quiet again after it."""
    rule = RULES[case.alert]
    begins = MINUTES["good"] + case.extra + rule.for_seconds // 60 * (2 if "quantile" in rule.expression else 1)
    end = MINUTES["good"] + MINUTES["bad"]
    over = end + rule.keep_firing_seconds // 60 + case.extra + 40
    assert begins + 1 < end
    expected = [(MINUTES["good"] - 1, 0), (begins + 1, 1), (end - 1, 1), (over, 0)]
    if rule.keep_firing_seconds:
        expected.append((end + rule.keep_firing_seconds // 60 - 1, 1))  # not over at the first good value
    return [firing(case.alert, minute, count) for minute, count in expected]


def together(found):
    """Few tests of many rules: promtool computes all rules in each. Two that give a series other values are apart."""
    tests = []
    for case in found:
        fits = (one for one in tests if all(one[0].get(name, values) == values for name, values in case.series.items()))
        series, asked = next(fits, None) or tests.append(({}, [])) or tests[-1]
        series |= case.series
        asked += in_the_parts(case)
    return [unit(series, asked) for series, asked in tests]


def unit(series, asked):
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": asked,
    }


def promtool(tmp_path, tests, text=None):
    (tmp_path / "rules.yml").write_text(text or FILE.read_text())
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(document))
    for command in (["check", "rules", "rules.yml"], ["test", "rules", "tests.yml"]):
        done = subprocess.run([PROMTOOL, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_file_is_what_the_thresholds_say():
    assert FILE.read_text() == rules_text({}) + "\n", "make it again: ./dev metrics --rules > docs/monitoring/rules.yml"


@with_promtool
def test_each_rule_fires_on_its_series_and_clears(tmp_path):
    assert {case.alert for case in cases()} == RULES.keys()
    promtool(tmp_path, together(cases()))


@with_promtool
def test_a_day_around_a_threshold_is_one_transition(tmp_path):
    chance = random.Random(20260603)
    noise = [max(0.0, 0.80 + chance.gauss(0.005, 0.01)) for _ in range(24 * 60 - 45)]
    values = " ".join(f"{value:.4f}" for value in [*[0.5] * 30, *[0.85] * 15, *noise])
    series = {metric("pgops_connections_used_ratio"): values, metric("pgops_up"): "1x1440"}
    always = {
        "expr": 'sum(count_over_time(ALERTS{alertname="PgopsConnectionsDegraded", alertstate="firing"}[23h:1m]))',
        "eval_time": "1439m",
        "exp_samples": [{"labels": "{}", "value": 23 * 60 + 1}],  # without a gap
    }
    promtool(tmp_path, [unit(series, [firing("PgopsConnectionsDegraded", 38, 0), always])])


@with_promtool
def test_a_server_that_is_gone_hides_the_rest_and_one_environment_says_nothing_of_another(tmp_path):
    other = 'environment="staging"'
    series = {
        metric("pgops_up"): steps((1, 10), (0, 50)),
        metric("pgops_oldest_snapshot_seconds"): "9000x60",
        f"pgops_up{{{other}}}": "1x60",
        f"pgops_oldest_snapshot_seconds{{{other}}}": "9000x60",
    }
    shown = {
        "expr": 'count by (alertname, environment) (ALERTS{alertstate="firing"})',
        "eval_time": "40m",
        "exp_samples": [
            {"labels": '{alertname="PgopsDown", environment="production"}', "value": 1},
            *(
                {"labels": f'{{alertname="PgopsOldestSnapshot{level}", {other}}}', "value": 1}
                for level in ("Degraded", "Unhealthy")
            ),
        ],
    }
    promtool(tmp_path, [unit(series, [shown])])


@with_promtool
def test_missing_values_neither_fire_a_check_nor_count_as_good_ones(tmp_path):
    series = {
        metric("pgops_up"): "1x60",
        metric("pgops_check_state", check="blocked"): steps((0, 20), (3, 40)),
        metric("pgops_longest_lock_wait_seconds"): "0x19 stale",
    }
    promtool(tmp_path, [unit(series, [firing("PgopsBlockedDegraded", 50, 0), firing("PgopsUnknown", 35, 1)])])


def test_every_series_that_a_rule_asks_for_is_exported():
    for rule in rules({}):
        assert asked_for(rule.expression), rule.alert
        assert asked_for(rule.expression) <= exported(), rule.alert


def test_a_counter_is_asked_how_it_grew_and_nothing_else_is():
    """An age asked for its rate never fires; a counter compared with a number fires for ever."""
    for rule in rules({}):
        for function, name in re.findall(r"(\w+)\((pgops_\w+)", rule.expression):
            assert (function in ("rate", "increase")) == name.endswith("_total"), rule.alert
        assert "timestamp(" not in rule.expression, "that is when it was scraped"
        assert not re.search(r"(?<!rate\()(?<!increase\()\bpgops_\w+_total\b", rule.expression), rule.alert


def test_the_limits_are_in_the_unit_of_what_they_are_compared_with():
    for name, threshold in THRESHOLDS.items():
        series = VALUES[name].expression
        if threshold.unit == "seconds":
            assert "_seconds" in series, name
        if threshold.unit == "transactions":
            assert "_transactions" in series, name
        if threshold.unit == "ratio":
            assert "_ratio" in series or "/" in series, name


def test_each_check_has_its_rules_with_a_page_to_read():
    page = (CHECKOUT / RUNBOOK).read_text()
    assert VALUES.keys() == THRESHOLDS.keys()
    assert {alert_name(*one) for one in levels()} <= RULES.keys()
    for rule in rules({}):
        assert rule.severity in ("warning", "critical")
        assert "$labels.environment" in rule.summary or rule.alert == "PgopsAbsent"
        assert not rule.check or f"## {rule.check.replace('_', '-')}" in page, rule.alert


def test_it_clears_at_another_limit_than_it_fires_at():
    for name, level in levels():
        limit, expression = getattr(THRESHOLDS[name], level), RULES[alert_name(name, level)].expression
        assert f" {limit:g}\n" in expression, name
        assert RULES[alert_name(name, level)].keep_firing_seconds == CALM_SECONDS
        if limit:
            assert f" {clear_limit(THRESHOLDS[name], limit):g} and on (environment) ALERTS" in expression, name


def test_an_environment_has_its_own_limits_about_its_own_series():
    text = rules_text({"connections": {"degraded": 0.5}, "disk_free": {"off": True}}, "staging")
    assert 'pgops_connections_used_ratio{environment="staging"}[300s])) > 0.5' in text
    assert "0.45 and on" in text
    assert "disk_free" not in text
    for rule in rules({}, "staging"):
        without = re.sub(r"\{[^}]*environment=\"staging\"[^}]*\}", "", rule.expression)
        named = re.sub(r"pgops_\w+\{[^}]*environment=\"staging\"[^}]*\}", "", rule.expression)
        assert "staging" not in without
        assert "pgops_" not in re.sub(r'"[^"]*"', "", named), rule.alert


def test_ratios_count_from_as_much_on_as_in_health():
    assert (LEAST_BLOCKS, LEAST_TRANSACTIONS) == (health._LEAST_BLOCKS, health._LEAST_TRANSACTIONS)
