"""Which statements PostgreSQL refuses inside a transaction block (PreventInTransactionBlock in 15 to 18).

Where it depends on what the catalog holds (REINDEX of a partitioned index, DROP SUBSCRIPTION with a slot) the answer is
no: the rehearsal will meet it. ALTER TYPE … ADD VALUE has been allowed in a transaction since 12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Fields = Mapping[str, Any]


def options(items: list[Fields] | None) -> dict[str, Any]:
    """The DefElems of a statement by name; an option without an argument is True, `off`, `false` and `0` are False."""
    elements = (item["DefElem"] for item in items or ())
    return {e["defname"]: _value(e.get("arg")) for e in elements}


def commands(fields: Fields) -> Iterator[Fields]:
    """The AlterTableCmds of an ALTER TABLE."""
    return (c["AlterTableCmd"] for c in fields.get("cmds", ()))


def _value(arg: Fields | None) -> Any:
    if arg is None:
        return True
    if "TypeName" in arg:  # a bare word such as off, where the grammar takes any type's name
        arg = arg["TypeName"]["names"][-1]
    value: dict[str, Any] = next(iter(arg.values()), {})
    plain = next((value[k] for k in ("sval", "boolval", "ival", "fval") if k in value), value or 0)
    return False if str(plain).lower() in {"off", "false", "0", "none"} else plain


def _detaches_concurrently(fields: Fields) -> bool:
    return any(
        c["subtype"] == "AT_DetachPartition" and c["def"]["PartitionCmd"].get("concurrent", False)
        for c in commands(fields)
    )


def _reindexes_alone(fields: Fields) -> bool:
    whole = fields["kind"] in {"REINDEX_OBJECT_SCHEMA", "REINDEX_OBJECT_SYSTEM", "REINDEX_OBJECT_DATABASE"}
    return whole or bool(options(fields.get("params")).get("concurrently"))


def _makes_slot(fields: Fields) -> bool:
    given = options(fields.get("options"))
    return bool(given.get("connect", True)) and bool(given.get("create_slot", True))


def _refreshes(fields: Fields) -> bool:
    if fields.get("kind") == "ALTER_SUBSCRIPTION_REFRESH":
        return True
    changes = {
        "ALTER_SUBSCRIPTION_SET_PUBLICATION",
        "ALTER_SUBSCRIPTION_ADD_PUBLICATION",
        "ALTER_SUBSCRIPTION_DROP_PUBLICATION",
    }
    return fields.get("kind") in changes and bool(options(fields.get("options")).get("refresh", True))


def _always(_: Fields) -> bool:
    return True


ALONE: Mapping[str, Callable[[Fields], bool]] = {
    "IndexStmt": lambda f: f.get("concurrent", False),
    "DropStmt": lambda f: f.get("concurrent", False),
    "ReindexStmt": _reindexes_alone,
    "AlterTableStmt": _detaches_concurrently,
    "VacuumStmt": lambda f: f.get("is_vacuumcmd", False),
    "ClusterStmt": lambda f: "relation" not in f,
    "CreatedbStmt": _always,
    "DropdbStmt": _always,
    "AlterDatabaseStmt": lambda f: "tablespace" in options(f.get("options")),
    "CreateTableSpaceStmt": _always,
    "DropTableSpaceStmt": _always,
    "AlterSystemStmt": _always,
    "CreateSubscriptionStmt": _makes_slot,
    "AlterSubscriptionStmt": _refreshes,
    "DiscardStmt": lambda f: f.get("target", "DISCARD_ALL") == "DISCARD_ALL",
}

# these are only refused with the word CONCURRENTLY, which spares looking into the tree of every other
_BY_WORD = {"IndexStmt", "DropStmt", "AlterTableStmt"}


def may_be_alone(kind: str, sql: str) -> bool:
    """Whether the tree has to be looked at to know that a statement may run in a transaction."""
    return kind in ALONE and (kind not in _BY_WORD or "concurrently" in sql.lower())
