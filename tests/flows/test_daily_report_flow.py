"""The flow of each morning: its artifacts, and that one environment does not keep others from theirs."""

from __future__ import annotations

import pytest

from tests.support.artifacts import artifacts_of
from tests.support.case import write_settings
from wedsync_db.errors import Unreachable, WedsyncError
from wedsync_db.history.store import open_history

pytestmark = pytest.mark.usefixtures("prefect_server")


def test_artifacts_link_the_page_and_one_that_fails_keeps_nobody_from_theirs(case, address, monkeypatch):
    from flows.daily_report import daily_report
    from tasks import daily

    monkeypatch.setenv("WEDSYNC_HISTORY_URL", f"postgresql://{address.user}@/{address.dbname}?host={address.host}")
    file = write_settings(case.folder)
    file.write_text(file.read_text() + '\n[history]\nurl_env = "WEDSYNC_HISTORY_URL"\n')
    with open_history(address):  # made, and empty
        pass
    make = daily.make_report

    def failing(installation, name, **more):
        if name == "case":
            raise Unreachable("no session with the history store")
        return make(installation, name, **more)

    monkeypatch.setattr(daily, "make_report", failing)
    state = daily_report(days=1, return_state=True)
    assert state.name == "Unreachable"
    assert isinstance(state.result(raise_on_failure=False), WedsyncError)
    (page,) = case.installation.home.reports.glob("case_each/daily/*.html")
    assert "Nothing was measured in this time" in page.read_text()
    shown = {one.key: one for one in artifacts_of(state.state_details.flow_run_id)}
    assert shown["daily-report-case-each-page"].data == f"[{page.as_uri()}]({page.as_uri()})"
    assert "does the flow `monitor` run?" in shown["daily-report-case-each"].data
