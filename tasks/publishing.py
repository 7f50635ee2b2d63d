"""Artifacts and progress in the Prefect UI: shown when it works, and never the reason why a deployment fails or waits.

With its API server gone a client call was seen to block for more than a minute, so each runs in a thread of its own
that is given a few seconds.
"""

from __future__ import annotations

import contextvars
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import cast
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.context import FlowRunContext, TaskRunContext
from prefect.settings import PREFECT_UI_URL

from tasks.running import logger
from wedsync_db.redact import redact
from wedsync_db.report.errors import unexpected

_PATIENCE_SECONDS = 5.0
_LARGEST_BYTES = 500_000  # an artifact is a row in Prefect's database; the whole report is a file
_PROGRESS_INTERVAL_SECONDS = 1.0


def publish(key: str, markdown: str, description: str) -> None:
    """Show a Markdown page in the run's artifacts. Best effort; outside a run there is nothing to show it in."""
    if _in_run():
        page = fitted(markdown)
        _patiently(lambda: create_markdown_artifact(markdown=page, key=_slug(key), description=description))


def publish_table(key: str, rows: Sequence[Mapping[str, str]], description: str) -> None:
    """Show a table in the run's artifacts. Best effort."""
    if _in_run():
        table = [{name: redact(value) for name, value in row.items()} for row in rows]
        _patiently(lambda: create_table_artifact(table=table, key=_slug(key), description=description))


def publish_link(key: str, address: str, description: str) -> None:
    """Show a link in the run's artifacts. Best effort."""
    if _in_run():
        _patiently(lambda: create_link_artifact(link=address, key=_slug(key), description=description))


def publish_for(flow_run_id: UUID, key: str, markdown: str, description: str) -> None:
    """Show a Markdown page in the artifacts of a run that has ended. Best effort."""
    artifact = ArtifactCreate(
        key=_slug(key), type="markdown", description=description, data=fitted(markdown), flow_run_id=flow_run_id
    )

    def create() -> None:
        with get_client(sync_client=True) as client:
            client.create_artifact(artifact)

    _patiently(create)


class Progress:
    """A callable that takes a fraction from 0 to 1 and shows it as percent and time left, at most once a second."""

    def __init__(self, key: str, description: str) -> None:
        self._key = key
        self._description = description
        self._artifact: UUID | None = None
        self._started = self._shown = time.monotonic()

    def __call__(self, fraction: float) -> None:
        """Show the new fraction; too soon after the last one it is dropped."""
        now, fraction = time.monotonic(), min(max(fraction, 0.0), 1.0)  # Prefect takes 0 to 100 and nothing beyond
        if not _in_run() or (now - self._shown < _PROGRESS_INTERVAL_SECONDS and fraction < 1):
            return
        self._shown = now
        _patiently(lambda: self._show(100 * fraction, self._left(fraction, now - self._started)))

    def _show(self, percent: float, left: str) -> None:
        description = f"{self._description}{left}"
        if self._artifact is None:
            made = create_progress_artifact(progress=percent, key=_slug(self._key), description=description)
            self._artifact = cast("UUID", made)  # in a thread without an event loop it is no coroutine
        else:
            update_progress_artifact(self._artifact, progress=percent, description=description)

    @staticmethod
    def _left(fraction: float, elapsed: float) -> str:
        return f", about {elapsed / fraction * (1 - fraction):.0f} s left" if 0 < fraction < 1 else ""


def run_page(flow_run_id: UUID | str | None) -> str:
    """The address of a run's page in the UI."""
    return f"{PREFECT_UI_URL.value() or ''}/runs/flow-run/{flow_run_id}"


def fitted(markdown: str) -> str:
    """The page without secrets, cut where it is too long for a row of Prefect's database."""
    page = redact(markdown).encode()
    if len(page) <= _LARGEST_BYTES:
        return page.decode()
    return page[:_LARGEST_BYTES].decode(errors="ignore") + "\n\n… cut; the HTML report has all of it."


def _slug(key: str) -> str:
    """Prefect takes small letters, digits and hyphens in a key; an environment's name may have more."""
    return re.sub(r"[^a-z0-9]+", "-", key.lower())


def _in_run() -> bool:
    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


def _patiently(call: Callable[[], object]) -> None:
    """Run the call in the current run's context, wait a little, and go on whatever became of it."""

    def attempt() -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 whatever it is, it must not undo a good deployment
            logger.warning("could not be shown in Prefect: %s", unexpected(error).message)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(attempt,), daemon=True)
    thread.start()
    thread.join(_PATIENCE_SECONDS)
