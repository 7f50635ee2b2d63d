"""SEC: who may do what, and whose objects a function really calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from wedsync_db.migrate.lint.subject import Fields, Subject, name_of, warn
from wedsync_db.migrate.scripts import Hazard
from wedsync_db.postgres.autocommit import commands, options
from wedsync_db.postgres.parse import Tree

_ENABLE = "enable row level security"


def definer_search_path(subject: Subject) -> Iterator[Hazard]:
    """SEC-1: a SECURITY DEFINER function looks names up where its caller says, unless it fixes its search_path."""
    given = subject.fields.get("options") or subject.fields.get("actions")
    if options(given).get("security") is not True:
        return
    paths = [p for p in _settings(given or []) if p.get("name") == "search_path"]
    problem = _problem(paths[-1]) if paths else "without a search_path of its own"
    if problem:
        message = f"a SECURITY DEFINER function {problem} can be made to call the caller's objects"
        yield warn("SEC-1", message, "SET search_path = pg_catalog, pg_temp, and schema-qualified names in its body")


def protected(trees: Iterable[Tree]) -> Callable[[str], bool]:
    """Whether these statements enable row-level security on a table; a DO block that does is taken to mean them all."""
    tables = set()
    for tree in trees:
        if tree.kind == "DoStmt" and _ENABLE in str(options(tree.fields["args"]).get("as", "")).lower():
            return lambda _: True
        if tree.kind == "AlterTableStmt" and any(c["subtype"] == "AT_EnableRowSecurity" for c in commands(tree.fields)):
            tables.add(name_of(tree.fields["relation"]))
    return tables.__contains__


def unprotected(created: Fields, is_protected: Callable[[str], bool]) -> Iterator[Hazard]:
    """SEC-4: a table in schema public for which nothing in the plan enables row-level security."""
    table = name_of(created["relation"])
    permanent = created["relation"].get("relpersistence") != "t"
    if permanent and table.startswith("public.") and not is_protected(table):
        hint = f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, with policies; or a schema no client can use"
        yield warn("SEC-4", f"everybody with a grant on {table} sees every tenant's rows", hint)


def _settings(given: list[Fields]) -> Iterator[Fields]:
    elements = (item["DefElem"] for item in given)
    return (e["arg"]["VariableSetStmt"] for e in elements if e["defname"] == "set")


def _problem(path: Fields) -> str | None:
    if path["kind"] != "VAR_SET_VALUE":
        return "with a search_path that is not written down"
    parts = [a["A_Const"].get("sval", {}).get("sval", "") for a in path.get("args", [])]
    if parts == [""]:  # nothing but what is qualified is found, apart from pg_catalog
        return None
    return None if parts[-1] == "pg_temp" else "whose search_path does not end with pg_temp"


RULES = {
    "CreateFunctionStmt": (definer_search_path,),
    "AlterFunctionStmt": (definer_search_path,),
}
