"""The verb that says whether a database is well: `health`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import psycopg

from wedsync_db.cli.answer import Answer
from wedsync_db.errors import Unreachable, WedsyncError
from wedsync_db.installation import Installation
from wedsync_db.monitor.health import BackupFacts
from wedsync_db.monitor.states import Checked
from wedsync_db.postgres.session import Address
from wedsync_db.settings import Environment


def health(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Every check now, in about three seconds; the exit code is that of a monitoring plugin, 0 to 3.

    Where there is nothing to ask, a variable that is not set for one, the answer is unknown and the exit code 3.
    """
    from wedsync_db.monitor.states import EXIT_CODES, State, overall
    from wedsync_db.report.health import health_json, health_text, unknown_json, unknown_text

    try:
        environment = installation.environment(arguments.environment)
        facts = backup_facts(installation, environment.name)
        with installation.target(environment.name) as address:
            found, tree = _looked(address, environment, facts, installation.environ)
    except WedsyncError as error:
        name = arguments.environment
        return Answer(unknown_text(name, error), unknown_json(name, error), EXIT_CODES[State.UNKNOWN])
    text = health_text(found, tree, environment.name)
    return Answer(text, health_json(found, environment.name), EXIT_CODES[overall(found)])


def _looked(
    address: Address, environment: Environment, facts: BackupFacts, environ: Mapping[str, str]
) -> tuple[Sequence[Checked], Sequence[Sequence[Any]]]:
    """The checks, and who waits for whom where somebody does: nothing where the server does not say."""
    from concurrent.futures import ThreadPoolExecutor

    from wedsync_db.monitor.beside import beside
    from wedsync_db.monitor.health import blocking_tree, look
    from wedsync_db.monitor.judge import worst
    from wedsync_db.report.health import is_blocked

    with ThreadPoolExecutor(1) as meanwhile:  # a pooler that falls silent takes nothing from the server's three seconds
        more = meanwhile.submit(beside, environment, environ)
        found = look(address, environment.health, now=lambda: datetime.now(UTC), backups=facts)
        found = worst((*found, *more.result().found))
    if is_blocked(found):
        with suppress(psycopg.Error, Unreachable):
            return found, blocking_tree(address)
    return found, ()


def backup_facts(installation: Installation, environment: str) -> BackupFacts:
    """When the newest complete backup was made, and the newest that was restored and compared, by their notes."""
    from wedsync_db.backup.proven import stored
    from wedsync_db.backup.store import list_backups

    found = [stored(one) for one in list_backups(installation.home.backups(environment))]
    good = [one.created_at for one in found if one.progress != "failed"]
    restored = [one.created_at for one in found if one.progress == "restored"]
    return BackupFacts(max(good, default=None), max(restored, default=None))
