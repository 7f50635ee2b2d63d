"""TX: settings that outlive their statement. ENUM: values that cannot be used before they are committed."""

from __future__ import annotations

from collections.abc import Iterator

from wedsync_db.migrate.lint.subject import Subject, strings, warn
from wedsync_db.migrate.scripts import Hazard
from wedsync_db.postgres.parse import walk

_TIMEOUTS = {"lock_timeout", "statement_timeout"}
_LOCAL = "SET LOCAL, which ends with the transaction; for a function, its own SET clause"


def own_timeout(subject: Subject) -> Iterator[Hazard]:
    """TX-3: the program bounds how long readers may queue behind a migration; a file that changes it undoes that."""
    name = subject.fields.get("name")
    if name in _TIMEOUTS:
        hint = "remove it: the environment's lock settings say how long a migration may wait and run"
        yield warn("TX-3", f"{name} is set by the program, and this overrides it", hint)


def session_setting(subject: Subject) -> Iterator[Hazard]:
    """TX-7: a session's setting stays for the migrations that follow."""
    fields = subject.fields
    name = "every setting" if fields["kind"] == "VAR_RESET_ALL" else fields.get("name", "")
    if name not in _TIMEOUTS and not fields.get("is_local") and fields["kind"] != "VAR_SET_MULTI":
        yield warn("TX-7", f"{name} stays changed for what runs after this", _LOCAL)


def set_config(subject: Subject) -> Iterator[Hazard]:
    """TX-7: a call of set_config stays too, unless its last argument is true."""
    for kind, call in walk(subject.fields):
        if kind == "FuncCall" and strings(call["funcname"])[-1] == "set_config":
            local = call.get("args", [{}])[-1].get("A_Const", {}).get("boolval", {}).get("boolval", False)
            if not local:
                yield warn("TX-7", "set_config(…, false) stays for what runs after this", _LOCAL, call["location"])


def new_value_used(subject: Subject) -> Iterator[Hazard]:
    """ENUM-2: PostgreSQL refuses a new enum value in the transaction that adds it."""
    if not (subject.transactional and subject.memory.values):
        return
    for kind, constant in walk(subject.fields):
        value = constant.get("sval", {}).get("sval") if kind == "A_Const" else None
        if value in subject.memory.values:
            message = f"if this is the enum value added before it, it fails: {value!r} is not committed yet"
            hint = "add the value in a migration of its own with -- transaction: none, and use it in the next"
            yield warn("ENUM-2", message, hint, constant.get("location", 0))


RULES = {
    "VariableSetStmt": (own_timeout, session_setting),
    "SelectStmt": (set_config,),
}
EVERY = (new_value_used,)
