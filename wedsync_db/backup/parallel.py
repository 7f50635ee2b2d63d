"""Works off many queries over a few sessions, and stops at once when it has to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TypeVar

import psycopg

from wedsync_db.postgres.session import cancel_running

T = TypeVar("T")

_AGAIN_SECONDS = 0.1


@contextmanager
def spread(
    connections: Sequence[psycopg.Connection], tasks: Sequence[Callable[[psycopg.Connection], T]]
) -> Iterator[tuple[Future[T], ...]]:
    """Start the tasks in their order, each alone on one of the sessions, and give a future for each.

    When the block ends, tasks not begun are dropped and running ones are cancelled on the server.
    """
    idle: SimpleQueue[psycopg.Connection] = SimpleQueue()
    for connection in connections:
        idle.put(connection)

    def run(task: Callable[[psycopg.Connection], T]) -> T:
        connection = idle.get()
        try:
            return task(connection)
        finally:
            idle.put(connection)

    threads = ThreadPoolExecutor(len(connections), thread_name_prefix="wedsync-spread")
    futures = tuple(threads.submit(run, task) for task in tasks)
    try:
        yield futures
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        while running := [future for future in futures if not future.done()]:
            for connection in connections:  # again and again: a task may have been between two statements
                cancel_running(connection)
            wait(running, timeout=_AGAIN_SECONDS)
        threads.shutdown()
