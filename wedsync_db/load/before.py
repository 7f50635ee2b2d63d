"""Which migrations a database has that is compared with the newest: all before one of them."""

from __future__ import annotations

from collections.abc import Sequence

from wedsync_db.errors import UsageError
from wedsync_db.migrate.ledger import entries
from wedsync_db.model import Migration
from wedsync_db.postgres.session import Address, session
from wedsync_db.setting_values import suggestion

PENDING = "pending"  # the first that the target has not yet


def before(target: Address, migrations: Sequence[Migration], name: str) -> Sequence[Migration] | None:
    """The migrations before the one of this name; None where nothing is to be compared.

    Raises:
        UsageError: there is none of that name, or nothing pending.
    """
    if not name:
        return None
    ids = [one.id for one in migrations]
    if name == PENDING:
        with session(target, "load-test") as connection:
            applied = {one.id for one in entries(connection)}
        name = next((one for one in ids if one not in applied), "")
        if not name:
            raise UsageError("nothing is pending: all migrations are applied", hint="Name one: --before ID.")
    if name not in ids:
        raise UsageError(f"there is no migration {name}{suggestion(name, ids)}", hint=f"There are {', '.join(ids)}.")
    return migrations[: ids.index(name)]
