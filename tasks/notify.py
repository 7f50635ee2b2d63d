"""Tell people how a deployment goes, through the notification blocks of Prefect that its environment names.

Like an artifact a message is sent when that works, and is never the reason why a deployment fails or waits: each goes
out in a thread of its own, and only the end of a run gives those that are still on their way a few seconds.
"""

from __future__ import annotations

import asyncio
import inspect
from functools import partial
from typing import cast
from uuid import UUID

from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter, FlowRunFilterState
from prefect.client.schemas.filters import FlowRunFilterStateType as OfType
from prefect.client.schemas.objects import TERMINAL_STATES
from prefect.client.schemas.sorting import FlowRunSort
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL

from tasks.beside import Beside
from tasks.publishing import run_page
from tasks.running import logger
from wedsync_db.errors import WedsyncError
from wedsync_db.installation import this_installation
from wedsync_db.model import Event
from wedsync_db.report.errors import unexpected
from wedsync_db.report.notice import Notice

_PATIENCE_SECONDS = 5.0
_ENDED = FlowRunFilter(state=FlowRunFilterState(type=OfType(any_=list(TERMINAL_STATES))))
_told: set[tuple[str, Notice]] = set()
_messages = Beside("a notification is still on its way; it is not waited for any longer")


def notify(environment: str, event: Event, text: str, *, run_id: UUID | None = None, repeats: bool = False) -> None:
    """Tell whoever the environment names, once a run, in the background. Best effort: raises nothing.

    Args:
        environment: Its settings say who is told, and of which events.
        event: What happened.
        text: One line about it; secrets in it are hidden.
        run_id: The run it is about, where that is not the current one.
        repeats: Each run of this flow finds it again: it is told if the flow's last run did not end with this text.
    """
    try:
        settings = this_installation().environment(environment)
    except WedsyncError:  # whoever needs the file says what is wrong with it
        return
    run = str(run_id or flow_run.id)
    # a temporary server has gone when somebody follows the link
    notice = Notice(environment, event, text, run_page(run) if PREFECT_API_URL.value() else "")
    if event not in settings.notify_on or (run, notice) in _told:
        return
    _told.add((run, notice))
    told_by = flow_run.flow_name if repeats else None
    for block in settings.notify:
        _messages.start(partial(_deliver, block, notice, told_by))


def wait_for_messages() -> None:
    """Give messages that are on their way a few seconds: they end with the process."""
    _messages.wait(_PATIENCE_SECONDS)


def _deliver(block: str, notice: Notice, told_by: str | None) -> None:
    try:
        if told_by is None or not _was_the_end_of(told_by, notice.text):
            _send(block, notice)
    except Exception as error:  # noqa: BLE001 whatever it is, it must not undo a good deployment
        # a driver's own words may hold the address, which is a secret
        reason = error if isinstance(error, WedsyncError) else unexpected(error)
        logger.warning("%s was not told %r: %s", block, notice.subject, reason.message)


def _send(block: str, notice: Notice) -> None:
    try:
        found = cast("Block", Block.load(block))  # in a thread without an event loop it is no coroutine
    except ValueError:
        raise WedsyncError("this Prefect server has no such block, or it does not load") from None
    if not isinstance(found, NotificationBlock):
        raise WedsyncError("it is no notification block")
    with found.raise_on_failure():
        sending = found.notify(notice.body, subject=notice.subject)
        if inspect.iscoroutine(sending):  # Prefect's own blocks notice that there is no event loop; others may not
            asyncio.run(sending)


def _was_the_end_of(flow: str, text: str) -> bool:
    with get_client(sync_client=True) as client:
        (last,) = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
            flow_run_filter=_ENDED,
            sort=FlowRunSort.END_TIME_DESC,
            limit=1,
        ) or (None,)
    return last is not None and last.state is not None and text in (last.state.message or "")
