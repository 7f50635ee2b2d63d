"""What a user does, as one message of SQL: parameters drawn ahead, texts composed while nobody waits. Pure.

A script and its prelude are sent as one message, which the server runs as one transaction: one journey over
the network. `:name` stands for a number that was drawn; all else is made of these in SQL, so that pgbench can run it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wedsync_db.errors import UsageError
from wedsync_db.postgres.parse import SyntaxProblem, parse

Shape = Literal["even", "few"]
_NAME = re.compile(r"(?<![:\w]):([a-z_]\w*)")
_ALLOWED = frozenset({"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "VariableSetStmt"})
USER, TENANT, TENANTS = "user", "tenant", "tenants"  # who does it, for which supplier, of how many; from 0 on
_ALWAYS = frozenset({USER, TENANT, TENANTS})
FEW = 1.1  # the exponent of Zipf's law: the first of a thousand gets a sixth of all


@dataclass(frozen=True, slots=True)
class Draw:
    """Whole numbers from `least` to `most`: all alike, or a few of them most of the time (Zipf's law)."""

    least: int
    most: int
    shape: Shape = "even"

    def draw(self, rng: np.random.Generator, size: int) -> NDArray[np.int64]:
        """So many of them."""
        if self.shape == "even":
            return rng.integers(self.least, self.most + 1, size=size, dtype=np.int64)
        weights = 1.0 / np.arange(1, self.most - self.least + 2) ** FEW
        places = np.searchsorted(np.cumsum(weights), rng.random(size) * weights.sum())
        return np.asarray(self.least + places, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Script:
    """One thing users do.

    `tenant_column` is the number, from 0, of the result's column that must be the user's own tenant in every row that
    comes back; `share` is its part of all that is done, against the weights of the others.
    """

    name: str
    share: float
    text: str
    draws: Mapping[str, Draw]
    tenant_column: int | None = None


def tenant_key(number: int) -> str:
    """The key of a load test's own tenant: in a range that no other row is in (a UUID of version 8)."""
    return f"10ad7e57-0000-8000-8000-{number:012x}"


class Composer:
    """Makes the message of a script for the numbers drawn."""

    def __init__(self, script: Script, prelude: str) -> None:
        parts = _NAME.split(f"{prelude}\n{script.text}")
        self._fixed = [part.encode() for part in parts[::2]]
        self.names = tuple(parts[1::2])

    def message(self, values: Mapping[str, int]) -> bytes:
        """The message: one transaction as the server takes it."""
        text = [self._fixed[0]]
        for name, fixed in zip(self.names, self._fixed[1:], strict=True):
            text += (b"%d" % values[name], fixed)
        return b"".join(text)


def as_sent(text: str) -> str:
    """A text as it would be sent, with some numbers for its parameters."""
    return _NAME.sub("1", text)


def check_script(script: Script, prelude: str) -> None:
    """Make sure that a script is one that a load test may run.

    Raises:
        UsageError: it does not parse, changes the schema, sets something for longer than its transaction, or names a
            parameter that is not drawn.
    """
    whole = f"script {script.name}"
    for name in _NAME.findall(f"{prelude}\n{script.text}"):
        if name not in _ALWAYS and name not in script.draws:
            known = ", ".join(sorted({*script.draws, *_ALWAYS}))
            raise UsageError(f"{whole}: :{name} is not drawn", hint=f"Its parameters are {known}.")
    try:
        statements = parse(as_sent(f"{prelude}\n{script.text}")).statements
    except SyntaxProblem as error:
        raise UsageError(f"{whole}: {error.message}", hint=error.excerpt or "") from None
    for one in statements:
        if one.kind not in _ALLOWED or (one.kind == "VariableSetStmt" and not one.sql.lower().startswith("set local")):
            said = " ".join(one.sql.split()[:3])
            raise UsageError(
                f"{whole}: a load test runs no {said} …",
                hint="select, insert, update, delete and set local are allowed.",
            )


def statements_of(script: Script, prelude: str) -> tuple[str, ...]:
    """The statements of a script that was checked, the prelude's first, with their `:name`."""
    whole = f"{prelude}\n{script.text}"
    parsed = parse(_NAME.sub(lambda found: "1".rjust(len(found[0]), "0"), whole))  # as long as it was
    return tuple(whole[one.offset : one.offset + len(one.sql)] for one in parsed.statements)
