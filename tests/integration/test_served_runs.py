"""The runs `up` finds and leaves: told to a server that speaks as Prefect's does, on a real target."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from wedsync_db.cli import served_runs
from wedsync_db.errors import UsageError
from wedsync_db.postgres.locks import announce


@dataclass
class Api:
    """Answers as Prefect's server: `runs` are under way; each is gone `polls` questions after it was told to end."""

    runs: list[dict] = field(default_factory=list)
    polls: int = 1
    told: list[tuple[str, str, str]] = field(default_factory=list)
    busy: int = 0  # answers 503 so often first
    url: str = ""
    authorization: str | None = None  # of the last request

    def answer(self, path: str, body: dict) -> object:
        if path.endswith("/filter"):
            assert body["work_pools"] == {"name": {"any_": ["pool"]}}
            assert "PAUSED" in body["flow_runs"]["state"]["type"]["any_"], "a run that waits for a person goes on, too"
            if self.told:
                self.polls -= 1
            return self.runs if not self.told or self.polls > 0 else []
        self.told.append((path.split("/")[-2], body["state"]["type"], body["state"]["message"]))
        return {}


@pytest.fixture
def api():
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            api.busy -= 1
            api.authorization = self.headers.get("Authorization")
            reply = b"" if api.busy >= 0 else json.dumps(api.answer(self.path, body)).encode()
            self.send_response(503 if api.busy >= 0 else 200)
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_port}/api"
    yield api
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def said(monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(served_runs, "say", lines.append)
    monkeypatch.setattr(served_runs, "_POLL_SECONDS", 0.01)
    return lines


def run(environment: str | None = "case") -> dict:
    return {"id": "r1", "name": f"deploy-{environment}", "parameters": {"environment": environment}}


def test_nothing_under_way_is_nothing_to_do(api, said):
    served_runs.cancel(api.url, "pool")
    assert (api.told, said) == ([], [])


def test_runs_are_cancelled_and_waited_for(api, said):
    api.runs, api.polls = [run()], 3
    served_runs.cancel(api.url, "pool")
    assert api.told == [("r1", "CANCELLING", "`up` was stopped")]
    assert len(said) == 1
    assert "cancelling deploy-case" in said[0]


def test_server_whose_database_is_locked_is_asked_again(api, said):
    api.runs, api.busy = [run()], 3
    served_runs.cancel(api.url, "pool")
    assert api.told == [("r1", "CANCELLING", "`up` was stopped")]


def test_server_whose_database_stays_locked_stops_nothing(api, said):
    api.runs, api.busy = [run()], 10_000
    served_runs.cancel(api.url, "pool")
    assert said == ["the Prefect server could not be asked about its runs: HTTPError"]


def test_what_does_not_end_in_time_is_told_with_the_way_out(api, said, monkeypatch):
    monkeypatch.setattr(served_runs, "_CANCEL_SECONDS", 0.05)
    api.runs, api.polls = [run()], 10_000
    served_runs.cancel(api.url, "pool")
    assert "`recover case`" in said[-1]


def test_second_interrupt_ends_the_waiting(api, said, monkeypatch):
    def interrupted(_seconds):
        raise KeyboardInterrupt

    api.runs, api.polls = [run()], 10_000
    monkeypatch.setattr(served_runs.time, "sleep", interrupted)
    served_runs.cancel(api.url, "pool")
    assert "not waiting" in said
    assert "`recover case`" in said[-1]


def test_what_a_killed_up_left_is_recovered_and_marked(api, said, case):
    api.runs = [run()]
    served_runs.settle(api.url, "pool", case.installation)
    assert api.told == [("r1", "CRASHED", "Its worker had ended. case: no interrupted deployment")]


def test_a_run_that_still_works_is_left_alone(api, said, case):
    api.runs = [run()]
    with announce(case.address):
        served_runs.settle(api.url, "pool", case.installation)
    assert api.told == []
    assert "left alone: another deployment is under way" in said[-1]


def test_what_cannot_be_recovered_is_marked_with_the_reason(api, said, case, monkeypatch):
    monkeypatch.delenv("WEDSYNC_CASE_URL")
    installation = type(case.installation)(case.installation.checkout, {**case.installation.environ})
    installation.environ.pop("WEDSYNC_CASE_URL")
    api.runs = [run()]
    served_runs.settle(api.url, "pool", installation)
    ((_, state, message),) = api.told
    assert state == "CRASHED"
    assert "WEDSYNC_CASE_URL" in message
    assert any("WEDSYNC_CASE_URL" in line for line in said)


def test_run_of_another_flow_is_marked_without_a_target(api, said, case):
    api.runs = [run(None)]
    served_runs.settle(api.url, "pool", case.installation)
    assert api.told == [("r1", "CRASHED", "Its worker had ended. ")]


def test_server_that_does_not_answer_stops_nothing(said):
    served_runs.cancel("http://127.0.0.1:1/api", "pool")
    assert "could not be asked" in said[0]


@pytest.mark.parametrize("variable", ["PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"])
def test_server_that_asks_for_a_password_gets_it(api, said, monkeypatch, variable):
    served_runs.cancel(api.url, "pool")
    assert api.authorization is None
    monkeypatch.setenv(variable, "ops:geheim")
    served_runs.cancel(api.url, "pool")
    assert api.authorization == "Basic b3BzOmdlaGVpbQ=="


def test_what_up_starts_is_let_in_with_the_servers_password():
    wanted = {"PREFECT_SERVER_API_AUTH_STRING": "ops:geheim"}
    assert served_runs.let_in(wanted) == {"PREFECT_API_AUTH_STRING": "ops:geheim"}
    assert served_runs.let_in(wanted | {"PREFECT_API_AUTH_STRING": "ops:geheim"}) == served_runs.let_in(wanted)
    assert served_runs.let_in({"PREFECT_API_AUTH_STRING": "ops:geheim"}) == {}
    with pytest.raises(UsageError, match="are not the same") as caught:
        served_runs.let_in(wanted | {"PREFECT_API_AUTH_STRING": "ops:n0t-geheim"})
    assert "geheim" not in f"{caught.value.message}{caught.value.hint}"
