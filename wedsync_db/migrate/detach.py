"""ALTER TABLE … DETACH PARTITION … CONCURRENTLY, which works in two transactions and may stop between them.

Half detached (*pending*) the partition is gone for queries of the table, and only FINALIZE can follow: there is no way
back but to attach it again afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from wedsync_db.errors import MigrationFailed
from wedsync_db.migrate.explain import place
from wedsync_db.migrate.named import relation_of
from wedsync_db.model import Script, Statement
from wedsync_db.postgres.parse import Fields, tree
from wedsync_db.postgres.queries import query


@dataclass(frozen=True, slots=True)
class Partition:
    """What the catalog says of a partition and the table it is to leave; both names quoted, with their schema."""

    oid: int
    table: str
    name: str
    attached: bool
    pending: bool

    @property
    def finalize(self) -> str:
        """The statement that finishes what was begun."""
        return f"alter table {self.table} detach partition {self.name} finalize"


def is_detach(statement: Statement) -> bool:
    """Whether it detaches a partition concurrently."""
    return statement.concurrent and statement.kind == "AlterTableStmt"


def relations(statement: Statement) -> tuple[str, str]:
    """The table and the partition such a statement names."""
    fields = tree(statement).fields
    command: Fields = fields["cmds"][0]["AlterTableCmd"]["def"]["PartitionCmd"]
    return relation_of(fields["relation"]), relation_of(command["name"])


def partition_of(connection: psycopg.Connection, statement: Statement) -> Partition | None:
    """The partition as it is now; None where either relation is not there, or the statement detaches nothing."""
    if not is_detach(statement):
        return None
    table, partition = relations(statement)
    row = connection.execute(query("reconcile", "partition"), {"table": table, "partition": partition}).fetchone()
    return Partition(*row) if row else None


def finish(
    connection: psycopg.Connection, script: Script, statement: Statement, partition: Partition, *, ours: bool
) -> None:
    """Finish a detaching that stopped half way.

    Raises:
        MigrationFailed: somebody else began it.
    """
    if not ours:
        raise MigrationFailed(
            f"{place(script, statement)}: {partition.name} is half detached from {partition.table}, and not by us",
            hint=f"Ask who began it, then: {partition.finalize}",
        )
    connection.execute(sql.SQL(partition.finalize))
