"""Run a load test, and tell what came of it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

from tasks.each import Ended, told
from tasks.live import Live
from tasks.names import EnvironmentName
from tasks.publishing import publish, publish_link, publish_table
from tasks.running import say, step
from tasks.shards import shards_of
from wedsync_db.cli.backups import choose
from wedsync_db.errors import Inconclusive, LoadTestFailed, WedsyncError
from wedsync_db.history.load_tests import load_tests
from wedsync_db.installation import Installation, this_installation
from wedsync_db.load.options import Options
from wedsync_db.load.permitted import runs_of
from wedsync_db.load.rounds import Earlier
from wedsync_db.load.run import LoadTest, load_test
from wedsync_db.load.scenario import Scenario, find_scenario, read_scenario, shipped
from wedsync_db.load.verdict import Verdict
from wedsync_db.report.load.files import write_load
from wedsync_db.report.load.text import condition_rows, load_line, load_markdown, load_text

if TYPE_CHECKING:
    ScenarioName = str
else:
    ScenarioName = Literal[tuple(shipped())]


@step(name="load-test", run_name="load-test-{environment}")
def run_load_test(environment: EnvironmentName, scenario: str, options: Options) -> Ended:
    """Run a scenario beside the environment's target; the verdict is in the answer."""
    try:
        return _run(environment, scenario, options)
    except WedsyncError as error:
        return told(environment, Ended(f"{environment}: {error.message}", error))


def _run(environment: EnvironmentName, name: str, options: Options) -> Ended:
    installation = this_installation()
    done = _tested(installation, environment, read_scenario(find_scenario(name)), options)
    with load_tests(installation, environment) as kept:
        kept.keep(done)
    for problem in kept.problems:
        say(problem)
    written = write_load(done, installation.home.ensure().reports)
    say(load_text(done))
    say(f"report: {written.page}")
    say(f"for CI: {written.junit}")
    publish(f"load-test-{environment}", load_markdown(done), "What the load test came to")
    publish_link(f"load-test-{environment}-page", written.page.as_uri(), "The page, on the machine that made it")
    publish_table(f"load-conditions-{environment}", condition_rows(done), "What was asked, and what was found")
    return told(environment, Ended(f"{load_line(done)}; {written.page}", _error(done.result.verdict, load_line(done))))


def _tested(installation: Installation, environment: EnvironmentName, scenario: Scenario, options: Options) -> LoadTest:
    """The test; once more where the measurement was no good. Who repeats a FAIL until it passes finds nothing."""
    runs = runs_of(scenario, options)
    test = partial(
        load_test,
        installation,
        installation.environment(environment),
        scenario,
        options=options,
        backup=choose(options.copy, installation, environment) if options.copy else None,
        baseline=lambda fingerprint: _earlier(installation, environment, fingerprint),
        shards=shards_of(environment, options.shards) if options.shards > 1 else None,
        clock=lambda: datetime.now(UTC),
    )
    with Live(environment, scenario, runs) as live:
        done = test(say=live.say, tell=live.tell)
    if not done.result.doubts or done.result.ended:  # what had to be ended would do the same harm again
        return done
    say(load_text(done))
    say("the measurement was no good: once more")
    with Live(environment, scenario, runs) as live:
        return test(say=live.say, tell=live.tell)


def _earlier(installation: Installation, environment: EnvironmentName, fingerprint: str) -> Earlier | None:
    with load_tests(installation, environment) as kept:
        found = kept.earlier(fingerprint)
    for problem in kept.problems:
        say(problem)
    return found


def _error(verdict: Verdict, line: str) -> WedsyncError | None:
    """What the run ends with, so that its exit code says the same as the verdict."""
    if verdict is Verdict.PASS:
        return None
    if verdict is Verdict.FAIL:
        return LoadTestFailed(line, hint="The report says which condition, and by how much.")
    return Inconclusive(line, hint="The report says what could not be known. Only INVALID is worth trying again.")
