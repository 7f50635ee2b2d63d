"""One case of the matrix: who tries what, the statement, and the outcome it must have."""

from __future__ import annotations

from dataclasses import dataclass

from tests.access.rows import Value
from tests.access.world import Actor


@dataclass(frozen=True)
class Case:
    """One attempt. With `replica` no trigger and no foreign key answers in a policy's stead."""

    table: str
    layer: str
    actor: Actor
    operation: str
    situation: str
    statement: str
    expected: str
    replica: bool = False

    @property
    def kind(self) -> str:
        """How its outcome is told: what was read, gone, written or added, or only that it was not refused."""
        return self.operation if self.operation in ("select", "insert", "update", "delete") else "try"


def literal(value: Value) -> str:
    """A value as SQL, without a type: the column has one."""
    return "null" if value is None else "'" + str(value).replace("'", "''") + "'"
