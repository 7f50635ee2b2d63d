"""What every task here has in common: no caching, retries only where they are safe, errors without secrets.

A task is thin: it resolves the environment's name, calls one verb of wedsync_db and publishes what it returned.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, TypeVar

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TagsContext, TaskRunContext
from prefect.tasks import Task, exponential_backoff

from wedsync_db.errors import WedsyncError
from wedsync_db.redact import RedactionFilter
from wedsync_db.report.errors import error_text, unexpected

P = ParamSpec("P")
R = TypeVar("R")

# 40001 serialization failure, 40P01 deadlock, 55P03 lock not available, 53300 too many connections,
# 57P01-57P03 server shutting down or starting: PostgreSQL's documentation, appendix A
RETRYABLE = frozenset({"40001", "40P01", "55P03", "53300", "57P01", "57P02", "57P03"})
_RETRYABLE_CLASS = "08"  # connection exceptions

logger = logging.getLogger("wedsync_db")
logger.setLevel(logging.INFO)


class _ExpectedErrors(logging.Filter):
    """One line for an error of ours, which says itself what happened: its traceback tells nobody anything."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Take the traceback away; every record passes."""
        if record.exc_info and isinstance(record.exc_info[1], WedsyncError):
            record.exc_info = record.exc_text = None
        return True


for _name in ("wedsync_db", "prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_name).addFilter(_ExpectedErrors())
    logging.getLogger(_name).addFilter(RedactionFilter())


def say(text: str) -> None:
    """One line for people: to the run's logs, and to the terminal where there is one."""
    logger.info(text)


def step(*, name: str, run_name: str, retries: int = 0) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a library verb a task. `run_name` is a template over the parameters, `backup-{environment}`.

    Retries happen only for errors that carry one of the named SQLSTATEs; give none to a step whose commit may have
    happened. The result stays in memory: it is never written to Prefect's storage.
    """

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        return task(
            name=name,
            task_run_name=run_name,
            # no tags: for each of them Prefect asks its API before and after the task, and waits where it is gone
            cache_policy=NO_CACHE,
            persist_result=False,
            retries=retries,
            retry_delay_seconds=exponential_backoff(0.5),
            retry_jitter_factor=0.5,
            retry_condition_fn=_is_retryable,
        )(_telling_errors(function))

    return decorate


def without_tags() -> AbstractContextManager[object]:
    """Let a run's tags not become those of its tasks: see `step`."""
    return TagsContext(current_tags=set())


def _telling_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Let only our own errors out: a driver's message may hold row values, and Prefect stores what it sees."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except WedsyncError as error:
            _log(error)
            raise
        except Exception as error:  # noqa: BLE001 nothing of a driver may get out
            ours = unexpected(error)
            _log(ours)
            raise ours from None

    return run


def _log(error: WedsyncError) -> None:
    """Put hint and excerpt into the run's logs, where Prefect has the message alone; the terminal gets them anyway."""
    if TaskRunContext.get() is not None:
        get_run_logger().error("%s", error_text(error))


def _is_retryable(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether the failure is one of the named passing conditions; Prefect takes an error in here for a no."""
    error = state.result(raise_on_failure=False)
    sqlstate = getattr(error, "sqlstate", None) or ""
    return sqlstate in RETRYABLE or sqlstate.startswith(_RETRYABLE_CLASS)
