"""What later rules have to know of a statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from wedsync_db.migrate.lint.subject import Fields, Memory, dropped_names, name_of
from wedsync_db.postgres.autocommit import commands
from wedsync_db.postgres.parse import Tree


def remember(memory: Memory, tree: Tree) -> Memory:
    """The memory after a statement."""
    learn = _LEARN.get(tree.kind)
    return learn(memory, tree.fields) if learn else memory


def forget(memory: Memory, *, transactional: bool) -> Memory:
    """The memory after a migration; one that is not transactional has committed whatever was added to enums."""
    return replace(memory, unvalidated=frozenset(), values=memory.values if transactional else frozenset())


def _create_table(memory: Memory, fields: Fields) -> Memory:
    relation = fields.get("relation") or fields["into"]["rel"]
    if fields.get("if_not_exists"):  # it may have been there
        return memory
    return replace(memory, new=memory.new | {name_of(relation)})


def _create_index(memory: Memory, fields: Fields) -> Memory:
    if "idxname" not in fields or fields.get("if_not_exists"):
        return memory
    schema = fields["relation"].get("schemaname", "public")
    return replace(memory, new=memory.new | {f"{schema}.{fields['idxname']}"})


def _drop(memory: Memory, fields: Fields) -> Memory:
    return replace(memory, new=memory.new - set(dropped_names(fields))) if _names_relations(fields) else memory


def _names_relations(fields: Fields) -> bool:
    return fields["removeType"] in {"OBJECT_TABLE", "OBJECT_INDEX", "OBJECT_MATVIEW"}


def _rename(memory: Memory, fields: Fields) -> Memory:
    if fields["renameType"] not in {"OBJECT_TABLE", "OBJECT_INDEX"}:
        return memory
    old = name_of(fields["relation"])
    renamed = f"{old.partition('.')[0]}.{fields['newname']}"
    return replace(memory, new=memory.new - {old} | {renamed}) if old in memory.new else memory


def _alter_table(memory: Memory, fields: Fields) -> Memory:
    table = name_of(fields["relation"])
    for command in commands(fields):
        constraint = command.get("def", {}).get("Constraint", {})
        if command["subtype"] == "AT_ValidateConstraint":
            memory = replace(memory, validated=memory.validated | {table})
        elif command["subtype"] == "AT_AddConstraint" and constraint.get("skip_validation"):
            added = (table, constraint.get("conname", ""))
            memory = replace(memory, unvalidated=memory.unvalidated | {added})
    return memory


def _alter_enum(memory: Memory, fields: Fields) -> Memory:
    if "oldVal" in fields:
        return memory
    return replace(memory, values=memory.values | {fields["newVal"]})


_LEARN: Mapping[str, Callable[[Memory, Fields], Memory]] = {
    "CreateStmt": _create_table,
    "CreateTableAsStmt": _create_table,
    "IndexStmt": _create_index,
    "DropStmt": _drop,
    "RenameStmt": _rename,
    "AlterTableStmt": _alter_table,
    "AlterEnumStmt": _alter_enum,
}
