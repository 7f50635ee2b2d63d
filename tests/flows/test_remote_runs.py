"""`deploy --remote`: started on the server, run by its worker, seen to its end from here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.broken import lay_base
from tests.support.served import Served, serving, until
from wedsync_db.installation import CHECKOUT

pytestmark = [pytest.mark.faults, pytest.mark.timeout(420)]


@pytest.fixture
def served(case, tmp_path) -> Iterator[Served]:
    with serving(tmp_path) as running:
        yield running


def deploy(api: str | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = os.environ | ({"PREFECT_API_URL": api} if api else {})
    command = [sys.executable, "-m", "flows", "deploy", "case", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=False, timeout=300)


def test_a_remote_deployment_ends_here_as_it_ended_there(case, served):
    lay_base(case)
    first = deploy(served.api, "--remote", "--key", "commit-1", "--json")
    assert first.returncode == 0, first.stderr
    run = json.loads(first.stdout)["run"]
    assert "the backup is proven" in first.stderr
    assert "case: 1 migration deployed" in first.stderr, "the last lines are told, too"
    assert case.rows("select count(*) from wedsync_db.deployment") == [(1,)]

    again = deploy(served.api, "--remote", "--key", "commit-1", "--json")
    assert (again.returncode, json.loads(again.stdout)["run"]) == (0, run)
    assert case.rows("select count(*) from wedsync_db.deployment") == [(1,)]

    case.migration("0002_lossy", "update public.items set name = 'same';", "update public.items set name = 'other';")
    failed = deploy(served.api, "--remote")
    assert failed.returncode == 1
    assert "ended as RehearsalFailed" in failed.stderr
    refused = deploy(served.api, "--remote", "--override", "no such rule=because")
    assert (refused.returncode, "ended as UsageError" in refused.stderr) == (2, True)
    told = first.stdout + first.stderr + failed.stderr
    assert "not-a-secret" not in told

    until(lambda: served.state(run) == "COMPLETED")


def test_without_a_server_nothing_is_started(case):
    lay_base(case)
    assert deploy(None, "--remote").returncode == 2
    gone = deploy(None, "--key", "commit-1")
    assert (gone.returncode, "--key goes with --remote" in gone.stderr) == (2, True)
