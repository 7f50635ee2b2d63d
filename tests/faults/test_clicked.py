"""An operator at the browser: a deployment, an approval and a cancellation, each by nothing but clicks and keys."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.broken import BASE, lay_base, once_backed_up, switch_on
from tests.support.browser import CHROMIUM, Page, browsing
from tests.support.case import Case
from tests.support.served import Served, serving, until
from wedsync_db.migrate.deployment import take_fingerprint

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here"),
]

_ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_AGAIN_SECONDS = 10.0
_SLEEP = "do $$ begin if exists (select from public.switch) then perform pg_sleep(100); end if; end $$;"


@pytest.fixture
def served(case, tmp_path) -> Iterator[Served]:
    settings = case.folder / "environments.toml"
    settings.write_text(settings.read_text().replace("[environments.case]", "[environments.case]\napproval = true", 1))
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def page(request, tmp_path) -> Iterator[Page]:
    folder = Path(tempfile.mkdtemp(prefix="wedsync-browser-"))
    failed_before = request.session.testsfailed
    with browsing(folder) as opened:
        yield opened
        if request.session.testsfailed > failed_before:
            opened.screenshot(tmp_path / "failed.png")
    shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Operator:
    """Somebody at the browser, who knows which run was the last one looked at."""

    page: Page
    served: Served
    last: str = ""

    @property
    def ui(self) -> str:
        return self.served.api.removesuffix("/api")

    def starts(self, environment: str) -> str:
        """Fill in the form of `deploy`, send it, and open the run's page; the run's id."""
        self.page.open(f"{self.ui}/deployments")
        self.page.click("deploy", kinds="a[href*='/deployments/deployment/']")
        self.page.wait_for("Entrypoint")
        self.page.click("Run")
        self.page.click("Custom run")
        for words in ("The target, as environments.toml names it.", "Approve the plan in advance."):
            self.page.wait_for(words)
        self.page.choose(environment)
        self.sends("Next Run")
        return self.opens_newest(f"deploy-{environment}")

    def sends(self, then: str) -> None:
        """Send a form until its page has given way, as a person does to whom the server, for a moment, said no."""
        form = "[...document.querySelectorAll('button')].some(b => b.innerText.trim() === 'Submit')"
        self.page.click("Submit")
        asked = time.monotonic()

        def is_sent() -> bool:
            nonlocal asked
            refused = "Something went wrong" in self.page.text() and self.page.ask(form)
            if refused and time.monotonic() - asked > _AGAIN_SECONDS:
                self.page.click("Submit")
                asked = time.monotonic()
            return then in self.page.text() and not self.page.ask(form)

        until(is_sent)

    def opens_newest(self, name: str) -> str:
        """Open the page of the newest run, once it is one of this name that was not looked at before."""
        link = "a[href*='/runs/flow-run/']"
        newest = f"document.querySelector({link!r})"

        def is_there() -> bool:
            self.page.open(f"{self.ui}/runs")
            self.page.wait_for("Items per page")
            time.sleep(1)
            return self.page.ask(f"{newest}?.innerText.trim()") == name and self.page.ask(f"{newest}.href") != self.last

        until(is_there)
        self.last = self.page.ask(f"{newest}.href")
        self.page.click_css(link)
        self.page.wait_for("Task Runs")
        return self.last.rpartition("/")[2].partition("?")[0]

    def reads(self, artifact: str) -> str:
        """Open one of the run's artifacts, and read it."""
        self.page.click("Artifacts", kinds="button, a, [role=tab], li, span")
        self.page.click(artifact, kinds="a[href*='/artifacts/artifact/'] *")
        return self.page.wait_for("journal of")


def applied(case: Case) -> list[str]:
    return [row[0] for row in case.rows("select id from wedsync_db.ledger order by position")]


def sleeps(case: Case) -> bool:
    return case.rows("select exists (select from pg_stat_activity where wait_event = 'PgSleep')")[0][0]


def test_a_deployment_an_approval_and_a_cancellation(case, served, page):
    lay_base(case)
    operator = Operator(page, served)

    run = operator.starts("case_each")
    until(lambda: served.state(run) in _ENDED)
    assert served.state(run) == "COMPLETED", served.logs(run)
    page.find("Completed", kinds=".state-badge")
    assert "Deployed" in operator.reads("result-case-each")
    assert applied(case) == [BASE]

    case.migration("0002_fine", "create table public.fine (id int);", "drop table public.fine;")
    run = operator.starts("case")
    until(lambda: served.state(run) in ("PAUSED", *_ENDED))
    assert served.state(run) == "PAUSED", served.logs(run)
    page.click("Resume")
    form = page.wait_for("Who decides.")
    assert "Deploy 1 migration to case?" in form
    assert all(part in form for part in ("What runs", "0002_fine", "Who would wait", "Can it be undone"))
    for label, text in (("Approve", "yes"), ("Name", "Ada Lovelace"), ("Reason", "the release of June")):
        page.fill(label, text)
    operator.sends("Task Runs")
    until(lambda: served.state(run) in _ENDED)
    assert served.state(run) == "COMPLETED", served.logs(run)
    assert "approved by Ada Lovelace" in operator.reads("result-case")
    assert applied(case) == [BASE, "0002_fine"]

    before = take_fingerprint(case.address).digest
    case.migration("0003_fine", "create table public.finer (id int);", "drop table public.finer;")
    case.migration("0004_slow", f"create table public.slow (id int);\n{_SLEEP}", "drop table public.slow;")
    with once_backed_up(case, switch_on):
        run = operator.starts("case_each")
        until(lambda: sleeps(case))
    assert applied(case) == [BASE, "0002_fine", "0003_fine"]
    page.click("Cancel")
    page.wait_for("Cancel Flow Run")
    page.click("Confirm")
    until(lambda: served.state(run) in _ENDED)
    assert served.state(run) == "CANCELLED", served.logs(run)
    until(lambda: applied(case) == [BASE, "0002_fine"])
    until(lambda: served.page(run, "result-case-each").startswith("# Interrupted: undone"))
    assert take_fingerprint(case.address).digest == before
