"""The health checks as alerting rules of Prometheus, by the same thresholds, over the series that we export. Pure.

Each limit has a rule of its own. A rule clears at a limit that is easier to be sure of, and five minutes later; while
the server is down all others are quiet; what is not measured is a rule, too. Needs Prometheus 2.42 (`keep_firing_for`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wedsync_db.monitor.alerts import CALM_SECONDS, MISSING_SECONDS, MOST, clear_limit
from wedsync_db.monitor.judge import RUNBOOK
from wedsync_db.monitor.thresholds import Threshold, limits

LEAST_BLOCKS, LEAST_TRANSACTIONS = 10_000, 100  # as health: fewer say nothing about a ratio
_RATE = "[5m]"
# what may be missing for how long until nobody knows any more: twice what lies between two samples, and a little
STALE_SECONDS: Mapping[str, int] = {"fast": MISSING_SECONDS, "tables": 1_200, "sizes": 10_800, "nightly": 187_200}


@dataclass(frozen=True, slots=True)
class Value:
    """How a check's observation is asked for, in its unit. `$` stands for the selector of the environment.

    `lasting` is a gauge that trembles: it counts where it was so most of the time. `floor`: health may call it
    degraded or unhealthy whatever was observed, and so does the rule.
    """

    expression: str
    lasting: bool = False
    floor: bool = False


def _share(part: str, rest: str, least: int) -> str:
    """A part of two counters, where both together grew by at least so much."""
    both = f"(sum by (environment) (increase({part}${_RATE})) + sum by (environment) (increase({rest}${_RATE})))"
    return f"sum by (environment) (increase({part}${_RATE})) / ({both} >= {least})"


def _worst(series: str, by: str = "max") -> str:
    return f"{by} by (environment) ({series}$)"


VALUES: Mapping[str, Value] = {
    "connections": Value("pgops_connections_used_ratio", lasting=True),
    "idle_in_transaction": Value(_worst("pgops_oldest_idle_in_transaction_seconds"), floor=True),
    "oldest_snapshot": Value(_worst("pgops_oldest_snapshot_seconds")),
    "prepared_transaction": Value(_worst("pgops_oldest_prepared_transaction_seconds")),
    "blocked": Value(_worst("pgops_longest_lock_wait_seconds"), floor=True),
    "replica_lag": Value(_worst("pgops_replica_lag_seconds"), floor=True),
    "replication_slot": Value(_worst("pgops_longest_slot_unused_seconds"), floor=True),
    "wraparound": Value(
        "max by (environment) (pgops_oldest_xid_age_transactions$ > pgops_oldest_multixact_age_transactions$"
        " or pgops_oldest_multixact_age_transactions$ or pgops_oldest_xid_age_transactions$)"
    ),
    "cache_hit": Value(_share("pgops_blocks_hit_total", "pgops_blocks_read_total", LEAST_BLOCKS)),
    "rollbacks": Value(_share("pgops_rollbacks_total", "pgops_commits_total", LEAST_TRANSACTIONS)),
    "deadlocks": Value(f"60 * sum by (environment) (rate(pgops_deadlocks_total${_RATE}))"),
    "archiver": Value(_worst("pgops_archiving_behind_seconds"), floor=True),
    "checksum_failures": Value("sum by (environment) (increase(pgops_checksum_failures_total$[15m]))"),
    "backup_age": Value(f"time() - {_worst('pgops_last_backup_timestamp_seconds')}"),
    "drill_age": Value(f"time() - {_worst('pgops_last_drill_timestamp_seconds')}"),
    "sequence": Value(_worst("pgops_fullest_key_used_ratio")),
    "table_bloat": Value(_worst("pgops_worst_table_bloat_ratio")),
    "autovacuum": Value("pgops_worst_vacuum_debt_ratio", lasting=True),
    "stale_statistics": Value(_worst("pgops_tables_without_statistics")),
    "invalid_index": Value(_worst("pgops_invalid_indexes")),
    "disk_free": Value(_worst("pgops_disk_free_ratio", "min"), floor=True),
    "pooler_wait": Value(_worst("pgops_pooler_wait_seconds")),
    "pooler_used": Value(_worst("pgops_pooler_used_ratio")),
    "pooler_clients": Value(_worst("pgops_pooler_clients_ratio")),
}
_BY_STATE = Value("", floor=True)  # a check without a series of its own: what health calls it
_SEVERITIES = {"degraded": "warning", "unhealthy": "critical"}
_SHOWN = {"seconds": "humanizeDuration", "ratio": "humanizePercentage"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One alerting rule, as Prometheus has them. Times are in seconds."""

    alert: str
    expression: str
    for_seconds: int
    keep_firing_seconds: int
    severity: str
    check: str
    summary: str
    evidence: str


def rules(overrides: Mapping[str, Mapping[str, float | bool]], environment: str = "") -> tuple[Rule, ...]:
    """The rules by an environment's limits, about its series; without one by the usual limits, about all series."""
    selector = f'environment="{environment}"' if environment else ""
    chosen = limits(overrides)
    found = [*_of_missing(selector)]
    found += [rule for name, threshold in chosen.items() for rule in _of_check(name, threshold, selector)]
    return tuple(found)


def rules_text(overrides: Mapping[str, Mapping[str, float | bool]], environment: str = "") -> str:
    """The rules as a rule file of Prometheus."""
    group = f"pgops_{environment}" if environment else "pgops"
    head = [
        f"# Made by `wedsync-db metrics{f' {environment}' if environment else ''} --rules`: not changed by hand.",
        "groups:",
        f"  - name: {group}",
        "    interval: 1m",
        "    rules:",
    ]
    return "\n".join([*head, *(line for rule in rules(overrides, environment) for line in _yaml(rule))])


def alert_name(check: str, level: str) -> str:
    """The name of a check's rule: `PgopsIdleInTransactionUnhealthy`."""
    return "Pgops" + "".join(word.capitalize() for word in check.split("_")) + level.capitalize()


def _of_check(name: str, threshold: Threshold, selector: str) -> Iterator[Rule]:
    for level in ("degraded", "unhealthy"):
        limit = getattr(threshold, level)
        value = VALUES.get(name, _BY_STATE)
        if limit is None and not value.floor:
            continue
        yield Rule(
            alert_name(name, level),
            _expression(name, level, threshold, selector),
            threshold.for_seconds // 2 if value.lasting else threshold.for_seconds,
            CALM_SECONDS,
            _SEVERITIES[level],
            name,
            f"{{{{ $labels.environment }}}}: {threshold.what}",
            f"{_value(threshold)}; {level} {_bound(threshold, limit)}",
        )


def _expression(name: str, level: str, threshold: Threshold, selector: str) -> str:
    """Beyond the limit, or beyond the limit to clear once it fires; and never while the server is down."""
    limit, value = getattr(threshold, level), VALUES.get(name, _BY_STATE)
    compared = ">" if threshold.higher_is_worse else "<"
    observed = _observed(value, threshold)
    firing = f'ALERTS{{alertname="{alert_name(name, level)}", alertstate="firing"}}'
    parts = []
    if limit is not None and value.expression:
        parts.append(f"{observed} {compared} {limit:g}")
        clear = clear_limit(threshold, limit)
        if clear != limit:
            parts.append(f"{observed} {compared} {clear:g} and on (environment) {firing}")
    if value.floor:
        bad = "> 0 < 3" if level == "degraded" else "== 2"
        state = f'max by (environment) (pgops_check_state{{check="{name}"§}}) {bad}'
        # with what was observed, where that is known
        parts += [f"{observed} and on (environment) ({state})", state] if value.expression else [state]
    joined = "\n  or\n    ".join(parts)
    return _selected(f"(\n    {joined}\n)\nunless on (environment) {_DOWN}", selector)


_DOWN = "max by (environment) (pgops_up$) == 0"


def _observed(value: Value, threshold: Threshold) -> str:
    if not value.lasting:
        return value.expression
    # over the limit most of the time, in each of the windows of half the time: once below means nothing
    share = 1 - MOST if threshold.higher_is_worse else MOST
    window = f"[{threshold.for_seconds // 2 or 60}s]"
    return f"max by (environment) (quantile_over_time({share:.1f}, {value.expression}${window}))"


def _of_missing(selector: str) -> Iterator[Rule]:
    """The server is gone; nobody looks any more; or something cannot be measured."""

    def rule(alert: str, expression: str, lasts: int, severity: str, check: str, *texts: str) -> Rule:
        return Rule(alert, _selected(expression, selector), lasts, 0, severity, check, *texts)

    here = "{{ $labels.environment }}"
    yield rule(
        "PgopsDown", _DOWN, 60, "critical", "reachable", f"{here}: no session with the server", "the last look said so"
    )
    yield rule(
        "PgopsAbsent", "absent(pgops_up$)", MISSING_SECONDS, "critical", "reachable",
        "nothing is measured: no series of wedsync-db at all", "the collector, or its scrape, is gone",
    )  # fmt: skip
    yield rule(
        "PgopsGone",
        f"max by (environment) (last_over_time(pgops_up$[1d])) unless on (environment) "
        f"last_over_time(pgops_up$[{MISSING_SECONDS}s])",
        0, "critical", "reachable", f"{here} is not measured any more", "it was within the last day",
    )  # fmt: skip
    old = "\n  or\n    ".join(
        f'time() - max by (environment, tier) (pgops_collected_timestamp_seconds{{tier="{tier}"§}}) > {seconds}'
        for tier, seconds in STALE_SECONDS.items()
    )
    yield rule(
        "PgopsStale", f"(\n    {old}\n)", 0, "warning", "reachable",
        f"{here}: what is shown of {{{{ $labels.tier }}}} is old", "measured {{ $value | humanizeDuration }} ago",
    )  # fmt: skip
    yield rule(
        "PgopsUnknown",
        f"max by (environment, check) (pgops_check_state$) == 3\nunless on (environment) {_DOWN}",
        MISSING_SECONDS, "warning", "", f"{here}: {{{{ $labels.check }}}} is unknown",
        "`wedsync-db health` says why; unknown is not healthy",
    )  # fmt: skip
    yield rule(
        "PgopsNotCollected",
        f"max by (environment, tier) (pgops_collect_problems$) > 0\nunless on (environment) {_DOWN}",
        MISSING_SECONDS, "warning", "reachable", f"{here}: not everything of {{{{ $labels.tier }}}} can be measured",
        "`wedsync-db metrics --json` says what",
    )  # fmt: skip


def _selected(expression: str, selector: str) -> str:
    """`$` is a selector of its own, `§` one more label in another."""
    whole = expression.replace("$", f"{{{selector}}}" if selector else "")
    return whole.replace("§", f", {selector}" if selector else "")


def _value(threshold: Threshold) -> str:
    shown = _SHOWN.get(threshold.unit, "humanize")
    return f"{{{{ $value | {shown} }}}}" + ("" if threshold.unit in _SHOWN else f" {threshold.unit}")


def _bound(threshold: Threshold, limit: float | None) -> str:
    if limit is None:
        return "whatever the value is"
    return f"{'above' if threshold.higher_is_worse else 'below'} {limit:g}"


def _yaml(rule: Rule) -> Iterator[str]:
    yield f"      - alert: {rule.alert}"
    yield "        expr: |-"
    yield from (f"          {line}" for line in rule.expression.splitlines())
    if rule.for_seconds:
        yield f"        for: {rule.for_seconds}s"
    if rule.keep_firing_seconds:
        yield f"        keep_firing_for: {rule.keep_firing_seconds}s"
    yield "        labels:"
    yield f"          severity: {rule.severity}"
    if rule.check:
        yield f"          check: {rule.check}"
    anchor = f"#{rule.check.replace('_', '-')}" if rule.check else ""
    yield "        annotations:"
    yield f"          summary: {_quoted(rule.summary)}"
    yield f"          evidence: {_quoted(rule.evidence)}"
    yield f"          runbook_url: {RUNBOOK}{anchor}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
