"""What a repair found and did: counts in memory, one line for each row in a file. Keys are told, values never."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from wedsync_db.report.markdown import counted, duration

RESTORED, FILLED, CONFLICT, DELETED, REFUSED = "restored", "values", "conflict", "deleted", "refused"
Counts = Counter[str]
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Repaired:
    """`tables`: relation → what → rows. `person`: what cannot be repaired here. `file`: a JSON line each row."""

    backup: str
    applied: bool
    gap_seconds: (
        float  # between the backup and the first migration after it: what was written then is not in the backup
    )
    migrations: tuple[str, ...]
    tables: Mapping[str, Mapping[str, int]]
    person: tuple[str, ...]
    examples: tuple[str, ...]  # the first conflicts and refusals
    file: Path | None

    def rows(self, what: str) -> int:
        """How many rows of all tables that holds for."""
        return sum(counts.get(what, 0) for counts in self.tables.values())

    @property
    def to_do(self) -> bool:
        """Whether there is anything that can come back."""
        return bool(self.rows(RESTORED) or self.rows(FILLED))

    @property
    def open(self) -> bool:
        """Whether something is left that a person has to decide."""
        return bool(self.person or self.rows(CONFLICT) or self.rows(REFUSED))


class Notes:
    """Counts, and writes a line for each row. What comes back is noted once, what is left anew in every round."""

    def __init__(self, done: TextIO, left: TextIO) -> None:
        self._done = done
        self._left = left
        self.again()

    def again(self) -> None:
        """Begin another round."""
        self.counts: dict[str, Counts] = {}
        self.examples: list[str] = []
        self.blocked = 0  # rows refused for want of a row they refer to: one more round may help
        self._left.seek(0)
        self._left.truncate()

    def add(self, relation: str, key: Sequence[str], what: str, columns: Sequence[str] = (), why: str = "") -> None:
        """One row, or some of its columns."""
        line = {"table": relation, "key": list(key), "what": what, "columns": list(columns), "why": why}
        stream = self._done if what in (RESTORED, FILLED) else self._left
        stream.write(json.dumps({name: value for name, value in line.items() if value}) + "\n")
        self.counts.setdefault(relation, Counter())[what] += 1
        if what in (CONFLICT, REFUSED) and len(self.examples) < _SHOWN:
            self.examples.append(f"{what}: {relation} ({', '.join(key)}): {why or ', '.join(columns)}")


@contextmanager
def notes_in(path: Path) -> Iterator[Notes]:
    """Notes in a new file that only we may read: keys can be personal, too."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with (
        os.fdopen(descriptor, "w", encoding="utf-8") as done,
        tempfile.TemporaryFile("w+", encoding="utf-8", dir=path.parent) as left,
    ):
        try:
            yield Notes(done, left)
        finally:
            left.seek(0)
            shutil.copyfileobj(left, done)


def repair_text(found: Repaired, environment: str) -> str:
    """For people: what was found, table by table, and what to do next."""
    lines = [f"{environment}: repair from {found.backup}"]
    if not found.migrations:
        return f"{lines[0]}: no migration ran since that backup; one from before the mistake is needed"
    lines += [
        f"migrations since: {', '.join(found.migrations)}",
        f"the backup is {duration(found.gap_seconds)} older: what was written then, and taken, is not in it",
    ]
    lines += [f"  {relation}: {_counts(counts, applied=found.applied)}" for relation, counts in found.tables.items()]
    lines += [f"  a person is needed: {reason}" for reason in found.person]
    lines += [f"  {example}" for example in found.examples]
    if found.file is not None and found.tables:
        lines.append(f"every row: {found.file}")
    return "\n".join([*lines, _next(found, environment)])


def _counts(counts: Mapping[str, int], *, applied: bool) -> str:
    done = "" if applied else "would come "
    words = {
        RESTORED: f"{done}back",
        FILLED: f"with values that {'came' if applied else 'would come'} back",
        CONFLICT: "with a newer value, which stays",
        DELETED: "deleted by somebody, which stay deleted",
        REFUSED: "refused by the database",
    }
    return "; ".join(f"{counted(counts[what], 'row')} {word}" for what, word in words.items() if counts.get(what))


def _next(found: Repaired, environment: str) -> str:
    if not found.applied and found.to_do:
        return f"nothing was written; to do it: --apply {environment} --reason WHY"
    if found.open:
        return "the rest is for a person to decide"
    return "everything is back" if found.to_do else "nothing is lost"
