"""Which migration made what: each is a module of the schema, and the comment it begins with says what it is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wedsync_db.migrate.lint.subject import name_of
from wedsync_db.model import Migration, Script, Statement
from wedsync_db.postgres.parse import tree

_FIELD = re.compile(r"[a-z][a-z_-]*:(\s|\Z)")  # a line of the header


@dataclass(frozen=True, slots=True)
class Module:
    """A migration as a part of the documentation: `made` are its tables, views and functions, without arguments."""

    migration: str
    about: str
    made: tuple[str, ...]

    @property
    def title(self) -> str:
        """`0003_tenancy` is called 0003 tenancy, which no table is called."""
        return self.migration.replace("_", " ")


def modules_of(migrations: Iterable[Migration]) -> tuple[Module, ...]:
    """The modules, in the order of their numbers."""
    ordered = sorted(migrations, key=lambda m: m.number)
    return tuple(Module(m.id, _about(m.deploy), tuple(_made(m.deploy.statements))) for m in ordered)


def _about(script: Script) -> str:
    """The comment that deploy.sql begins with, without its header."""
    lines = []
    for line in script.text.splitlines():
        if not line.startswith("--"):
            break
        text = line.removeprefix("--").strip()
        if not _FIELD.match(text):
            lines.append(text)
    return " ".join(lines)


def _made(statements: Iterable[Statement]) -> Iterator[str]:
    for statement in statements:
        if statement.kind == "CreateStmt":
            yield name_of(tree(statement).fields["relation"])
        elif statement.kind == "ViewStmt":
            yield name_of(tree(statement).fields["view"])
        elif statement.kind == "CreateFunctionStmt":
            yield ".".join(part["String"]["sval"] for part in tree(statement).fields["funcname"])
