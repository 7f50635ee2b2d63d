"""The verb that says whether a database is well: `health`."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from wedsync_db.cli.answer import Answer
from wedsync_db.installation import Installation
from wedsync_db.monitor.health import BackupFacts


def health(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Every check now, in about three seconds; the exit code is that of a monitoring plugin, 0 to 3."""
    from wedsync_db.monitor.health import blocking_tree, look
    from wedsync_db.monitor.states import EXIT_CODES, overall
    from wedsync_db.report.health import health_json, health_text, is_blocked

    environment = installation.environment(arguments.environment)
    facts = backup_facts(installation, environment.name)
    with installation.target(environment.name) as address:
        found = look(address, environment.health, now=lambda: datetime.now(UTC), backups=facts)
        tree = blocking_tree(address) if is_blocked(found) else ()
    text = health_text(found, tree, environment.name)
    return Answer(text, health_json(found, environment.name), EXIT_CODES[overall(found)])


def backup_facts(installation: Installation, environment: str) -> BackupFacts:
    """When the newest complete backup was made, and the newest that was restored and compared, by their notes."""
    from wedsync_db.backup.proven import stored
    from wedsync_db.backup.store import list_backups

    found = [stored(one) for one in list_backups(installation.home.backups(environment))]
    good = [one.created_at for one in found if one.progress != "failed"]
    restored = [one.created_at for one in found if one.progress == "restored"]
    return BackupFacts(max(good, default=None), max(restored, default=None))
