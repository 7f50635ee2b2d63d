"""`demo`: a deployment that works and two that must not, on the embedded server, in about a minute."""

from __future__ import annotations

import argparse
import os

from flows.local_runs import prepare, run
from wedsync_db import demo as stage
from wedsync_db.cli.answer import Answer
from wedsync_db.cli.terminal import Progress, say
from wedsync_db.errors import MigrationFailed, RehearsalFailed, WedsyncError
from wedsync_db.installation import Installation, this_installation


def demo(_arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Play all acts and say what was proven.

    Raises:
        WedsyncError: an act did not end as it must.
    """
    installation.home.ensure()
    os.environ["WEDSYNC_ENVIRONMENTS"] = str(stage.settings_file(installation))
    stage.put(installation)
    prepare(installation)
    staged = this_installation()
    with stage.empty_target(staged):
        _first_deployment(staged)
        _whole_flow(staged)
        _inexact_revert(staged)
        _late_row(staged)
    text = stage.CLOSING.format(reports=installation.home.reports / stage.ENVIRONMENT, home=installation.home.path)
    return Answer(text, {"reports": installation.home.reports / stage.ENVIRONMENT})


def _first_deployment(installation: Installation) -> None:
    say(stage.ACTS["first"])
    stage.put(installation, upto=stage.FIRST)
    _deploy()
    rows = stage.fill(installation, say=say, progress=Progress("filling"))
    say(f"filled {sum(rows.values()):,} rows of {len(rows)} tables")


def _whole_flow(installation: Installation) -> None:
    say(stage.ACTS["whole"])
    stage.put(installation)
    _deploy()


def _inexact_revert(installation: Installation) -> None:
    say(stage.ACTS["inexact"])
    stage.put(installation, extra="inexact")
    _must_fail(installation, RehearsalFailed, written=0)


def _late_row(installation: Installation) -> None:
    say(stage.ACTS["late"])
    # one transaction for each migration, so that there is something committed to undo
    stage.put(installation, extra="pair", atomic="migration")
    with stage.row_written_after_the_backup(installation, say=say):
        _must_fail(installation, MigrationFailed, written=1)


def _deploy() -> None:
    from flows.deploy import deploy

    run(lambda: deploy(stage.ENVIRONMENT, return_state=True))


def _must_fail(installation: Installation, reason: type[WedsyncError], *, written: int) -> None:
    """A deployment that must fail does, for the right reason; the target has what it had and what was written since."""
    before = stage.look(installation)
    try:
        _deploy()
    except reason as error:
        say(f"It was stopped, as it must be: {error.message}" if not written else "It failed, as it must.")
    else:
        raise WedsyncError("a deployment that must fail went through")
    after = stage.look(installation)
    if after.fingerprint != before.fingerprint or after.rows != before.rows + written:
        raise WedsyncError("the target is not what it must be after a failed deployment")
    say(f"catalog fingerprint before {before.fingerprint[:12]}, after {after.fingerprint[:12]}: equal")
    say(f"rows before {before.rows:,}, written meanwhile {written}, now {after.rows:,}")
