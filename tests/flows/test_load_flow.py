"""The flow load_test: its end says the verdict, its form offers our scenarios, its report is a file."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from flows.__main__ import main
from tasks import live
from tasks import load as load_tasks
from tests.support.artifacts import artifacts_of
from tests.support.case import write_settings
from tests.support.load_runs import SCENARIO, summed, took
from wedsync_db.errors import Refused
from wedsync_db.guard.promotion import LoadTrial
from wedsync_db.history.load_tests import load_tests
from wedsync_db.load.rounds import judged
from wedsync_db.load.run import LoadTest
from wedsync_db.load.scenario import shipped
from wedsync_db.load.worker import Progress

pytestmark = pytest.mark.usefixtures("prefect_server", "environ_taken_back")
MIGRATIONS = (("0001_one", "a" * 64),)
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def ends(case, monkeypatch):
    """Let a load test end with these runs, instead of running it."""
    write_settings(case.folder, "load_test = true")

    def end(*runs, ended=""):
        def load_test(_installation, environment, scenario, *, options, **_):
            shown = replace(SCENARIO, title=scenario.title, name=scenario.name, pool=options.pool or scenario.pool)
            result = judged(shown, runs, ended=ended)
            return LoadTest(
                environment.name, shown, "PostgreSQL 18.4", options.seed, AT, MIGRATIONS, runs, result, "print"
            )

        monkeypatch.setattr("tasks.load.load_test", load_test)

    # drawing takes most of a second; what is drawn, test_load_report looks at
    monkeypatch.setattr("wedsync_db.report.load.files.load_html", lambda test: test.result.verdict.value)
    return end


def slow(milliseconds, **changes):
    return summed(service=took(milliseconds), **changes)


@pytest.mark.parametrize(
    ("runs", "code", "verdict"),
    [
        ((slow(10), slow(11)), 0, "PASS"),
        ((slow(80), slow(81)), 1, "FAIL"),
        ((slow(30), slow(70)), 5, "INCONCLUSIVE"),
        ((slow(10), slow(10, cpu_seconds=40.0)), 5, "INVALID"),
    ],
)
def test_the_exit_code_says_the_verdict(case, ends, capsys, runs, code, verdict):
    ends(*runs)
    assert main(["load-test", "case", "users_1000", "--pool", "7", "--json"]) == code
    said = json.loads(capsys.readouterr().out)
    assert f"case, 1,000 users: {verdict} (" in (said["result"] if code == 0 else said["message"])
    reports = case.installation.home.reports
    written = json.loads((reports / "load-case-users_1000-20261121T120000Z.json").read_text())
    assert (reports / "load-case-users_1000-20261121T120000Z.html").read_text() == verdict
    assert "<testsuites" in (reports / "load-case-users_1000-20261121T120000Z.junit.xml").read_text()
    assert (written["verdict"], written["pool"], written["runs"]) == (verdict, 7, 2)
    with load_tests(case.installation, "case") as kept:
        assert kept.newest("users_1000") == LoadTrial("users_1000", verdict, frozenset(MIGRATIONS))
        assert kept.newest("spike") == LoadTrial("spike")
        earlier = kept.earlier("print")
        assert [one.to_bytes() for one in earlier.runs] == ([one.to_bytes() for one in runs] if code == 0 else [])
        assert kept.earlier("another").runs == ()
        kept.keep(by_pgbench(runs))
        assert kept.newest("users_1000") == LoadTrial("users_1000", verdict, frozenset(MIGRATIONS))
        assert kept.problems == []


def by_pgbench(runs):
    """A later test of the same scenario, by the engine that looks at no rows."""
    asked, later = replace(SCENARIO, name="users_1000"), AT + timedelta(hours=1)
    result = judged(asked, runs)
    return LoadTest("case", asked, "PostgreSQL 18.4", 1, later, (), runs, result, "other", engine="pgbench")


def test_its_page_and_its_conditions_are_shown(case, ends):
    from flows.load_test import load_test

    ends(slow(80), slow(81))
    state = load_test("case", "users_1000", return_state=True)
    (page,) = case.installation.home.reports.glob("*.html")
    shown = {one.key: one for one in artifacts_of(state.state_details.flow_run_id)}
    assert page.as_uri() in shown["load-test-case-page"].data
    assert shown["load-test-case"].data.startswith("# FAIL: case does not hold “1,000 users”: 1 of 3 conditions")
    rows = json.loads(shown["load-conditions-case"].data)
    assert [(row["verdict"], row["asked"]) for row in rows] == [
        ("FAIL", "less than 50 ms"), ("PASS", "less than 1 %"), ("PASS", "none")
    ]  # fmt: skip


def test_progress_is_a_line_in_ten_seconds_or_one_that_is_redrawn(monkeypatch, capsys):
    said, drawn, now = [], [], [0.0]
    monkeypatch.setattr("tasks.live.say", said.append)
    monkeypatch.setattr("tasks.live.time", SimpleNamespace(monotonic=lambda: now[0]))  # the clock is Prefect's, too
    with live.Live("case", SCENARIO, 2) as shown:
        for second in range(1, 21):
            now[0] = float(second)
            shown.tell(Progress(10 * second, 10 * second, 0, 4.2))
    assert [line.partition(" s:")[0] for line in said] == [
        "run 1 of 2, warm-up, 1 of 20",
        "run 1 of 2, steady, 11 of 20",
    ]
    monkeypatch.setattr("tasks.live.over", lambda text: drawn.append(text) or True)
    with live.Live("case", SCENARIO, 2) as shown:
        shown.tell(Progress(10, 10, 0, 4.2))
        shown.say("run 1: 200 answered")
    assert [line.partition(",")[0] for line in drawn] == ["  run 1 of 2", "", ""]
    assert said[2:] == ["run 1: 200 answered"]


@pytest.mark.parametrize(
    ("first", "ended", "second", "code", "times"),
    [
        ({"cpu_seconds": 40.0}, "", {}, 0, 2),
        ({"cpu_seconds": 40.0}, "", {"cpu_seconds": 40.0}, 5, 2),
        ({"cpu_seconds": 40.0}, "a standby was left behind", {}, 5, 1),
        ({"service": took(80)}, "", {}, 1, 1),
    ],
)
def test_only_what_was_no_measurement_is_done_again(case, ends, monkeypatch, first, ended, second, code, times):
    made = []
    for changes, why in ((second, ""), (first, ended)):
        ends(summed(**changes), summed(**changes), ended=why)
        made.append(load_tasks.load_test)

    def load_test(*given, **more):
        return made.pop()(*given, **more)

    monkeypatch.setattr("tasks.load.load_test", load_test)
    assert main(["load-test", "case", "users_1000"]) == code
    assert len(made) == 2 - times


def test_what_goes_wrong_is_the_run_s_end(case, ends, monkeypatch, capsys):
    ends()

    def refuse(*_, **__):
        raise Refused("no room", hint="make some")

    monkeypatch.setattr("tasks.load.load_test", refuse)
    assert main(["load-test", "case", "spike"]) == 3
    assert "no room" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["case", "users_1"], 2, "there is no scenario users_1"),
        (["case", "spike", "--pool", "0"], 2, "--pool is 1 to 1000"),
        (["case", "spike", "--repeats", "11"], 2, "--repeats is 1 to 10"),
        (["nowhere", "spike"], 2, "there is no environment nowhere"),
        (["case", "spike", "--confirm", "other"], 2, "--confirm names another environment than case"),
        (["case", "connect_storm", "--engine", "pgbench"], 2, "pgbench does not do connect_storm"),
        (["case", "spike", "--pool", "201"], 2, "201 connections are more than [safety] allows, 200"),
    ],
)
def test_a_wrong_command_is_told_before_prefect_starts(case, ends, capsys, arguments, code, said):
    ends()
    assert main(["load-test", *arguments]) == code
    assert said in capsys.readouterr().err


def test_an_environment_not_for_load_tests_is_refused(case, capsys):
    assert main(["load-test", "case", "spike"]) == 3
    assert "load_test = true" in capsys.readouterr().err


def test_where_deployments_are_approved_its_name_is_typed_each_time(case, ends, capsys):
    ends(slow(10), slow(11))
    settings = case.folder / "environments.toml"
    settings.write_text(settings.read_text().replace("load_test = true", "load_test = true\napproval = true"))
    assert main(["load-test", "case", "users_1000"]) == 3
    assert "--confirm case" in capsys.readouterr().err
    assert main(["load-test", "case", "users_1000", "--confirm", "case"]) == 0


def test_the_form_offers_the_scenarios_by_name():
    from prefect.utilities.callables import parameter_schema

    from flows.load_test import load_test

    properties = parameter_schema(load_test).model_dump()["properties"]
    assert properties["scenario"]["enum"] == list(shipped())
    assert properties["pool"]["anyOf"][0]["maximum"] == 1000
