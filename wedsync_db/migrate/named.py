"""The relations that a statement names, quoted, so that they can be put into SQL or into to_regclass as they are."""

from __future__ import annotations

from collections.abc import Iterable

from wedsync_db.model import Statement
from wedsync_db.postgres.parse import Fields, tree


def relation_of(node: Fields) -> str:
    """A RangeVar: with its schema where the statement has one."""
    return quoted(part for part in (node.get("schemaname"), node["relname"]) if part)


def dropped(statement: Statement) -> list[str]:
    """What a DROP names."""
    objects = tree(statement).fields["objects"]
    return [quoted(part["String"]["sval"] for part in item["List"]["items"]) for item in objects]


def quoted(parts: Iterable[str]) -> str:
    """A name of several parts."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)
