"""Many statements in one round trip, each in a message of its own, and what came of each.

psycopg's own pipeline costs as much for a statement as a round trip does; this one speaks to libpq directly, through
the generators psycopg itself is built on, so that signals still get through.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import generators
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

_FAILED = frozenset({ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE, ExecStatus.PIPELINE_ABORTED})


def execute_all(connection: psycopg.Connection, statements: Sequence[str]) -> list[PGresult]:
    """Run statements without parameters in the transaction that is open; their results, up to the first that failed.

    That one is the last, and `failure` tells. Those after it did not run.

    Raises:
        psycopg.OperationalError: the session was lost before it could be said which failed.
    """
    pgconn, encoding = connection.pgconn, connection.info.encoding
    results: list[PGresult] = []
    pgconn.enter_pipeline_mode()
    try:
        for statement in statements:
            pgconn.send_query_params(statement.encode(encoding), None)
        pgconn.pipeline_sync()
        connection.wait(generators.send(pgconn))
        for _ in statements:
            results += connection.wait(generators.fetch_many(pgconn))
        connection.wait(generators.fetch_many(pgconn))  # the sync
        pgconn.exit_pipeline_mode()
    except psycopg.OperationalError:
        if not any(r.status in _FAILED for r in results):
            raise  # else the server told why it ended the session
    end = next((i for i, r in enumerate(results) if r.status in _FAILED), len(results))
    return results[: end + 1]


def failure(connection: psycopg.Connection, result: PGresult) -> psycopg.Error | None:
    """The error a result stands for, None if it is none."""
    return error_from_result(result, connection.info.encoding) if result.status in _FAILED else None
