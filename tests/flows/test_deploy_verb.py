"""`deploy` from the command line: the flow's end as an answer, an error and an exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from flows.__main__ import main
from tests.support.broken import lay_base, once_backed_up, switch_on
from tests.support.case import PASSWORD, write_settings
from wedsync_db.errors import Inconclusive
from wedsync_db.installation import CHECKOUT


@pytest.fixture
def cli(case, capsys):
    """Run a verb: exit code, stdout, stderr. What `prepare` sets for this process is taken back afterwards.

    Prefect is imported already and logs as it likes; what a terminal gets to see, `process` shows.
    """
    before = dict(os.environ)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        out, err = capsys.readouterr()
        assert PASSWORD not in out + err
        return code, out, err

    yield run
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


@pytest.fixture
def process(case, prefect_server):
    """Run a verb as a process of its own, recorded on the test's Prefect server: exit code, stdout, stderr."""
    from prefect.settings import PREFECT_API_URL

    environ = {**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value()}

    def run(*arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "flows", *arguments],
            cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip
        assert PASSWORD not in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


def planted(case) -> None:
    case.migration(
        "0002_planted",
        "do $$ begin if exists (select from public.switch) then raise 'planted'; end if; end $$;",
        "select 1;",
    )


@pytest.mark.usefixtures("prefect_server")
def test_deploy_ends_in_an_answer_or_an_error(case, cli):
    lay_base(case)
    code, out, _ = cli("deploy", "case", "--json")
    assert code == 0
    assert json.loads(out)["state"] == "Completed"
    assert "1 migration deployed" in json.loads(out)["result"]
    assert cli("deploy", "case")[:2] == (0, ""), "all was told while it ran"
    planted(case)
    with once_backed_up(case, switch_on):
        code, out, _ = cli("deploy", "case", "--json")
    assert code == 1
    error = json.loads(out)
    assert error["error"] == "MigrationFailed"
    assert "0002_planted/deploy.sql:1" in error["message"]


def test_terminal_gets_our_lines_only(case, process):
    lay_base(case)
    code, out, err = process("deploy", "case")
    assert (code, out) == (0, "")
    assert "case: 1 migration deployed in" in err
    assert "prefect" not in err.replace("wedsync-prefect", "").lower()
    planted(case)
    with once_backed_up(case, switch_on):
        code, out, err = process("deploy", "case")
    assert (code, out) == (1, "")
    assert "case: rolled back (abort), the catalog is exactly as before." in err
    assert "error: 0002_planted/deploy.sql:1" in err
    case.migration("0002_planted", "create table public.x (;")
    code, out, err = process("deploy", "case", "--json")
    assert json.loads(out)["findings"][0]["line"] == 1
    assert code == 1


@pytest.mark.usefixtures("prefect_server")
def test_person_needed_is_exit_code_4(case, cli):
    write_settings(case.folder, "require_exact_revert = false")
    lay_base(case)
    assert cli("deploy", "case")[0] == 0
    case.migration("0002_stays", "create table public.stays (id int);", revert=None)
    case.migration(
        "0003_planted",
        "do $$ begin if exists (select from public.switch) then raise 'planted'; end if; end $$;",
        "select 1;",
    )
    with once_backed_up(case, switch_on):
        code, out, err = cli("deploy", "case_each")
    assert (code, out) == (4, "")
    assert "  at risk: 0002_stays" in err
    (page,) = case.installation.home.reports.glob("case_each/*.html")
    assert "A person is needed" in page.read_text()


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["nowhere"], 2), (["case", "--override", "nonsense=x"], 2), (["case", "--override", "freeze"], 2)],
)
def test_wrong_usage_is_exit_code_2(case, cli, arguments, code):
    lay_base(case)
    assert cli("deploy", *arguments)[:2] == (code, "")
    assert case.rows("select count(*) from pg_namespace where nspname = 'wedsync_db'") == [(0,)]


@pytest.mark.usefixtures("prefect_server")
def test_flow_that_ends_in_no_error_of_ours():
    from prefect.states import Cancelled, Failed

    from flows.local_runs import run
    from wedsync_db.errors import WedsyncError

    for state in (Failed(message="lost", data=ValueError("row of nobody")), Cancelled(message="lost")):
        with pytest.raises(WedsyncError, match=f"the run ended as {state.name}: lost") as caught:
            run(lambda state=state: state)
        assert "recover" in caught.value.hint


def test_prefect_api_that_does_not_answer():
    from flows.local_runs import run
    from wedsync_db.errors import Unreachable

    def without_api():
        raise RuntimeError("Failed to reach API at http://127.0.0.1:1/api/")

    with pytest.raises(Unreachable, match="does not answer"):
        run(without_api)

    def broken():
        raise RuntimeError("row of nobody")

    with pytest.raises(Inconclusive, match="the run was lost: unexpected RuntimeError at"):
        run(broken)


def test_temporary_server_that_does_not_start_in_time(monkeypatch):
    from flows.local_runs import run
    from wedsync_db.errors import Unreachable

    def too_late(**_):
        raise RuntimeError("Timed out while attempting to connect to ephemeral Prefect API server.")

    monkeypatch.setattr("prefect.client.orchestration.get_client", too_late)
    with pytest.raises(Unreachable, match="did not start") as caught:
        run(lambda: pytest.fail("nothing may begin without it"))
    assert "Nothing was touched" in caught.value.hint


def test_ctrl_c_ends_the_run_and_not_its_prefect_server_before_it(case):
    """As a terminal sends it: to us and to all that we started.

    In the middle of a step: between two of them Prefect itself turns the signal into an error of its own (exit code 5).
    """
    lay_base(case)
    environ = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    command = [sys.executable, "-m", "flows", "deploy", "case"]
    process = subprocess.Popen(
        command, cwd=CHECKOUT, env=environ, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        said: list[str] = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("rehearsal on a scratch server"):
                os.killpg(process.pid, signal.SIGINT)
        assert process.wait() == 130, said
    finally:
        process.kill()
        process.stderr.close()
    assert "interrupted; `status` says where things stand" in said[-1]
    assert not any("API" in line for line in said), said
