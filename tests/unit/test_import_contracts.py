"""The import contracts hold, and each fails when an import that breaks it is planted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    # neither the checkout's own packages nor coverage of ours may get in
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("COV", "PYTHONPATH"))}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path):
    for package in ("flows", "tasks", "wedsync_db"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_contracts_hold(copy):
    done = lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "planted", "broken"),
    [
        ("tasks/plan.py", "import flows.deploy", "flows > tasks > wedsync_db BROKEN"),
        ("wedsync_db/model.py", "import tasks.plan", "flows > tasks > wedsync_db BROKEN"),
        ("wedsync_db/model.py", "import prefect", "not even indirectly BROKEN"),
        ("flows/deploy.py", "import psycopg", "to the database themselves BROKEN"),
        ("tasks/plan.py", "import subprocess", "to the database themselves BROKEN"),
    ],
)
def test_a_planted_import_breaks_its_contract(copy, file, planted, broken):
    path = copy / file
    path.write_text(path.read_text() + f"\n{planted}\n")
    done = lint(copy)
    assert done.returncode == 1
    assert broken in done.stdout
