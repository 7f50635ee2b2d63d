"""Asking the environment that comes first what it has of a plan."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from wedsync_db.errors import WedsyncError
from wedsync_db.guard.promotion import LoadTrial, Promotion
from wedsync_db.guard.questions import reason
from wedsync_db.history.load_tests import load_tests
from wedsync_db.installation import Installation
from wedsync_db.migrate import ledger
from wedsync_db.model import Migration, Plan
from wedsync_db.postgres.session import session
from wedsync_db.settings import Environment


def promotion_of(installation: Installation, environment: Environment, plan: Plan) -> Promotion | None:
    """What the environment this one is promoted from says of a plan; None where there is none.

    With nothing pending nobody is asked, and nothing speaks against it.
    """
    if environment.promoted_from and not plan.pending:
        return Promotion(environment.promoted_from)
    return ask_source(installation, environment, plan.pending)


def ask_source(
    installation: Installation, environment: Environment, pending: Sequence[Migration] = ()
) -> Promotion | None:
    """What it says of these migrations; without any, whether it answers at all.

    A source that does not answer raises nothing: then the answer is that nothing is known.
    """
    source = environment.promoted_from
    if source is None:
        return None
    load = _load(installation, source, environment.require_load_test)
    try:
        with installation.target(source) as address, session(address, "promotion") as connection:
            return Promotion(source, pending, ledger.trials(connection), load=load)
    except WedsyncError as error:
        return Promotion(source, pending, unknown=error.message, hint=error.hint, load=load)
    except (psycopg.Error, OSError) as error:
        return Promotion(source, pending, unknown=reason(error), load=load)


def _load(installation: Installation, source: str, scenario: str | None) -> LoadTrial | None:
    """The newest load test of that scenario there; None where none is asked for."""
    if scenario is None:
        return None
    with load_tests(installation, source) as kept:
        found = kept.newest(scenario)
    return found or LoadTrial(scenario, unknown="; ".join(kept.problems))
