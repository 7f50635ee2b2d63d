"""The catalog as a fingerprint: every object by name with its canonical definition, comparable across databases.

Two databases have equal fingerprints when they were built by the same statements, or one is a restore of the other: no
oid, no database name, no dropped column and no current value of a sequence counts. What counts is listed, branch by
branch, in sql/fingerprint.sql. Outside are our own schema, the system's, temporary objects, what belongs to extensions
(they themselves and their versions count), and the partitions that nightly maintenance makes, while they are closed.
"""

from __future__ import annotations

from functools import cache
from typing import LiteralString

import psycopg

from wedsync_db.model import Fingerprint
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.settled import settled_object

# Several queries of some branches each plan faster than one of all.
_PARTS: tuple[tuple[LiteralString, ...], ...] = (
    ("schemas", "relations", "columns", "constraints", "indexes", "sequences"),
    ("triggers", "rules", "policies", "statistics", "types", "routines", "operators"),
    ("operator_classes", "collations", "text_search", "foreign_data", "rare", "extensions"),
    ("publications", "event_triggers", "default_privileges", "database", "settings", "roles"),
)


def take(connection: psycopg.Connection) -> Fingerprint:
    """Read the whole catalog, as any role: nothing in it needs rights, and nothing of the session is left changed.

    Works inside a transaction (and then sees its changes) and outside. A fingerprint taken outside one while somebody
    else changes the schema may show half of that change.
    """
    objects: dict[str, str] = {}
    with connection.transaction(force_rollback=True):  # takes the pinned settings back, also in an outer transaction
        connection.execute(query("fingerprint", "pin"))
        for part in _PARTS:
            found = connection.execute(_text(part)).fetchall()
            objects.update((name, settled_object(definition)) for name, definition in found)
    return Fingerprint(objects)


@cache
def _text(part: tuple[LiteralString, ...]) -> LiteralString:
    branches = "\nunion all\n".join(query("fingerprint", name) for name in part)
    scope, render = query("fingerprint", "scope"), query("fingerprint", "render")
    columns = "classid, objid, subid, identity, definition, owner, acl, acltype"
    return f"{scope}, object ({columns}) as (\n{branches}\n)\n{render}"
