"""What a load test is told as: the page for each verdict, JUnit's XML, Markdown, JSON, the line of progress."""

import json
import re
from dataclasses import replace
from functools import cache
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from tests.support.golden import assert_golden
from tests.support.load_runs import SCENARIO, at, measured, summed, took
from tests.support.load_told import OBSERVED, SLOW, of_each_verdict, told, waiting, words_of
from tests.unit.test_report_html import Page
from wedsync_db.load.compare import USUAL, against_earlier
from wedsync_db.load.criteria import read_criteria
from wedsync_db.load.schedule import Phase
from wedsync_db.load.statistics import Interval
from wedsync_db.load.verdict import Judged, Verdict, judge_one
from wedsync_db.load.worker import Progress
from wedsync_db.report.load.axis import one_in_ticks, second_ticks, value_ticks
from wedsync_db.report.load.cause import causes
from wedsync_db.report.load.data import load_data
from wedsync_db.report.load.draw import pictures
from wedsync_db.report.load.files import write_load
from wedsync_db.report.load.junit import load_junit
from wedsync_db.report.load.live import Follower, progress_line
from wedsync_db.report.load.page import load_html
from wedsync_db.report.load.pictures import against, of_run, strip
from wedsync_db.report.load.series import heat, planned, pool_use, representative, spectrum, spectrum_places, steps_of
from wedsync_db.report.load.server import of_server
from wedsync_db.report.load.setup import facts, repro
from wedsync_db.report.load.text import condition_rows, load_markdown, load_text
from wedsync_db.report.load.told import reasons
from wedsync_db.report.load.words import milliseconds, percentile, sentence, slower_than


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_secret_here():
    """What other tests of this process made a secret may be a word of the page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wedsync_db.redact._secrets", ())
        yield


@cache
def page_of(verdict):
    """Drawn once for all tests."""
    return load_html(of_each_verdict()[verdict])


# -- the page ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", [one.value for one in Verdict])
def test_page(verdict):
    assert of_each_verdict()[verdict].result.verdict.value == verdict
    assert_golden(f"report/load_{verdict.lower()}.txt", words_of(page_of(verdict)))


def test_page_is_well_formed_needs_nothing_from_outside_and_runs_nothing():
    for page in map(page_of, of_each_verdict()):
        tags = SvgPage(page).tags
        ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
        assert len(ids) == len(set(ids)) > 10
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(ids)
        assert {tag for tag, _ in tags}.isdisjoint({"script", "link", "img", "image", "iframe", "object", "base", "a"})
        assert not [a for _, attributes in tags for a in attributes if a in {"src", "action"} or a.startswith("on")]
        assert not re.search(r"url\((?!#)|@import|xmlns", page)


class SvgPage(Page):
    """An SVG's empty elements close themselves."""

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_every_colour_is_a_variable_of_light_dark_and_print():
    style, body = page_of("FAIL").split("</style>", 1)
    used = set(re.findall(r"var\(--([a-z0-9-]+)\)", page_of("FAIL")))
    modes = style.split("@media (prefers-color-scheme: dark)")
    printed = style[style.rindex("@media print") :]
    for where in ("".join(re.findall(r"^:root \{.*?\}", style, re.MULTILINE | re.DOTALL)), "".join(modes[1:]), printed):
        assert used <= set(re.findall(r"--([a-z0-9-]+):", where))
    assert not re.findall(r"#[0-9a-f]{6}\b|rgb\(", body), "a colour that no mode could change"


def test_slower_than_before_is_said_in_words():
    slower, before = ([summed(service=measured().service * n) for n in many] for many in ((30, 31, 31), (20, 21, 20)))
    compared = against_earlier(replace(SCENARIO, comparisons=USUAL), slower, before, "before 0002_two")
    test = told(*slower, scenario=replace(SLOW, criteria=SCENARIO.criteria[1:]), comparison=compared)
    assert reasons(test) == tuple(
        f"The {what} of the response is 51 % slower than in runs before 0002_two; asked was less than {asked} % slower."
        for what, asked in (("median", 10), ("95th percentile", 25))
    )
    assert slower_than(4.12, "x") == "4.1 times as slow as in x"


def test_what_somebody_wrote_is_escaped_and_without_secrets():
    title = "<script>alert(1)</script> postgresql://u:hunter2@h/d"
    statements = (replace(OBSERVED.statements[0], text="select '<b>'"),)
    run = replace(summed(), observed=replace(OBSERVED, statements=statements))
    test = told(run, run, scenario=replace(SLOW, title=title))
    for text in (load_html(test), load_junit(test)):
        assert "<script>" not in text
        assert "hunter2" not in text
    assert "select &#39;&lt;b&gt;&#39;" in load_html(test)


def test_a_picture_says_its_percentiles_to_the_last_digit():
    run = summed()
    text, _ = pictures(of_run(told(run, run), run)[-1])
    assert ">50 %<" in text
    assert [said for _, said in one_in_ticks(6000, narrow=False)][-1] == "99.9 %"
    plot = replace(of_run(told(run, run), run)[-1], at=(1.0, 100.0, 20_000.0))
    plot = replace(plot, layers=tuple(replace(one, values=(1.0, 2.0, 3.0)) for one in plot.layers))
    assert ">99.99 %<" in pictures(plot)[0]


def test_who_made_the_load_is_said():
    run = summed()
    (pgbench,) = (one for one in facts(told(run, run, engine="pgbench")) if one.label == "Made by")
    assert (pgbench.value, pgbench.more.partition(";")[0]) == ("pgbench", "it looks at no row that comes back")
    (shards,) = (one for one in facts(told(run, run, shards=3)) if one.label == "Made by")
    assert shards.value == "our generator on 3 machines"
    again = told(run, run, engine="pgbench", shards=3, backup="20260607T143000Z-4f2a")
    assert repro(again).endswith("--engine pgbench --copy 20260607T143000Z-4f2a --shards 3")


def test_files(tmp_path):
    written = write_load(of_each_verdict()["FAIL"], tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == {
        f"load-staging-users_1000-20261121T120000Z.{kind}" for kind in ("html", "json", "junit.xml")
    }
    assert written.page.read_text() == page_of("FAIL")
    assert json.loads(written.data.read_text())["verdict"] == "FAIL"
    assert ET.fromstring(written.junit.read_bytes()).tag == "testsuites"


# -- JUnit, Markdown, JSON ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "failures", "errors"), [("PASS", 0, 0), ("FAIL", 3, 0), ("INCONCLUSIVE", 0, 1), ("INVALID", 0, 1)]
)
def test_junit(verdict, failures, errors):
    text = load_junit(of_each_verdict()[verdict])
    suite = ET.fromstring(text.encode())[0]
    cases = suite.findall("testcase")
    found = len(suite.findall("testcase/failure")), len(suite.findall("testcase/error"))
    assert found == (failures, errors) == (int(suite.get("failures")), int(suite.get("errors")))
    assert int(suite.get("tests")) == len(cases) >= 4
    assert all(case.get("name") and case.get("classname") for case in cases)
    if verdict == "FAIL":
        assert_golden("report/load_fail.junit.xml", text)


def test_of_no_measurement_nothing_is_said_to_be_met():
    suite = ET.fromstring(load_junit(of_each_verdict()["INVALID"]).encode())[0]
    assert (suite.get("skipped"), len(suite.findall("testcase/skipped"))) == ("3", 3)
    assert "None of it counts" in page_of("INVALID")
    assert 'class="good">PASS' not in page_of("INVALID")
    assert 'class="good">PASS' in page_of("PASS")


def test_junit_is_xml_whatever_is_in_it():
    test = told(summed(), summed(), ended='a & b < "c"\x00\x1b[31m\ud800')
    (failure,) = ET.fromstring(load_junit(test).encode()).iter("failure")
    assert failure.get("message") == 'a & b < "c"��[31m�'


def test_data():
    data = load_data(of_each_verdict()["FAIL"])
    assert_golden("report/load_fail.json", json.dumps(data, indent=1))


@pytest.mark.parametrize("verdict", [one.value for one in Verdict])
def test_markdown_and_terminal_say_the_same_verdict(verdict):
    test = of_each_verdict()[verdict]
    assert load_markdown(test).startswith(f"# {verdict}: ")
    assert load_text(test).startswith(f"staging, 1,000 users: {verdict} (")
    rows = condition_rows(test)
    assert [row["condition"] for row in rows][:2] == [
        "the 95th percentile of the response", "the share of errors"
    ]  # fmt: skip
    for doubt in test.result.doubts:
        assert doubt in load_markdown(test)
        assert doubt in load_text(test)


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"), (0, "0 ms"), (0.049, "0.05 ms"), (0.82, "0.82 ms"), (4.26, "4.3 ms"), (812.4, "812 ms"),
        (999.7, "1 s"), (1549, "1.55 s"), (59_940, "59.9 s"), (125_000, "2 min 5 s"), (119_800, "2 min 0 s"),
    ],
)  # fmt: skip
def test_milliseconds(value, said):
    assert milliseconds(value) == said


def test_percentiles():
    assert [percentile(one) for one in (50, 95, 99.9, 91, 92, 93, 11, 12)] == [
        "median", "95th percentile", "99.9th percentile", "91st percentile", "92nd percentile", "93rd percentile",
        "11th percentile", "12th percentile",
    ]  # fmt: skip


SENTENCES = [
    ("response_ms", "p(95)<200 @steady", (790, 812, 835),
     r"the 95th percentile of the response in the phase steady was 812 ms \(\d+ ms to \d+ ms\); asked .*"),
    ("response_ms{script=read}", "avg<=5", (0.5, None),
     "the average of the response of the script read was not measured in 1 of 2 runs"),
    ("errors", "rate<0.001", (0.0, 0.0037), "the share of errors was 0 % to 0.4 %; asked was less than 0.1 %"),
    ("dropped", "count==0", (0, 12), "there were 0 to 12 requests that were never answered; allowed: none"),
    ("dropped", "count==0", (1, 1), "there was 1 request that was never answered; allowed: none"),
    ("slow_statements", "count<5", (9, 7), "there were 7 to 9 requests that took more than a second; .* 5"),
    ("leaks", "count==0", (0, 0), "there were no rows of another tenant; allowed: none"),
    ("achieved", "ratio>0.98", (0.5, 0.9),
     "the share of requests that were answered was 50 % to 90 %; asked was more than 98 %"),
    ("recovery_s{phase=steady}", "value<30", (40, 40),
     "the time until the response was good again after the phase steady was 40 s; asked was less than 30 s"),
]  # fmt: skip


@pytest.mark.parametrize(("metric", "expression", "values", "said"), SENTENCES)
def test_a_condition_is_a_sentence(metric, expression, values, said):
    table = {metric: [expression]} | ({"response_ms": ["p(95)<9"]} if metric.startswith("recovery") else {})
    criterion = read_criteria(table, scripts=("read",), phases=("steady",)).criteria[0]
    assert re.fullmatch(said, sentence(judge_one(criterion, values)))


def test_where_it_comes_from():
    slow = summed(SLOW, service=took(80))
    assert causes(told(slow, slow)) == (
        "A request took 80 ms in the database and waited 0 ms for a free connection (95th percentiles, run 1).",
        "So it was the database.",
    )
    seen = replace(slow, observed=OBSERVED)
    assert causes(told(seen, seen))[1] == (
        "So it was the database, whose sessions spent 67 % of their time on locks of others (Lock)."
    )
    full = waiting(600, service=measured().service + at(slice(100, 200), 170_000))
    assert causes(told(full, full))[1].startswith(
        "So most of it was waiting: the pool of 2 was 90 % busy. Either a req"
    )
    moments = waiting(600)
    assert "only 5 % busy on average: something kept all of it" in causes(told(moments, moments))[1].replace("5.0", "5")
    nothing = summed(SLOW, code=at(slice(100, 200), -1, kind=np.int16), service=at(slice(100, 200), -1, fill=10_000))
    assert causes(told(nothing, nothing)) == (
        "Nothing was answered.",
        "What went wrong in run 1: 100 requests never answered.",
    )
    assert causes(of_each_verdict()["PASS"]) == causes(of_each_verdict()["INVALID"]) == ()


# -- what is drawn -----------------------------------------------------------------------------------------------------


def test_the_run_that_is_shown_has_the_p95_in_the_middle():
    runs = [waiting(ms) for ms in (80, 20, 50)]
    assert representative(told(*runs)) == 2
    assert representative(told(*runs, waiting(60))) == 2
    nothing = summed(SLOW, code=at(slice(0, 200), 1, kind=np.int16), errors=("57014",))
    assert representative(told(nothing, waiting(20), waiting(30))) == 2


def test_a_long_run_is_drawn_in_steps_and_nothing_is_lost():
    run = summed()
    long = replace(run, seconds=run.seconds * 30)
    steps = steps_of(long)
    assert (steps.seconds, len(steps.at), steps.at[1]) == (5, 120, 5.0)
    assert sum(cell.arrivals for cell in steps.cells) == 30 * 200
    assert steps_of(run).seconds == 1
    assert steps_of(replace(long, seconds=long.seconds[:-3])).rates(lambda cell: cell.arrivals)[-2:] == (10.0, 10.0)


def test_answers_are_shown_when_they_came():
    """A queue that grows: asked are ten a second, answered five, and all of them in the end."""
    due = np.arange(200) / 10
    waited = np.where(due >= 10, (due - 10) * 1e6, 0).astype(np.int64)
    steps = steps_of(summed(waited=waited, late=np.zeros(200, dtype=np.bool_)))
    assert steps.rates(lambda cell: cell.answered) == (10.0,) * 20
    assert steps.answers[1:10] == pytest.approx((10.0,) * 9)
    assert steps.answers[11:] == pytest.approx((5.0,) * 9, rel=0.3)
    unanswered = {"code": at(slice(100, 110), -1, kind=np.int16), "service": at(slice(100, 110), -1, fill=10_000)}
    given_up = steps_of(summed(seconds=11.5, **unanswered))
    assert given_up.answers[10] == pytest.approx(0.1, rel=0.01)
    assert sum(given_up.answers) == pytest.approx(190, abs=0.2)


def test_planned_follows_the_phases():
    phases = (Phase("a", 10, 10, 10), Phase("b", 2, 10, 110), Phase("c", 8, 110, 110))
    scenario = replace(SCENARIO, phases=phases)
    found = planned(scenario, steps_of(summed()))
    assert found[:10] == pytest.approx([10] * 10)
    assert found[10:13] == pytest.approx([35, 85, 110])
    assert sum(found) == pytest.approx(sum(one.arrivals for one in phases))


def test_no_connection_works_more_than_a_second_in_a_second():
    stalled = summed(service=measured().service + at(range(100, 110), 990_000))
    found = pool_use(steps_of(stalled), 2)
    assert found[9] == pytest.approx(0.05)
    assert found[10:15] == pytest.approx((1.0,) * 5), "10 seconds of work take two connections 5"
    assert found[15:17] == pytest.approx((0.25, 0.05)), "and what was due meanwhile"


def test_heat_holds_every_request_and_none_twice():
    run = waiting(600)
    found = heat(steps_of(run))
    assert sum(map(sum, found.counts)) == 200
    assert [sum(counts) for counts in found.counts] == [10] * 20
    ((low, high),) = {(found.edges[band], found.edges[band + 1]) for band, count in enumerate(found.counts[0]) if count}
    assert low <= 10 < high


def test_the_spectrum_goes_as_far_as_the_requests_can_tell():
    places = spectrum_places(1000)
    assert (places[0], places[-1]) == (1.0, pytest.approx(100.0))
    assert spectrum_places(0) == ()
    cell = summed().chosen(["warm-up", "steady"])
    assert set(spectrum(cell.response, places)) == {cell.response.percentile(50)}


def test_what_is_late_by_the_generator_is_no_queue():
    """The picture must not take the one for the other: only the queue speaks against the pool."""
    late = summed(waited=took(4))
    queue = next(one for one in of_run(told(late, late), late) if one.key == "queue")
    assert [layer.kind for layer in queue.layers] == ["line", "between", "line"]
    assert queue.notes == ("At no time did more than one request in twenty have to wait for a connection.",)
    run = waiting(600)
    queue = next(one for one in of_run(told(run, run), run) if one.key == "queue")
    assert [one and round(one, -1) for one in queue.layers[-1].values] == [None] * 10 + [600] * 10
    assert queue.notes == ()


def test_other_ways_to_connect():
    scenario = replace(SCENARIO, connections="pgbouncer", connect="each")
    run = summed(scenario, connect=took(30))
    by_key = {one.key: one for one in of_run(told(run, run, scenario=scenario), run)}
    assert {round(value) for layer in by_key["connect"].layers for value in layer.values} == {30}
    assert (
        by_key["queue"].notes[-1] == "What waits in pgbouncer for a connection to the server is part of the solid line."
    )
    assert load_data(told(run, run, scenario=scenario))["each_run"][0]["connect_ms"]["p95"] == pytest.approx(
        30, rel=0.01
    )


def test_runs_stand_beside_those_they_are_compared_with():
    rows = against(of_each_verdict()["FAIL"]).rows
    assert [row.label for row in rows] == [
        "Median, these runs", "Median, the others", "95th percentile, these runs", "95th percentile, the others"
    ]  # fmt: skip
    assert [(row.limit, row.colour) for row in rows] == [(1.1, "bad"), (None, "soft"), (1.25, "bad"), (None, "soft")]
    assert rows[1].runs == pytest.approx((1.0, 1.1, 1.0), rel=0.01)
    assert rows[0].low == pytest.approx(59.5, rel=0.05)
    assert against(of_each_verdict()["PASS"]).is_empty


def test_pictures_that_have_nothing_to_show_say_so():
    by_key = {one.key: one for one in of_run(of_each_verdict()["PASS"], of_each_verdict()["PASS"].runs[0])}
    assert by_key["errors"].is_empty
    assert by_key["errors"].notes == ("There were none.",)
    assert strip(told(summed())).is_empty
    assert of_server(of_each_verdict()["PASS"], of_each_verdict()["PASS"].runs[0]) == ()


def test_limits_stand_over_the_phases_they_are_about():
    run = summed()
    (limit,) = next(one for one in of_run(told(run, run), run) if one.key == "response").limits
    assert (limit.begin, limit.end, limit.value, limit.label, limit.said) == (10, 20, 50, "95th", "50 ms")


def test_a_server_that_counts_anew_or_waits_for_locks():
    by_key = {one.key: one for one in of_server(of_each_verdict()["FAIL"], of_each_verdict()["FAIL"].runs[0])}
    assert [layer.label for layer in by_key["waits"].layers] == ["Lock", "CPU", "IO (disk)"]
    assert by_key["wal"].layers[0].values == tuple([1e6] * 20)
    assert len(by_key["wal"].marks) == 20, "one checkpoint a second"
    assert by_key["pooler"].layers[0].values == (4.0,) * 20
    anew = replace(OBSERVED, counted=(*OBSERVED.counted[:10], *OBSERVED.counted[:11]))
    anew = replace(anew, counted=tuple(replace(one, at=float(n)) for n, one in enumerate(anew.counted)))
    run = replace(of_each_verdict()["FAIL"].runs[0], observed=anew)
    wal = next(one for one in of_server(of_each_verdict()["FAIL"], run) if one.key == "wal")
    assert wal.layers[0].values[9] is None


def test_axes():
    assert second_ticks(20, 12) == [(at_, f"{at_} s" if at_ else "0") for at_ in range(0, 20, 2)]
    assert [text for _, text in second_ticks(3600, 6)] == ["0", "10 min", "20 min", "30 min", "40 min", "50 min"]
    assert [text for _, text in value_ticks(0.5, 2000, "milliseconds")] == ["1.0 ms", "10 ms", "100 ms", "1 s"]
    assert [text for _, text in one_in_ticks(1000, narrow=True)] == ["fastest", "90 %", "99 %", "99.9 %"]


# -- progress ----------------------------------------------------------------------------------------------------------


def test_progress_is_followed_over_the_runs():
    follower = Follower(SCENARIO, 2)
    lines = [
        progress_line(follower.hear(Progress(due, answered, errors, p95), now))
        for due, answered, errors, p95, now in (
            (10, 8, 0, None, 101.0),
            (150, 148, 3, 4.26, 115.0),
            (5, 5, 0, 812.0, 130.0),
            (5, 5, 0, 812.0, 132.0),
            (1, 1, 0, 2.0, 160.0),
        )
    ]
    assert lines == [
        "run 1 of 2, warm-up, 1 of 20 s: 8/s, p95 not known, no errors, 42 s left",
        "run 1 of 2, steady, 15 of 20 s: 10/s, p95 4.3 ms, 3 errors, 28 s left",
        "run 2 of 2, warm-up, 1 of 20 s: 5/s, p95 812 ms, no errors, 20 s left",
        "run 2 of 2, warm-up, 1 of 20 s: 0/s, p95 812 ms, no errors, 20 s left",
        "run 3 to be sure, warm-up, 0 of 20 s: 1/s, p95 2.0 ms, no errors, 20 s left",
    ]


def test_progress_of_all_the_runs():
    follower = Follower(SCENARIO, 2)
    heard = ((100, 1.0), (200, 2.0), (0, 3.0), (200, 4.0))
    shares = [follower.hear(Progress(due, due, 0, 1.0), now).share for due, now in heard]
    assert shares == pytest.approx([0.25, 0.5, 0.5, 1.0])


def test_an_interval_of_a_judged_time_is_told_as_it_is():
    criterion = SCENARIO.criteria[0]
    judged = Judged(criterion, (1.0, 2.0), Interval(700, 812, 930), Verdict.FAIL, "")
    assert sentence(judged).startswith("the 95th percentile of the response was 812 ms (700 ms to 930 ms)")
