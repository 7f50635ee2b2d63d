"""The tool as a user runs it, for the cases that other migration tools were measured on.

    python -m tests.support.peers

is a process that starts commands: it has imported the flow once, and forks a process of its own for each.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.case import PASSWORD, Case, write_settings
from tests.support.waiting import until
from wedsync_db.installation import CHECKOUT, this_installation
from wedsync_db.migrate.deployment import read_plan
from wedsync_db.postgres.session import session

# patient enough for a loaded machine, and no statement of a test takes as long
LOCKS = "poll_seconds = 20\nlock_timeout_ms = 200\nattempts = 3\nstatement_timeout_ms = 60000\nroll_back_seconds = 60"
SLEEP = "perform pg_sleep(60);"  # until it is killed


@dataclass(frozen=True)
class Ended:
    """How a command ended; `text` is what it said on stdout and stderr."""

    code: int
    text: str


@dataclass(frozen=True)
class Command:
    """A command that runs, the leader of a process group of its own."""

    pid: int
    said: Path

    def wait(self) -> Ended:
        """Wait for its own end; a killed one has none."""
        until(lambda: not self.alive())
        text = self.said.read_text()
        assert PASSWORD not in text
        assert "Traceback" not in text
        return Ended(int(self.said.with_suffix(".code").read_text()), text)

    def alive(self) -> bool:
        """Whether it still runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL its main process and nothing else."""
        os.kill(self.pid, signal.SIGKILL)
        until(lambda: not self.alive())

    def kill_group(self) -> None:
        """SIGKILL it together with all that it started."""
        os.killpg(self.pid, signal.SIGKILL)
        until(lambda: not self.alive())


class Tool:
    """`tool("deploy", "case")` runs a command to its end, `tool.start(…)` leaves it running."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._started: list[Command] = []

    def __call__(self, *arguments: str) -> Ended:
        return self.start(*arguments).wait()

    def start(self, *arguments: str) -> Command:
        """Start a command with this process's variables."""
        said = self._folder / f"{len(self._started)}.txt"
        environ = {name: value for name, value in os.environ.items() if name.startswith("WEDSYNC_")}
        self._process.stdin.write(json.dumps([arguments, environ, str(said)]) + "\n")
        self._process.stdin.flush()
        command = Command(int(self._process.stdout.readline()), said)
        self._started.append(command)
        return command

    def end(self) -> None:
        """Kill what a failed test left running."""
        for command in self._started:
            with suppress(ProcessLookupError):
                os.killpg(command.pid, signal.SIGKILL)


@contextmanager
def the_tool(api: str) -> Iterator[Tool]:
    """A tool whose runs are recorded by the Prefect server at `api`."""
    with tempfile.TemporaryDirectory(prefix="wedsync-peers-") as folder:
        Path(folder).chmod(0o711)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.peers"],
            cwd=CHECKOUT, env={**os.environ, "PREFECT_API_URL": api, "WEDSYNC_HOME": f"{folder}/home"}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        tool = Tool(process, Path(folder))
        try:
            yield tool
        finally:
            tool.end()
            process.communicate()


# -- the target --------------------------------------------------------------------------------------------------------
def applied(case: Case) -> list[str]:
    """The ledger."""
    return [entry.id for entry in read_plan(case.address, case.installation.environment("case")).applied]


def asleep(case: Case) -> bool:
    """Whether a migration is in the statement that waits to be killed."""
    query = (
        "select 1 from pg_stat_activity where datname = current_database() "
        "and application_name = 'wedsync-db/migrate' and wait_event = 'PgSleep'"
    )
    return bool(case.rows(query))


def switch_off(case: Case) -> None:
    """Disarm what `switch_on` armed: what was waited in passes the next time."""
    with session(case.admin, "switch") as connection:
        connection.execute("delete from public.switch")


def write_patiently(case: Case) -> None:
    """Give the case's environments the budgets of LOCKS."""
    write_settings(case.folder, locks=LOCKS)


def execute(case: Case, statement: str) -> None:
    """Change the target as a client of the application does."""
    with session(case.address, "client") as connection:
        connection.execute(statement)


# -- the process that starts commands ----------------------------------------------------------------------------------
def _serve() -> None:
    from flows.local_runs import prepare

    prepare(this_installation())
    importlib.import_module("flows.deploy")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a command here: its end is its pid's
    for line in sys.stdin:
        arguments, environ, said = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(arguments, environ, Path(said))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _become(arguments: list[str], environ: dict[str, str], said: Path) -> None:
    """Be the command, to this process's end."""
    from flows.__main__ import main

    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.update(environ)
    output = os.open(said, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    code = 70
    try:
        code = main(arguments)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        said.with_suffix(".code").write_text(str(code))
        os._exit(code)


if __name__ == "__main__":
    _serve()
