"""Expressions of policies and checks in words; what has no word is shown as it is.

They come as pg_get_expr writes them: with parentheses around every part, and a cast at every literal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from wedsync_db.schema.markup import code

# the functions that policies ask, and whom the answer to this argument stands for
_WHO: Mapping[str, Mapping[str, str]] = {
    "app.org_ids": {
        "viewer": "everybody in the organization",
        "member": "the organization's members, admins and owners",
        "admin": "the organization's admins and owners",
        "owner": "the organization's owners",
    },
    "app.wedding_ids": {
        "couple": "the couple",
        "overview": "the couple, and everybody in a supplier with the scope `overview`",
        "people": "the couple, and everybody in a supplier with the scope `people`",
        "timeline": "the couple, and everybody in a supplier with the scope `timeline`",
        "timeline_edit": "the couple, and members and above in a supplier with the scope `timeline_edit`",
        "guests": "the couple, and everybody in a supplier with the scope `guests`",
    },
    "app.conversation_ids": {
        "viewer": "the couple, and everybody in a supplier that takes part",
        "member": "the couple, and members and above in a supplier that takes part",
    },
}
_AMONG = re.compile(r"\w+ = ANY \(\( SELECT ([\w.]+)\('(\w+)'::text\) AS \w+\)::uuid\[\]\)")
_SELF = re.compile(r"(\w+) = \( SELECT auth\.uid\(\) AS uid\)")
_PIECE = re.compile(r"'(?:[^']|'')*'|[()]| AND | OR |.", re.DOTALL)
_TYPE = re.compile(
    r"::(text|character varying|bpchar|smallint|integer|bigint|date|jsonb|uuid|interval|timestamp with time zone)\b"
    r"(\[\])?"
)
_ONE_OF = re.compile(r"(\w+) = ANY \(ARRAY\[([^\]]*)\]\)")
_CHECKS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"\(length\((\w+)\) >= (\d+)\) AND \(length\(\1\) <= (\d+)\)", r"\2 to \3 characters"),
        (r"length\(\w+\) <= (\d+)", r"up to \1 characters"),
        (r"octet_length\(\w+\) = (\d+)", r"\1 bytes"),
        (r"\(octet_length\((\w+)\) >= (\d+)\) AND \(octet_length\(\1\) <= (\d+)\)", r"\2 to \3 bytes"),
        (r"\((\w+) >= (-?\d+)\) AND \(\1 <= (-?\d+)\)", r"\2 to \3"),
        (r"\((\w+) >= '(-\d+)'\) AND \(\1 <= '?(\d+)'?\)", r"\2 to \3"),
        (r"\((\w+) >= '([\d-]{10})[^']*'\) AND \(\1 <= '([\d-]{10})[^']*'\)", r"\2 to \3"),
        (
            r"\(length\((\w+)\) <= (\d+)\) AND \(\1 = lower\(\1\)\) AND \(\1 ~ '\^\[\^@\[:space:\]\]\+@.*'\)",
            r"an e-mail address in lower case, up to \2 characters",
        ),
        (r"app\.tz_ok\(\w+\)", "a time zone's name (IANA)"),
        (r"app\.currency_ok\(\w+\)", "a currency's code (ISO 4217)"),
        (r"jsonb_typeof\(\w+\) = 'object'", "an object"),
        (
            r"\(jsonb_typeof\((\w+)\) = 'object'\) AND \(octet_length\(\(\1\)\) <= (\d+)\)",
            r"an object, up to \2 bytes as text",
        ),
    )
)


def who(expression: str) -> str:
    """Whom a policy's expression lets in: "the organization's admins and owners, where `status = 'draft'`"."""
    text = _bare(expression)
    if len(ways := _split(text, " OR ")) > 1:
        return "; or ".join(who(way) for way in ways)
    parts = [_bare(part) for part in _split(text, " AND ")]
    people = [_person(part) for part in parts if _person(part)]
    rows = [_row(part) for part in parts if not _person(part)]
    return ", where ".join(filter(None, (", and ".join(people), " and ".join(rows))))


def condition(expression: str) -> str:
    """A check in words, or as an expression without the casts that PostgreSQL adds."""
    text = plain(expression)
    if one_of := _ONE_OF.fullmatch(text):
        return "one of " + ", ".join(code(value.strip("'")) for value in one_of.group(2).split(", "))
    for pattern, words in _CHECKS:
        if match := pattern.fullmatch(text):
            return match.expand(words)
    return code(text)


def plain(expression: str) -> str:
    """An expression without the casts and the outermost parentheses that PostgreSQL adds."""
    return _bare(_TYPE.sub("", expression))


def _person(text: str) -> str:
    if match := _AMONG.fullmatch(text):
        return _WHO.get(match[1], {}).get(match[2], "")
    if match := _SELF.fullmatch(text):
        return "the person themselves" if match[1] in ("id", "profile_id") else f"as {code(match[1])} themselves"
    return ""


def _row(text: str) -> str:
    return f"({who(text)})" if len(_split(text, " OR ")) > 1 else condition(text)


def _bare(text: str) -> str:
    """Without parentheses around all of it."""
    while text.startswith("(") and 0 not in _depths(text[:-1]):
        text = text[1:-1]
    return text


def _depths(text: str) -> list[int]:
    """How many parentheses are open after each that opens or closes."""
    depth, found = 0, []
    for piece in _PIECE.findall(text):
        if piece in "()":
            depth += 1 if piece == "(" else -1
            found.append(depth)
    return found


def _split(text: str, word: str) -> list[str]:
    """The parts between a word that stands outside of all parentheses."""
    parts, depth = [""], 0
    for piece in _PIECE.findall(text):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if piece == word and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return parts
