"""`deploy --remote` and a server that answers late, wrongly, or never. Real ones: faults/test_exit_codes_both_ways."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Completed, Failed, Paused, Running, Scheduled

from flows import local_runs, remote_runs
from tests.support.case import write_settings
from wedsync_db.errors import Inconclusive, Refused, Unreachable, UsageError
from wedsync_db.installation import CHECKOUT, Installation

LAST = "Finished in state Completed()"


def status(code: int) -> Exception:
    request = httpx.Request("POST", "http://server/api/x")
    return PrefectHTTPStatusError("no", request=request, response=httpx.Response(code, request=request))


@dataclass
class Server:
    """Answers as Prefect's client does: a state and the lines there are by then, one after the other."""

    answers: list[tuple[object, list[str]]] = field(default_factory=list)
    on_start: list[Exception] = field(default_factory=list)  # what the first requests to start a run get
    keys: list[str] = field(default_factory=list)
    deployment: Exception | None = None
    called_off: list[StateType] = field(default_factory=list)
    _ids: dict[str, UUID] = field(default_factory=dict)
    _lines: list[str] = field(default_factory=list)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def read_deployment_by_name(self, _name):
        if self.deployment is not None:
            raise self.deployment
        return SimpleNamespace(id=uuid4())

    def create_flow_run_from_deployment(self, _deployment, *, parameters, idempotency_key):
        self.keys.append(idempotency_key)
        if self.on_start:
            raise self.on_start.pop(0)
        return SimpleNamespace(id=uuid4(), name="deploy-case")

    def read_flow_run(self, run_id):
        state, self._lines = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(state, Exception):
            raise state
        return SimpleNamespace(id=run_id, name="deploy-case", state=state)

    def read_logs(self, _filter, limit, offset, sort):
        return [self._line(message) for message in self._lines[offset : offset + limit]]

    def _line(self, message):
        logger = "prefect.flow_runs" if message == LAST else "prefect.task_runs"
        return SimpleNamespace(id=self._ids.setdefault(message, uuid4()), message=message, name=logger)

    def set_flow_run_state(self, _run, state, *, force):
        self.called_off.append(state.type)


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    server = Server()
    monkeypatch.setattr("prefect.client.orchestration.get_client", lambda **_: server)
    monkeypatch.setattr(remote_runs, "prepare", lambda _: None)
    for name, seconds in (("_POLL_SECONDS", 0.001), ("_QUIET_SECONDS", 0.05), ("_PATIENCE_SECONDS", 0.05)):
        monkeypatch.setattr(remote_runs, name, seconds)
    with temporary_settings({PREFECT_API_URL: "http://server/api"}):
        yield server


@pytest.fixture
def said(monkeypatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(remote_runs, "say", lines.append)
    return lines


@pytest.fixture
def deploy(tmp_path) -> Callable[..., object]:
    installation = Installation(CHECKOUT, {"WEDSYNC_ENVIRONMENTS": str(write_settings(tmp_path))})

    def call(**more: object):
        wanted = {"environment": "case", "yes": False, "override": [], "remote": True, "key": None} | more
        return local_runs.deploy(argparse.Namespace(**wanted), installation)

    return call


def test_lines_that_come_after_the_end_are_told_however_quiet_it_was_before(server, said, deploy):
    begun = ["one", "Finished in state Completed() is what tasks say"]
    quiet = [(Running(), begun)] * 100  # for longer than lines are waited for
    server.answers = [*quiet, (Completed(), begun), (Completed(), begun), (Completed(), [*begun, "two", LAST])]
    assert deploy().data["state"] == "Completed"
    assert said[1:] == [*begun, "two", LAST]


def test_a_run_that_cannot_say_its_last_line_is_listened_to_for_a_while(server, said, deploy):
    from prefect.states import Crashed

    server.answers = [(Crashed(), ["one"]), (Crashed(), ["one"]), (Crashed(), ["one", "undone by the hook"])]
    with pytest.raises(Inconclusive, match="ended as Crashed"):
        deploy()
    assert said[-1] == "undone by the hook"


def test_more_lines_than_a_page_are_told_once_each_and_those_out_of_order_too(server, said, deploy):
    lines = [f"line {n}" for n in range(450)]
    late = [*lines[:3], "it was written early and came late", *lines[3:], LAST]
    server.answers = [(Running(), lines[:10]), (Running(), lines), (Completed(), late)]
    deploy()
    assert sorted(said[1:]) == sorted(late)


def test_a_request_that_is_sent_again_asks_for_the_same_run(server, said, deploy):
    server.answers = [(Completed(), [LAST])]
    server.on_start = [httpx.ReadTimeout("lost"), status(503)]
    deploy()
    deploy()
    first, *again, another = server.keys
    assert again == [first, first]
    assert another != first, "without a key every call is a run of its own"
    assert said[0].startswith("the Prefect server does not answer: ReadTimeout; trying again")


def test_a_pipelines_one_key_is_a_run_for_each_environment(server, said, deploy):
    server.answers = [(Completed(), [LAST])]
    for name in ("case", "case_each", "case"):
        deploy(environment=name, key="pipeline-7")
    assert server.keys == ["case/pipeline-7", "case_each/pipeline-7", "case/pipeline-7"]


GONE = httpx.ConnectError("gone")


@pytest.mark.parametrize(
    ("answers", "on_start", "message"),
    [
        ([(Running(), []), (GONE, [])], [], "does not answer: ConnectError; what becomes of the run is not known"),
        ([(Running(), []), (status(401), [])], [], "lets nobody in .*; what becomes of the run is not known"),
        ([(Running(), []), (ObjectNotFound(GONE), [])], [], "the run was deleted"),
        ([], [httpx.ReadError("lost")] * 10_000, "does not answer: ReadError; what becomes of the run is not known"),
    ],
)
def test_an_end_that_cannot_be_seen_is_not_known(server, said, deploy, answers, on_start, message):
    server.answers, server.on_start = answers, on_start
    with pytest.raises(Inconclusive, match=message) as caught:
        deploy()
    assert "goes on without us" in caught.value.hint


@pytest.mark.parametrize(
    ("deployment", "on_start", "error", "message"),
    [
        (GONE, [], Unreachable, "does not answer: ConnectError"),
        (status(401), [], Refused, "without its password"),
        (status(403), [], Refused, "without its password"),
        (ObjectNotFound(GONE), [], Refused, "knows no deployment"),
        (None, [status(403)], Refused, "without its password"),
        (None, [status(409)], UsageError, "takes no such parameters"),
        (None, [status(422)], UsageError, "takes no such parameters"),
    ],
)
def test_what_was_never_started_is_said_to_be_so(server, said, deploy, deployment, on_start, error, message):
    server.deployment, server.on_start = deployment, on_start
    with pytest.raises(error, match=message) as caught:
        deploy()
    if error is Refused and "password" in message:
        assert "PREFECT_API_AUTH_STRING" in caught.value.hint


def test_a_run_that_nobody_takes_is_called_off(server, said, deploy, monkeypatch):
    monkeypatch.setattr(remote_runs, "_UNCLAIMED_SECONDS", 0.01)
    server.answers = [(Scheduled(), [])]
    with pytest.raises(Inconclusive, match="no worker took deploy-case"):
        deploy()
    assert server.called_off == [StateType.CANCELLED]


def test_a_run_that_waits_for_a_person_says_so_once(server, said, deploy):
    server.answers = [(Paused(), [])] * 3 + [(Failed(name="Refused", message="no"), [LAST])]
    with pytest.raises(Refused, match="ended as Refused: no"):
        deploy()
    assert sum(line.startswith("waits for an approval") for line in said) == 1


def test_a_cancelled_run_is_not_known_to_have_failed(server, said, deploy):
    server.answers = [(Cancelled(), [LAST])]
    with pytest.raises(Inconclusive, match="ended as Cancelled"):
        deploy()


def test_without_a_server_nothing_is_started(deploy, monkeypatch):
    monkeypatch.setattr(remote_runs, "prepare", lambda _: None)
    without = temporary_settings(restore_defaults={PREFECT_API_URL})  # whatever server other tests are on
    with without, pytest.raises(UsageError, match="no Prefect server"):
        deploy()


@pytest.mark.parametrize("remote", [True, False])
@pytest.mark.parametrize("text", ["freeze", "freeze=  ", "no such rule=because", "held=because"])
def test_an_override_that_is_not_right_starts_nothing(server, deploy, remote, text):
    with pytest.raises(UsageError):
        deploy(remote=remote, override=[text])
    assert server.keys == []


def test_a_key_goes_with_remote(deploy):
    with pytest.raises(UsageError, match="--key goes with --remote"):
        deploy(remote=False, key="commit-1")
