"""The header of a deploy.sql: comment lines above the first statement that the program reads.

    -- requires: 0001_tenancy, 0004_people     migrations that must be applied before this one
    -- transaction: none                       one statement at a time, each committing for itself
    -- loses: values of orders.note            what a revert cannot bring back, in the author's words

Everything above the first SQL belongs to the header, blank lines too. A comment of the form `-- word: …` with any other
single word is refused there, since a misspelt `require:` would otherwise be obeyed by nobody.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from wedsync_db.postgres.excerpt import excerpt, position

ID = re.compile(r"[0-9]{4}_[a-z][a-z0-9_]*")

_HEADER = re.compile(r"(?:[ \t\r\f\v]*(?:--[^\n]*)?(?:\n|\Z))*")
_LINE = re.compile(r"^[ \t]*--[ \t]*([a-z][a-z_-]*)[ \t]*:(?=\s|\Z)[ \t]*([^\r\n]*?)[ \t\r]*$", re.MULTILINE)
_KEYS = ("requires", "transaction", "loses")


@dataclass(frozen=True, slots=True)
class HeaderProblem:
    """What is wrong with a header line, and where."""

    message: str
    hint: str
    line: int
    column: int
    excerpt: str


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says; without one, a transactional migration that requires and loses nothing."""

    requires: tuple[str, ...] = ()
    transactional: bool = True
    loses: str | None = None


def read_header(text: str) -> tuple[Header, tuple[HeaderProblem, ...]]:
    """The header of a deploy.sql and everything wrong with it, from top to bottom."""
    match = _HEADER.match(text)
    end = match.end() if match else 0
    header, problems = Header(), []
    seen: set[str] = set()
    for line in _LINE.finditer(text, 0, end):
        key, value = line[1], line[2]
        header, problem = _taken(header, key, value, repeated=key in seen)
        seen.add(key)
        problems += [_problem(text, line.start(1), *problem)] if problem else []
    return header, (*problems, *_below(text, end))


Problem = tuple[str, str]


def _taken(header: Header, key: str, value: str, *, repeated: bool) -> tuple[Header, Problem | None]:
    if key not in _READERS:
        hint = f"known are {', '.join(_KEYS)}; as prose, put it without the colon or below the first statement"
        return header, (f"unknown header line {key!r}", hint)
    if repeated and key != "requires":
        return header, (f"the header says {key!r} twice", "keep one of the lines")
    return _READERS[key](header, value)


def _requires(header: Header, value: str) -> tuple[Header, Problem | None]:
    names = [n.strip() for n in value.split(",")]
    wrong = [n for n in names if not ID.fullmatch(n)]
    taken = replace(header, requires=tuple(dict.fromkeys((*header.requires, *(n for n in names if n not in wrong)))))
    if not wrong:
        return taken, None
    return taken, (f"{wrong[0]!r} is no migration's name", "write it as -- requires: 0001_first, 0002_second")


def _transaction(header: Header, value: str) -> tuple[Header, Problem | None]:
    if value == "none":
        return replace(header, transactional=False), None
    return header, (f"'transaction: {value}' means nothing", "the only value is none; without the line there is one")


def _loses(header: Header, value: str) -> tuple[Header, Problem | None]:
    if value:
        return replace(header, loses=value), None
    return header, ("'loses:' says nothing", "write what a revert cannot bring back, or drop the line")


_READERS: dict[str, Callable[[Header, str], tuple[Header, Problem | None]]] = {
    "requires": _requires,
    "transaction": _transaction,
    "loses": _loses,
}


def _below(text: str, end: int) -> list[HeaderProblem]:
    if text.find("\n--", max(end - 1, 0)) < 0:
        return []
    lines = (m for m in _LINE.finditer(text, end) if m[1] in _READERS and m[0].startswith("--"))
    hint = "move the line above the first statement and above any /* comment */"
    return [_problem(text, m.start(1), f"the header line {m[1]!r} stands below the header", hint) for m in lines]


def _problem(text: str, offset: int, message: str, hint: str) -> HeaderProblem:
    line, column = position(text, offset)
    return HeaderProblem(message, hint, line, column, excerpt(text, offset))
