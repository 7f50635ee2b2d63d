"""One filter that keeps secrets out of logs, errors and reports.

It knows two kinds: exact values registered at run time, in the spellings in which they travel (percent-encoded, quoted,
escaped), and places where a password stands whatever it is. When in doubt it hides too much.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from urllib.parse import quote, quote_plus

MASK = "***"
_LEAST_CHARACTERS = 4  # anything shorter would blank out half of every line
_lock = threading.Lock()
_secrets: tuple[str, ...] = ()  # longest first, replaced as a whole: readers need no lock

_KEY = r"(?:password|passwd|pgpass|passphrase|secret|api[_-]?key|access[_-]?key)[\w-]{0,32}"
_QUOTED = r"""'(?:''|\\.|[^'\\])*(?:'|\Z)|"(?:\\.|[^"\\])*(?:"|\Z)"""
_PATTERNS = (
    # scheme://user:password@host; up to the last @ of the word, as an unencoded password may hold one itself
    (re.compile(r"(://[^\s:/@]{0,200}):\S{0,2000}@"), rf"\1:{MASK}@"),
    # password=…, PGPASSWORD=…, "password": "…", password: …
    (re.compile(rf"({_KEY}[\"']?\s{{0,8}}[=:]\s{{0,8}})(?:{_QUOTED}|(?:\\.|[^\s\\])+)", re.IGNORECASE), rf"\1{MASK}"),
    # CREATE ROLE … PASSWORD '…'
    (re.compile(rf"(password\s{{1,8}}e?)(?:{_QUOTED})", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"(token[\w-]{0,32}=)[^\s&]+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"(authorization[\"']?\s{0,8}[=:]\s{0,8}(?:[a-z]+ )?)\S+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"(\bbearer\s{1,8})[\w+/.~=-]{8,}", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?"), MASK),  # a JSON Web Token
    (re.compile(r"\bsb(?:p_|_secret_)[\w-]{8,}"), MASK),  # Supabase's own keys
)
# what a statement is made of, as far as quotes go: in a comment or a name an apostrophe begins no text
_PIECE = re.compile(
    r"""
    (?P<name> "(?:""|[^"])*(?:"|\Z) )
    | (?P<comment> --[^\n]* | /\*.*?(?:\*/|\Z) )
    | (?P<text> \b[eE]'(?:''|\\.|[^'\\])*(?:'|\Z) | '(?:''|[^'])*(?:'|\Z) )
    | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def register_secret(value: str) -> None:
    """Never show this value again, nor its encoded spellings.

    Values under four characters, and values of asterisks only, are left to the patterns.
    """
    global _secrets  # noqa: PLW0603 - one process, one list: a secret is one for everybody
    encoded = value.encode(errors="surrogatepass")
    spellings = {value, quote(encoded, safe=""), quote(encoded), quote_plus(encoded)}
    spellings |= {repr(value)[1:-1], json.dumps(value)[1:-1]}
    spellings |= {value.replace("\\", "\\\\").replace("'", "\\'"), value.replace("'", "''")}
    usable = {s for s in spellings if len(s) >= _LEAST_CHARACTERS and s.strip("*")}
    with _lock:
        _secrets = tuple(sorted({*_secrets, *usable}, key=len, reverse=True))


def redact(text: str) -> str:
    """Return the text with every secret in it replaced by `***`. Never raises."""
    text = _without_registered(text)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _without_registered(text)


def without_literals(statement: str) -> str:
    """A statement without what stands in quotes or comments. Names in double quotes stay. Never raises."""

    def piece(found: re.Match[str]) -> str:
        if found["name"]:
            return found["name"]
        return "/*…*/" if found["comment"] else "'…'" if found["text"] else "$…$"

    return _PIECE.sub(piece, statement)


def _without_registered(text: str) -> str:
    # again until nothing is left: a mask between two pieces can make up another secret. Each replacement takes away at
    # least one character that is no asterisk and adds none, so this ends.
    while found := [secret for secret in _secrets if secret in text]:
        for secret in found:
            text = text.replace(secret, MASK)
    return text


class RedactionFilter(logging.Filter):
    """For logging handlers: redacts the message with its arguments, exception and stack text, and extra texts.

    Put it on a handler rather than on a logger: a logger's filter does not see what its children log.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record in place; every record passes."""
        record.msg, record.args = redact(_message(record)), None
        if record.exc_info:
            record.exc_text = record.exc_text or logging.Formatter().formatException(record.exc_info)
            record.exc_info = None  # a handler that formats it again would show it as it was
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        for name, value in record.__dict__.items():
            if name not in _STANDARD and isinstance(value, str):
                record.__dict__[name] = redact(value)
        return True


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a wrong format string must neither stop the program nor get round the redaction
        return f"a log message that cannot be formatted, from {record.pathname}:{record.lineno}"
