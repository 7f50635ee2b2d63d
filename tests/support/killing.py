"""Runners to be killed: the deployment flow's own steps, without Prefect, in processes forked from a ready one.

    python -m tests.support.killing LOG

The parent has everything imported and no connection and no thread, so that a runner starts in milliseconds. It keeps
the proof of a rehearsed plan, which each of its children uses anew. It takes orders as lines of JSON on its standard
input and answers each with a line; tests/support/runners.py is the other side. What children say goes to LOG.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
from prefect import Task
from psycopg.pq import TransactionStatus
from psycopg.waiting import Wait

import flows.deploy as deploying
import tasks.roll_back
from tasks.backup import take_backup
from tasks.plan import read_plan
from tasks.recover import recovered
from tasks.rehearse import rehearse
from wedsync_db.errors import WedsyncError
from wedsync_db.model import Proof

_PRODUCT = f"{Path(__file__).resolve().parents[2] / 'wedsync_db'}/"
proofs: dict[str, Proof] = {}


# -- the trap ----------------------------------------------------------------------------------------------------------
class Trap:
    """Watches the round trips to servers, and ends this process at one: once it is `sent`, or once it is `answered`.

    Everything psycopg says to a server goes through `Connection.wait`: statements, those of a pipeline each by its
    answer, BEGIN, COMMIT and savepoints. What is sent is with the server, which goes on without us. A trip is known by
    its place in the program and by how often that was passed; `trips` are all, each with whether it ended outside of a
    transaction, so that whatever it did is there to stay.
    """

    def __init__(self, place: str, nth: int, how: str) -> None:
        self.place, self.nth, self.how = place, nth, how
        self.armed = False
        self.trips: list[tuple[str, bool]] = []

    def set(self) -> None:
        """From now on every session is watched."""
        wait, trap = psycopg.Connection.wait, self

        def trapped(connection: psycopg.Connection, generator: Any, *args: Any, **more: Any) -> Any:
            place = _place(sys._getframe(1)) if trap.armed else None
            if place is None:
                return wait(connection, generator, *args, **more)
            ours = trap.reached(place)
            answer = wait(
                connection, _until_sent(generator) if ours and trap.how == "sent" else generator, *args, **more
            )
            if ours:
                _die()
            trap.trips.append((place, connection.info.transaction_status is TransactionStatus.IDLE))
            return answer

        psycopg.Connection.wait = trapped  # type: ignore[method-assign]

    def reached(self, place: str) -> bool:
        """Count one more pass of this place; whether it is the one."""
        self.nth -= place == self.place
        return place == self.place and self.nth == 0


def _until_sent(generator: Any) -> Iterator[Any]:
    """Drive psycopg's generator until it waits for the answer alone; then there is nothing left to send."""
    ready = None
    while True:
        try:
            wanted = generator.send(ready)
        except StopIteration as done:
            return done.value
        if wanted == Wait.R:
            _die()
        ready = yield wanted


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _place(frame: FrameType | None) -> str | None:
    """The innermost functions of ours that are at work; None for the guard's questions, which change nothing."""
    ours: list[str] = []
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_PRODUCT):
            ours.append(f"{file[len(_PRODUCT) :].removesuffix('.py')}:{frame.f_code.co_name}")
            if ours[-1].startswith("guard/"):
                return None
        frame = frame.f_back
    return " < ".join(ours[:4])


# -- what runners do ---------------------------------------------------------------------------------------------------
def carry_out(environment: str, trap: Trap) -> bool:
    """The part of the flow that touches the target, with the proof at hand."""
    trap.armed = True
    return deploying._carry_out(environment, proofs[environment], ()).is_completed()


def undo(environment: str, trap: Trap) -> bool:
    """The same; what is trapped is the roll back that follows a failure."""
    roll_back = tasks.roll_back.roll_back

    def trapped(*args: Any) -> Any:
        trap.armed = True
        return roll_back(*args)

    tasks.roll_back.roll_back = trapped
    return deploying._carry_out(environment, proofs[environment], ()).is_completed()


def recover(environment: str, trap: Trap) -> bool:
    """What every next run begins with, and the hooks do."""
    trap.armed = True
    recovered(environment, print)
    return True


def deploy(environment: str, trap: Trap) -> bool:
    """The whole flow, backup and rehearsal too."""
    trap.armed = True
    return deploying.deploy.fn(environment).is_completed()


JOBS: dict[str, Callable[[str, Trap], bool]] = {job.__name__: job for job in (carry_out, undo, recover, deploy)}


def without_prefect() -> None:
    """Let the flow call what its tasks are made of."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("tasks.", "flows.")):
            for key, value in list(vars(module).items()):
                if isinstance(value, Task):
                    value.fn.fn = value.fn  # some call `.fn` themselves
                    setattr(module, key, value.fn)


# -- orders ------------------------------------------------------------------------------------------------------------
def prepare(order: dict[str, Any]) -> dict[str, Any]:
    """Plan, back up and rehearse, once for all runners of an environment."""
    os.environ.update(order["environ"])
    environment = order["environment"]
    plan = read_plan.fn(environment)
    backup = take_backup.fn(environment)
    proofs[environment] = Proof(plan, backup, rehearse.fn(environment, plan, backup))
    return {}


def fork(order: dict[str, Any]) -> dict[str, Any]:
    """Start a runner; it writes what became of it into the file that the order names, if it can."""
    pid = os.fork()
    if pid:
        return {"pid": pid}
    code = 3
    try:
        os.setsid()
        trap = Trap(*order["boundary"])
        trap.set()
        code = 0 if JOBS[order["job"]](order["environment"], trap) else 1
        Path(order["trips"]).write_text(json.dumps(trap.trips))  # whoever ends otherwise is not asked for them
    except WedsyncError:
        traceback.print_exc()
        code = 1
    except BaseException:  # noqa: BLE001 the child must not go on as its parent
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


def wait(order: dict[str, Any]) -> dict[str, Any]:
    """Wait for a runner's end: its exit code, or the negative number of the signal that ended it."""
    _, status = os.waitpid(order["pid"], 0)
    return {"code": os.waitstatus_to_exitcode(status)}


def main() -> None:
    """Take orders until the other side is gone."""
    answers = os.fdopen(os.dup(1), "w")
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
    without_prefect()
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = {"prepare": prepare, "fork": fork, "wait": wait}[order["do"]](order)
        except Exception as error:  # noqa: BLE001 told to whoever ordered it
            traceback.print_exc()
            answer = {"error": repr(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
