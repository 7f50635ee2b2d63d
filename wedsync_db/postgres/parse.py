"""What a script *is*, by PostgreSQL's own parser: its statements, their kinds, its tree, and where it is wrong.

The only module that knows the parser (postgast over libpg_query, PostgreSQL 18's grammar). It reads the parser's JSON
rather than its protobuf form: that is a third of the time, and protobuf refuses trees deeper than 100 levels, which a
concatenation of fifty strings already has. Offsets into a text are bytes there, positions of errors are characters.

The parser is loaded when the first script is parsed: it takes as long as everything else a status needs.

Syntax a target older than 18 does not know passes here; the rehearsal on the target's own major refuses it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wedsync_db.errors import PlanError
from wedsync_db.model import Finding, Severity, Statement
from wedsync_db.postgres.autocommit import ALONE, may_be_alone, options
from wedsync_db.postgres.excerpt import excerpt, position

Fields = Mapping[str, Any]

# only a whole statement stands under "stmt"; a quote inside a string is escaped in JSON, so no literal looks like this
_KIND = re.compile(rb'\{"stmt":\{"(\w+)":')
_LOCATION = re.compile(rb'"stmt_location":(\d+)')
_LENGTH = re.compile(rb'"stmt_len":(\d+)')
_PLACE = rb'"(?:(?:name_|stmt_)?location|(?:rexpr_)?list_(?:start|end)|stmt_len)":-?\d+'
_PLACES = re.compile(rb",%b|%b,?" % (_PLACE, _PLACE))
_COPY_DATA = re.compile(r"\bcopy\b[^;]*\bfrom\s+stdin\b[^;]*;[^;]*\Z", re.IGNORECASE)
_BLANK = " \t\n\r\f\v"  # PostgreSQL's; a no-break space belongs to the name it stands in
_CONTROL = {"commit", "rollback"}
_OPENERS = {";", "begin", "then", "else", "loop"}


class SyntaxProblem(PlanError):
    """A script PostgreSQL cannot parse: where, the line with a caret, and what to do where that is known."""

    def __init__(self, message: str, *, text: str, offset: int, path: Path | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.line, self.column = position(text, offset)
        self.excerpt = excerpt(text, offset)

    def finding(self, migration: str | None = None) -> Finding:
        """The problem as an error among a plan's findings."""
        return Finding(
            "syntax",
            Severity.ERROR,
            self.message,
            hint=self.hint,
            migration=migration,
            path=self.path,
            line=self.line,
            column=self.column,
            excerpt=self.excerpt,
        )


@dataclass(frozen=True, slots=True)
class Parsed:
    """A script's statements and the hash of its tree, from one pass of the parser."""

    statements: tuple[Statement, ...]
    tree_hash: str


@dataclass(frozen=True, slots=True)
class Tree:
    """A statement's parse node: its kind (`CreateStmt`) and its fields as libpg_query names them.

    A field at its default (0, false, empty) is absent. A `location` counts bytes of the statement's text.
    """

    kind: str
    fields: Fields


def parse(text: str, path: Path | None = None) -> Parsed:
    """Parse a whole script; `path` is only for the error.

    The tree hash does not see comments, layout, the case of keywords or how a type or name may also be written; every
    literal and every name counts, and so does a comment inside a function's body, which PostgreSQL keeps.

    Raises:
        SyntaxProblem: PostgreSQL cannot parse it, or it holds what only psql understands.
    """
    whole = _whole(text, path)
    kinds = (k.decode() for k in _KIND.findall(whole))
    pieces = _pieces(text.encode(), whole)
    found = tuple(_statement(kind, *piece) for kind, piece in zip(kinds, pieces, strict=True))
    for statement in found:
        _refuse_copy_data(statement, text, path)
    trees = whole[whole.index(b"[") :]  # without the parser's version, which may change under an applied migration
    return Parsed(found, hashlib.sha256(_PLACES.sub(b"", trees)).hexdigest())


def statements(text: str, path: Path | None = None) -> tuple[Statement, ...]:
    """The statements of a script, each without its semicolon and the comments before it (those inside it stay).

    `line` (from 1) and `offset` (in characters, from 0) are those of the first token.

    Raises:
        SyntaxProblem: as for `parse`.
    """
    return parse(text, path).statements


def tree_hash(text: str) -> str:
    """SHA-256 in hex of the normalised parse tree of a script; see `parse`.

    Raises:
        SyntaxProblem: as for `parse`.
    """
    return parse(text).tree_hash


def tree(statement: Statement) -> Tree:
    """The parse tree of one statement.

    Raises:
        SyntaxProblem: it is nested too deeply to be looked at (some hundred levels).
    """
    return Tree(statement.kind, _fields(statement.sql))


def walk(node: object) -> Iterator[tuple[str, Fields]]:
    """Every node below (kind, fields), parents first."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if isinstance(here, list):
            waiting.extend(reversed(here))
        elif isinstance(here, dict):
            yield from ((k, v) for k, v in here.items() if k[0].isupper() and isinstance(v, dict))
            waiting.extend(reversed(here.values()))


def transaction_control(statement: Statement) -> str | None:
    """How a statement would begin or end a transaction ("COMMIT", "COMMIT inside DO"); None if it does not.

    A DO block is searched word by word; what CALL ends is only known to the server, which refuses it in a transaction.
    """
    if statement.kind == "TransactionStmt":
        kind: str = tree(statement).fields.get("kind", "TRANS_STMT_BEGIN")
        return kind.removeprefix("TRANS_STMT_").replace("_", " ")
    if statement.kind == "DoStmt":
        word = _commits_within(tree(statement))
        return f"{word} inside DO" if word else None
    return None


def _commits_within(block: Tree) -> str | None:
    words = _words(str(options(block.fields["args"]).get("as", "")))
    for before, word, after in zip([";", *words], words, [*words[1:], ";"], strict=False):
        if word in _CONTROL and before in _OPENERS and after in {";", "and", "work", "transaction"}:
            return word.upper()
    return None


def _words(body: str) -> list[str]:
    from postgast import PgQueryError, scan

    data = body.encode()
    try:
        tokens = scan(body).tokens
    except PgQueryError:  # the server will not understand it either
        return []
    texts = (data[t.start : t.end].decode().lower() for t in tokens)
    return [t for t in texts if not t.startswith(("--", "/*"))]


# -- the parser --------------------------------------------------------------------------------------------------------
def _whole(text: str, path: Path | None) -> bytes:
    from postgast import PgQueryError

    if (nul := text.find("\0")) >= 0:  # C strings end there: the rest would silently not be parsed
        raise SyntaxProblem("a NUL character, which PostgreSQL does not accept", text=text, offset=nul, path=path)
    try:
        return _json(text.encode())
    except PgQueryError as error:
        raise _explained(error.message, max(error.cursorpos - 1, 0), text, path) from None


def _json(sql: bytes) -> bytes:
    from postgast.errors import check_error
    from postgast.native import lib

    result = lib.pg_query_parse(sql)
    try:
        check_error(result)
        return bytes(result.parse_tree)
    finally:
        lib.pg_query_free_parse_result(result)


def _pieces(data: bytes, whole: bytes) -> Iterator[tuple[str, int, int]]:
    """Each statement's text, line and character offset, counted on from the one before."""
    line, offset, end = 1, 0, 0
    for start, stop in _spans(data, whole):
        between = data[end:start].decode()
        line, offset = line + between.count("\n"), offset + len(between)
        sql = data[start:stop].decode()
        yield sql.rstrip(_BLANK), line, offset
        line, offset, end = line + sql.count("\n"), offset + len(sql), stop


def _spans(data: bytes, whole: bytes) -> Iterator[tuple[int, int]]:
    """Where each statement begins and ends in bytes; the JSON leaves out a start of 0 and a length up to the end."""
    starts = [int(n) for n in _LOCATION.findall(whole)]
    lengths = [int(n) for n in _LENGTH.findall(whole)]
    count = len(_KIND.findall(whole))
    starts = [0] * (count - len(starts)) + starts
    stops = [start + length for start, length in zip(starts, lengths, strict=False)]
    return zip(starts, stops + [len(data)] * (count - len(lengths)), strict=True)


def _fields(sql: str) -> Fields:
    try:
        node = json.loads(_json(sql.encode()))["stmts"][0]["stmt"]
    except RecursionError:
        raise SyntaxProblem("the statement is nested too deeply to be looked at", text=sql, offset=0) from None
    fields: Fields = next(iter(node.values()))
    return fields


def _statement(kind: str, sql: str, line: int, offset: int) -> Statement:
    alone = may_be_alone(kind, sql) and ALONE[kind](_fields(sql))
    return Statement(sql, kind, line, offset, concurrent=alone)


# -- what the parser's errors mean -------------------------------------------------------------------------------------
def _explained(message: str, offset: int, text: str, path: Path | None) -> SyntaxProblem:
    if copy := _COPY_DATA.search(text, 0, offset):
        return _copy_data(text, copy.start(), path)
    hint = ""
    if text[offset : offset + 1] == "\\":
        message = "a psql command, which is not SQL"
        hint = "migrations go to the server without psql: write the SQL itself, without \\i, \\d, \\set or \\copy"
    elif text[offset : offset + 1] == ":":
        hint = "psql variables (:name) are not known here: write the value"
    return SyntaxProblem(message, text=text, offset=offset, path=path, hint=hint)


def _refuse_copy_data(statement: Statement, text: str, path: Path | None) -> None:
    if statement.kind != "CopyStmt":
        return
    if not _fields(statement.sql).get("filename"):
        raise _copy_data(text, statement.offset, path)


def _copy_data(text: str, offset: int, path: Path | None) -> SyntaxProblem:
    return SyntaxProblem(
        "COPY over the client's connection: a migration has nothing to send or to receive there",
        text=text,
        offset=offset,
        path=path,
        hint="write the rows as INSERT … VALUES",
    )
