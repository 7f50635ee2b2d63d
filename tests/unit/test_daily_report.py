"""The daily report: what it says first, that gaps and restarts stay what they are, and that the page is a good one."""

from __future__ import annotations

import itertools
import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.golden import assert_golden
from tests.support.history_days import CRASH, DAY, GAP, MINUTE, NOW, known_days, statements
from wedsync_db.history import buckets
from wedsync_db.history.buckets import Gap
from wedsync_db.history.daily import Firing, Known, keys_of
from wedsync_db.history.deployments import Deployed
from wedsync_db.history.forecast import Growth
from wedsync_db.history.raw import EPOCH
from wedsync_db.installation import CHECKOUT
from wedsync_db.monitor.metrics import Metric
from wedsync_db.monitor.states import Checked, State
from wedsync_db.monitor.thresholds import limits
from wedsync_db.report.daily.axis import tick_text, ticks, time_ticks
from wedsync_db.report.daily.by_day import dead_rows
from wedsync_db.report.daily.chart import Chart, Picture
from wedsync_db.report.daily.draw import pictures
from wedsync_db.report.daily.make import forget
from wedsync_db.report.daily.page import charts, daily_html, figures
from wedsync_db.report.daily.runbook import runbook_text, sections
from wedsync_db.report.daily.statements import statements_ranking
from wedsync_db.report.daily.summary import summary
from wedsync_db.report.daily.text import summary_markdown, summary_text
from wedsync_db.report.daily.top import Now
from wedsync_db.report.svg import COLOURS, placeholder

LIMITS = limits({})
WELL = Checked("reachable", State.HEALTHY, None, "")
SLOT = Checked(
    "replication_slot", State.DEGRADED, 111_600.0, "seconds", ("slot old_replica keeps 3.1 GiB of WAL",), "old_replica"
)
KEY = Checked("sequence", State.HEALTHY, 0.41, "ratio", (), "app.messages.id")
NOW_SEEN = Now((WELL, SLOT, KEY), 190 << 30)
EMPTY = Known("production", NOW - 7 * DAY, NOW)
RUNBOOK = runbook_text(CHECKOUT)


@cache
def known() -> Known:
    return known_days()


def page_of(what: Known, now: Now = NOW_SEEN, folder: Path = Path("/reports")) -> str:
    return daily_html(what, now, LIMITS, runbook=RUNBOOK, folder=folder)


@cache
def pictured() -> tuple[Picture, ...]:
    return charts(known(), NOW_SEEN, LIMITS)


@cache
def page() -> str:
    return page_of(known())


def samples(*rows: tuple[int, float | None, str]) -> pd.DataFrame:
    """A counter at these minutes, each with its epoch."""
    index = pd.DatetimeIndex([NOW - DAY + minute * MINUTE for minute, _, _ in rows], tz="UTC", name="at")
    found = pd.DataFrame({"commits": [math.nan if v is None else v for _, v, _ in rows]}, index=index, dtype="float64")
    found[EPOCH] = pd.Series([epoch for _, _, epoch in rows], index=index, dtype="object")
    return found


# -- rates, gaps, restarts ---------------------------------------------------------------------------------------------
def test_a_restart_breaks_a_rate_and_a_gap_breaks_every_line():
    chart = {one.key: one for one in pictured()}["transactions"]
    assert chart.gaps == (Gap(*GAP),)
    assert chart.restarts == (CRASH,)
    at = dict(zip(chart.times, chart.layers[0].values, strict=True))
    assert at[CRASH] is None
    inside = [value for time, value in at.items() if GAP[0] < time < GAP[1] - MINUTE]
    assert inside
    assert set(inside) == {None}
    assert "No data 11 Jun 03:10–04:20." in chart.notes
    assert all(value is None or 0 <= value < 200 for value in at.values()), "no rate of a counter that fell to zero"


def test_growth_is_never_counted_across_an_epoch_a_gap_an_unknown_value_or_a_fall():
    found = samples((0, 0, "a"), (1, 60, "a"), (2, 5000, "b"), (3, 5120, "b"), (4, None, "b"), (5, 9000, "b"),
                    (6, 9060, "b"), (20, 99_999, "b"), (21, 100_059, "b"), (22, 7, "b"))  # fmt: skip
    grown = buckets.growth_between(found, "commits", NOW - DAY, NOW)
    assert grown == (60 + 120 + 60 + 60, 4 * 60.0)
    assert buckets.growth_between(found, "missing", NOW - DAY, NOW) is None
    assert buckets.restarts(found) == (NOW - DAY + 2 * MINUTE,)
    assert [(g.until - g.since) / MINUTE for g in buckets.gaps(found, NOW)] == [14, (DAY - 22 * MINUTE) / MINUTE]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 7), st.one_of(st.none(), st.floats(0, 1e12)), st.sampled_from("ab")),
        min_size=1,
        max_size=40,
    )
)
def test_whatever_was_measured_a_rate_is_of_known_neighbours_only(steps):
    minute, rows = 0, []
    for apart, value, epoch in steps:
        minute += apart
        rows.append((minute, value, epoch))
    drawn = buckets.rates(samples(*rows), ("commits",), NOW - DAY, NOW)
    pairs = list(itertools.pairwise(rows))
    good = [(b[1] - a[1]) / (60 * (b[0] - a[0])) for a, b in pairs
            if b[0] - a[0] <= 2 and a[2] == b[2] and None not in (a[1], b[1]) and b[1] >= a[1]]  # fmt: skip
    shown = [value for value in drawn.values["commits"] if value is not None]  # noqa: PD011 no frame
    assert len(shown) <= len(good)
    assert all(min(good) * 0.999 - 1e-9 <= value <= max(good) * 1.001 + 1e-9 for value in shown)
    assert list(drawn.times) == sorted(set(drawn.times))
    assert all(NOW - DAY <= at <= NOW for at in drawn.times)


def test_of_two_counters_one_unknown_makes_no_share():
    found = samples((0, 0, "a"), (1, 60, "a"), (2, None, "a"), (3, 180, "a"), (4, 240, "a"))
    found["rollbacks"] = [0.0, 60.0, 120.0, 180.0, math.nan]
    assert buckets.share_between(found, "commits", "rollbacks", NOW - DAY, NOW) == 0.5
    found["rollbacks"] = math.nan
    assert buckets.share_between(found, "commits", "rollbacks", NOW - DAY, NOW) is None
    drawn = buckets.share(found, "commits", "rollbacks", NOW - DAY, NOW, least=1)
    assert set(drawn.values["commits"]) == {None}  # noqa: PD011 no frame


def test_a_bucket_of_which_hardly_anything_is_known_says_nothing():
    found = samples(*((minute, 10.0 * minute, "a") for minute in (*range(3), *range(60, 120))))
    drawn = buckets.rates(found, ("commits",), NOW - 8 * DAY, NOW)  # of 60 minutes each
    assert drawn.width == timedelta(minutes=60)
    assert [round(v, 3) for v in drawn.values["commits"] if v is not None] == [round(1 / 6, 3)] * 2  # noqa: PD011


# -- the top -----------------------------------------------------------------------------------------------------------
def test_top():
    top = summary(known(), NOW_SEEN, LIMITS)
    text = summary_text("production", top) + "\n\n" + summary_markdown("production", top, "/reports/page.html")
    assert_golden("report/daily_summary.md", text)


def test_chart_data():
    told = {}
    for one in pictured():
        plain = {"title": one.title, "notes": one.notes, "figures": figures(one)}
        if isinstance(one, Chart):
            plain |= {"points": len(one.times), "limits": [(each.label, each.value) for each in one.limits],
                      "marks": [f"D{mark.number} {mark.outcome}" for mark in one.marks]}  # fmt: skip
        told[one.key] = plain
    assert_golden("report/daily_charts.json", json.dumps(told, indent=1, ensure_ascii=False, default=str))


def attention(what: Known, now: Now) -> list[str]:
    return [one.text for one in summary(what, now, LIMITS).attention]


def test_unknown_is_never_well():
    assert summary(EMPTY, Now(problem="it was not looked at"), LIMITS).state is State.UNKNOWN
    assert attention(EMPTY, Now(problem="it was not looked at"))[-2:] == [
        "Nothing was measured in this time: does the flow `monitor` run?", "it was not looked at"
    ]  # fmt: skip
    silent = replace(known(), until=NOW + timedelta(minutes=11), firing=())
    assert summary(silent, Now(), LIMITS).state is State.UNKNOWN
    assert "Nothing was measured for 12 minutes: does the flow `monitor` run?" in attention(silent, Now())
    assert summary(replace(known(), firing=()), Now(), LIMITS).state is State.HEALTHY
    assert summary(replace(known(), firing=()), Now(problem="it does not answer"), LIMITS).state is State.UNKNOWN
    for state, worst in (("unknown", State.DEGRADED), ("unhealthy", State.UNHEALTHY)):
        sick = replace(known(), firing=(Firing("blocked", "", state, NOW),))
        assert summary(sick, Now(), LIMITS).state is worst


def test_a_full_disk_is_foretold_with_its_uncertainty():
    grows = Growth(10.0 * (1 << 30), 8.0 * (1 << 30), 12.0 * (1 << 30), 20.0 * (1 << 30), 30)
    for free, tone, days in ((48 << 30, "bad", 4), (240 << 30, "warn", 20)):
        top = summary(replace(known(), growth=grows), Now((WELL,), free), LIMITS)
        (said,) = [one for one in top.attention if one.runbook == "disk-free"]
        assert (said.tone, f"full in {days} days at the earliest" in said.text) == (tone, True)
    assert not [t for t in attention(replace(known(), growth=grows), Now((WELL,), 900 << 30)) if "disk" in t]
    assert not [t for t in attention(replace(known(), growth=grows), Now((WELL,))) if "disk" in t]


def test_old_backups_are_told_by_the_registry_where_nobody_looked():
    assert "backup-age" not in {one.runbook for one in summary(known(), Now(), LIMITS).attention}
    kept = tuple(one for one in known().backups if one.created_at < NOW - 12 * DAY)
    found = {one.runbook: one for one in summary(replace(known(), backups=kept), Now(), LIMITS).attention}
    assert (found["backup-age"].tone, found["backup-age"].text) == ("bad", "The newest backup is 12 days old")
    assert found["drill-age"].tone == "warn"
    none = {one.runbook: one for one in summary(replace(known(), backups=()), Now(), LIMITS).attention}
    assert none["backup-age"].tone == none["drill-age"].tone == "bad"


def test_a_key_that_runs_out_is_foretold():
    index = pd.DatetimeIndex([NOW - n * DAY for n in range(9, -1, -1)], tz="UTC")
    found = pd.DataFrame(
        {
            "key_used_ratio/app.a.id": [0.5 + 0.004 * n for n in range(10)],
            "key_used_ratio/app.b.id": [0.9] * 10,
            "key_used_ratio/app.c.id": [math.nan] * 10,
            "key_used_ratio/app.d.id": [*[math.nan] * 7, 0.1, 0.2, 0.3],
            EPOCH: ["e"] * 10,
        },
        index=index,
    )
    keys = keys_of(found)
    assert [(key.name, key.used, key.growth is None) for key in keys] == [
        ("app.b.id", 0.9, False), ("app.a.id", pytest.approx(0.536), False), ("app.d.id", 0.3, True)
    ]  # fmt: skip
    top = summary(replace(known(), keys=keys), Now((WELL,)), LIMITS)
    assert [one.text for one in top.attention] == [
        "Key app.a.id (54 % used) runs out in 116 days at the earliest, most likely in 116"
    ]
    assert ("Fullest key", "90 %", "app.b.id") in [(one.label, one.value, one.more) for one in top.facts]


@pytest.mark.parametrize(
    ("outcome", "hours_ago", "last", "said"),
    [
        ("done", 1, True, None),
        ("rolled_back", 1, True, "was rolled back → docs/runbooks/1-failed.md"),
        ("rolled_back", 30, True, None),
        ("person_needed", 90, True, "waits for a person → docs/runbooks/4-person-needed.md"),
        ("person_needed", 90, False, None),
        ("person_needed", 2, False, "waits for a person → docs/runbooks/4-person-needed.md"),
        ("failed", 90, True, "could not be rolled back → docs/runbooks/5-inconclusive.md"),
        ("running", 1, True, None),
        ("running", 25, True, "has not ended since it began → docs/runbooks/5-inconclusive.md"),
        ("running", 25, False, None),
    ],
)
def test_deployments_that_need_somebody(outcome, hours_ago, last, said):
    began = NOW - timedelta(hours=hours_ago)
    one = Deployed("a", began, None if outcome == "running" else began, outcome)
    later = () if last else (Deployed("b", NOW - MINUTE, NOW, "done"),)
    top = summary(replace(known(), deployments=(one, *later)), Now((WELL,)), LIMITS)
    found = [f"{each.text} → {each.where}" for each in top.attention]
    assert found == ([f"Deployment D1 {said}"] if said else [])


def test_a_day_is_not_told_by_an_hour():
    day = {one.label: one.more for one in summary(known(), NOW_SEEN, LIMITS).facts}["Transaction ids"]
    assert day == "7.4 % of 500 M, 1.13 M a day"
    for minutes_, said in ((60, "7.4 % of 500 M"), (24 * 60, day)):
        short = replace(known(), fast=known().fast.iloc[-minutes_:])
        found = {one.label: one.more for one in summary(short, NOW_SEEN, LIMITS).facts}["Transaction ids"]
        assert found == said


def test_a_night_that_failed_or_is_missing():
    bad = replace(known().nights[-1], outcome="failed", summary="case: failed")
    for nights, hours, said in (
        ((bad,), 0, ["The last night failed: case: failed"]),
        ((bad, known().nights[-1]), 0, []),
        (known().nights, 37, ["The last nightly maintenance was 41 hours ago"]),
        ((), 0, []),
    ):
        late = replace(known(), nights=nights, until=NOW + timedelta(hours=hours), fast=EMPTY.fast, told=())
        found = [one.text for one in summary(late, Now((WELL,)), LIMITS).attention]
        assert [text for text in found if "night" in text] == said


def test_nothing_is_imported_to_draw_until_something_is_drawn():
    asked = "import sys, wedsync_db.cli.reporting, wedsync_db.report.daily.page; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_ids_are_foretold():
    soon = limits({"wraparound": {"degraded": 40_000_000.0}})
    (said,) = [one for one in summary(known(), NOW_SEEN, soon).attention if one.runbook == "wraparound"]
    assert re.fullmatch(r"Transaction ids: 40 M unfrozen in \d days, at 1\.\d+ M a day", said.text)


# -- the page ----------------------------------------------------------------------------------------------------------
from tests.unit.test_report_html import Page  # noqa: E402 a strict reader of pages

SVG_VOID = {"path", "use", "rect", "circle", "line"}


class SvgPage(Page):
    """The same; an SVG's empty elements close themselves."""

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_page_is_well_formed_and_names_nothing_twice():
    found = SvgPage(page())
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids)) > 20
    pointed = set(re.findall(r'(?:href="#|url\(#)([^")]+)', page()))
    assert pointed <= set(ids)
    for tag, attributes in found.tags:
        if tag == "svg" and "role" in attributes:
            assert set(attributes["aria-labelledby"].split()) <= set(ids)


def test_page_needs_nothing_from_outside():
    tags = SvgPage(page()).tags
    assert {tag for tag, _ in tags}.isdisjoint({"script", "link", "img", "image", "iframe", "object", "base", "form"})
    assert not [a for _, attributes in tags for a in attributes if a in {"src", "action"} or a.startswith("on")]
    outside = {
        attributes["href"]
        for tag, attributes in tags
        if "href" in attributes and not attributes["href"].startswith("#")
    }
    assert outside == {one.run_url for one in known().deployments}, "links to follow, nothing that is loaded"
    assert not re.search(r"url\((?!#)|@import", page())
    assert "xmlns" not in page()


def test_every_colour_is_a_variable_that_light_dark_and_print_define():
    style, body = page().split("</style>", 1)
    used = set(re.findall(r"var\(--([a-z0-9-]+)\)", page()))
    assert set(COLOURS) - used <= {"c4", "c7", "good", "warn"}
    light = (
        style[: style.index("@media (prefers-color-scheme")] + style[style.index(":root { --gap") :].split("@media")[0]
    )
    dark = "".join(re.findall(r"@media \(prefers-color-scheme: dark\) \{(.*?)\} \}", style, re.DOTALL))
    printed = style[style.rindex("@media print") :]
    for where in (light, dark, printed):
        assert used <= set(re.findall(r"--([a-z0-9-]+):", where))
    assert not re.findall(r"#[0-9a-f]{6}\b|rgb\(", body), "a colour that no mode could change"
    assert placeholder("ink") not in page()


def test_a_picture_is_the_same_each_time():
    first, *_, last = pictured()
    for one in (first, last):
        assert pictures(one) == pictures(one)
        assert pictures(one)[0] in page()
    assert len(page()) < 500_000


def test_text_stays_text_and_both_widths_have_a_title_and_a_description():
    drawn = [a for tag, a in SvgPage(page()).tags if tag == "svg" and "role" in a]
    assert {a["class"] for a in drawn} == {"wide", "narrow"}
    assert len(drawn) == 2 * len(pictured())
    assert page().count("<title") == len(drawn) + 1
    assert page().count("<desc") == len(drawn)
    assert ">no data<" not in page()  # a gap of an hour in a week is too narrow for words
    assert re.search(r"<text[^>]*>limit for clients: 97</text>", page())


def test_runbook_comes_with_the_page():
    text = SvgPage(page()).text
    assert "An unused slot keeps WAL until the disk is full" in text
    assert 'href="#do-replication-slot"' in page()
    assert sections(RUNBOOK, {"nothing-of-the-kind"}) == {}
    assert len(sections(RUNBOOK, {name.replace("_", "-") for name in LIMITS})) == len(LIMITS)
    without = daily_html(EMPTY, NOW_SEEN, LIMITS, runbook="", folder=Path("/reports"))
    assert "docs/runbooks/health.md#replication-slot" in without


def test_everything_is_escaped():
    evil = '<script>alert("1")</script>]]>$x$'
    one = known()
    what = replace(
        one,
        environment=evil,
        deployments=tuple(
            replace(d, outcome=evil, migrations=(evil,), run_url="javascript:alert(1)") for d in one.deployments
        ),
        nights=tuple(replace(n, summary=evil, outcome=evil) for n in one.nights),
        findings=tuple(replace(f, rule=evil, message=evil) for f in one.findings),
        told=tuple(replace(t, rule=evil, subject=evil, evidence=evil) for t in one.told),
        statements=tuple(replace(s, text=evil) for s in one.statements),
        fast=EMPTY.fast,  # nothing in it has a name
        tables={Metric(m.name, m.kind, m.unit, (("table", evil),)): v for m, v in one.tables.items()},
        problems=(evil,),
    )
    text = page_of(what, Now((replace(SLOT, name=evil, subject=evil, evidence=(evil,)),), None, evil))
    assert "<script" not in text
    assert "javascript:" not in text
    assert SvgPage(text).text.count('<script>alert("1")</script>') >= 12, "shown as what it is"


@pytest.mark.parametrize("taken", [0, 1])
def test_hardly_any_history_is_a_page_too(taken):
    first = known().fast.iloc[len(known().fast) - taken :]
    text = page_of(replace(EMPTY, fast=first, sizes=known().sizes.iloc[:taken]))
    found = SvgPage(text)
    assert "Nothing of it is known for this time." in found.text
    drawn = {a["aria-labelledby"].split("-wide")[0] for _, a in found.tags if a.get("class") == "wide" and "role" in a}
    assert drawn == ({"connections", "waits", "ids", "size"} if taken else set())


def test_values_that_are_none_are_not_drawn():
    broken = known().fast.copy()
    broken.loc[broken.index[::2], "commits"] = math.nan
    broken.loc[broken.index[5], "connections_used"] = math.inf
    broken["blocks_hit"] = math.nan
    drawn = {one.key: one for one in charts(replace(known(), fast=broken), NOW_SEEN, LIMITS)}
    lines = [layer for one in drawn.values() if isinstance(one, Chart) for layer in one.layers]
    assert all(value is None or math.isfinite(value) for layer in lines for value in layer.values)  # noqa: PD011
    assert drawn["cache-hit"].is_empty
    assert not re.search(r"\b(?:nan|inf)\b", "".join(pictures(drawn["transactions"])), re.IGNORECASE)


def test_statements_by_their_share_and_why_where_there_are_none():
    found = statements_ranking(known(), NOW_SEEN)
    assert len(found.bars) == 10
    assert (found.bars[0].value, found.bars[0].more) == (pytest.approx(0.3634, abs=1e-4), "90 k calls of 204 ms")
    assert found.bars[-1].label == "statement 10, whose text nobody has"
    assert found.notes == ("All others together took 4.1 %.",)
    few = statements_ranking(replace(EMPTY, statements=(statements()[0], statements()[-1])), Now())
    assert [bar.label[:6] for bar in few.bars] == ["select"], "all others together are no statement"
    assert few.notes == ("All others together took 3.8 %.",)
    assert statements_ranking(EMPTY, Now()).notes[0].startswith("Not available: nothing was kept of statements")
    said = ("wal: this role may not ask", "statements: pg_stat_statements is not in shared_preload_libraries")
    for what, now in ((replace(EMPTY, unread=said), Now()), (EMPTY, Now(unread=said))):
        assert statements_ranking(what, now).notes == (
            "Not available: pg_stat_statements is not in shared_preload_libraries.",
        )


def test_of_ten_thousand_tables_the_first_are_shown():
    many = {}
    for number in range(10_000):
        label = (("table", f"app.t{number}"),)
        many[Metric("table_dead_rows", "gauge", "rows", label)] = float(number)
        many[Metric("table_live_rows", "gauge", "rows", label)] = 1000.0
    found = dead_rows(replace(EMPTY, tables=many))
    assert [bar.label for bar in found.bars] == [f"app.t{9_999 - n}" for n in range(10)]
    assert found.bars[0].value == pytest.approx(9_999 / 250)
    assert found.notes[0].startswith("The first 10 of 9,999 tables with any.")


# -- axes, files -------------------------------------------------------------------------------------------------------
UNITS = ("count", "per_second", "bytes", "bytes_per_second", "seconds", "transactions")


@given(st.sampled_from(UNITS), st.floats(1e-3, 1e15))
def test_ticks_are_few_round_and_inside(unit, high):
    found = ticks(0.0, high, unit)
    assert 1 <= len(found) <= 6
    assert found[0] == 0
    assert found[-1] <= high * 1.000001
    assert len({tick_text(value, unit) for value in found}) == len(found)


def test_ticks_in_words():
    assert [tick_text(v, "bytes") for v in ticks(0, 24e9, "bytes")] == ["0", "5 GiB", "10 GiB", "15 GiB", "20 GiB"]
    assert [tick_text(v, "seconds") for v in ticks(0, 1600, "seconds")] == ["0", "10 min", "20 min"]
    assert [tick_text(v, "ratio") for v in ticks(0.89, 1.005, "ratio")] == ["90 %", "95 %", "100 %"]


@given(st.integers(5, 200 * 1440), st.integers(2, 9))
def test_time_has_no_more_ticks_than_fit(minutes, most):
    since = NOW - minutes * MINUTE
    found = list(time_ticks(since, NOW, most))
    assert len(found) <= most + 1
    assert all(since <= at <= NOW for at, _ in found)


def test_old_pages_are_deleted_and_nothing_else(tmp_path):
    today = datetime(2026, 6, 12, tzinfo=UTC).date()
    for name in ("2026-06-12.html", "2026-04-13.html", "2026-04-12.html", "20260101T000000Z-4f2a.html", "notes.txt"):
        (tmp_path / name).write_text("x")
    forget(tmp_path, today)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "2026-04-13.html", "2026-06-12.html", "20260101T000000Z-4f2a.html", "notes.txt"
    ]  # fmt: skip
