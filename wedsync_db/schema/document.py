"""The schema as a Markdown document: module by module, how the tables hang together and who may do what in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from wedsync_db.schema.catalog import Catalog, Function, Table
from wedsync_db.schema.markup import anchor, code, link, sentence, short, short_type
from wedsync_db.schema.modules import Module
from wedsync_db.schema.tables import describe, pointer

_ELSEWHERE = Module("from elsewhere", "What no migration in the folder makes.", ())
_INTRODUCTION = (
    "A tenant is a supplier (an organization) or a wedding. Whoever is signed in comes as `authenticated`, whoever is",
    "not as `anon`; the platform's own server side is `service_role`, which sees every row and is limited by grants",
    "alone. What is not granted, or let in by no policy, is refused. A primary key is in **bold**.",
)


def document(catalog: Catalog, modules: Sequence[Module], *, command: str) -> str:
    """The whole document; `command` is what writes it anew. Equal schemas give equal text."""
    homes = {name: module for module in modules for name in module.made}
    sections = [(m, *_of(m, catalog, homes)) for m in (*modules, _ELSEWHERE)]
    filled = [(module, tables, functions) for module, tables, functions in sections if tables or functions]
    lines = [
        "# The schema",
        "",
        f"Written from the catalog by `{command}`; a test compares the two.",
        "",
        *_INTRODUCTION,
        "",
        "| module | tables |",
        "|---|---|",
        *(f"| {_module_link(m)} | {', '.join(link(t.name) for t in tables) or '–'} |" for m, tables, _ in filled),
    ]
    for module, tables, functions in filled:
        lines += ["", *_section(module, tables, functions)]
    return "\n".join(lines) + "\n"


def _of(module: Module, catalog: Catalog, homes: Mapping[str, Module]) -> tuple[list[Table], list[Function]]:
    """A module's tables and functions, in the order in which it makes them."""
    tables = [t for t in catalog.tables if homes.get(t.name, _ELSEWHERE) is module]
    functions = [f for f in catalog.functions if homes.get(_plain(f.name), _ELSEWHERE) is module]
    places = {name: place for place, name in enumerate(module.made)}
    tables.sort(key=lambda t: places.get(t.name, 0))
    functions.sort(key=lambda f: places.get(_plain(f.name), 0))
    return tables, functions


def _section(module: Module, tables: Sequence[Table], functions: Sequence[Function]) -> Iterator[str]:
    yield from (f"## {module.title}", "", module.about or "No comment.")
    yield from _diagram(tables)
    for table in tables:
        yield from ("", *describe(table))
    if functions:
        yield from ("", "| function | what for | called by |", "|---|---|---|", *map(_function, functions))


def _function(function: Function) -> str:
    callers = ", ".join(code(c) for c in function.callers) or "the schema itself"
    acts = " Acts as its owner." if function.definer else ""
    return f"| {code(short_type(function.name))} | {sentence(function.comment)}{acts} | {callers} |"


def _diagram(tables: Sequence[Table]) -> Iterator[str]:
    lines = sorted({line for table in tables for line in _relations(table)})
    if lines:
        yield from ("", "```mermaid", "erDiagram", *lines, "```")


def _relations(table: Table) -> Iterator[str]:
    required = {c.name for c in table.columns if c.required}
    unique = {frozenset(c.columns) for c in table.constraints if c.kind in ("p", "u")}
    for constraint in table.constraints:
        if constraint.kind == "f" and constraint.parent:
            column = pointer(table, constraint)
            one = "||" if column in required else "|o"
            many = "o|" if frozenset(constraint.columns) in unique else "o{"
            yield f"  {_entity(constraint.parent)} {one}--{many} {_entity(table.name)} : {column}"


def _module_link(module: Module) -> str:
    return f"[{module.title}](#{anchor(module.title)})"


def _plain(function: str) -> str:
    return function.partition("(")[0]


def _entity(name: str) -> str:
    return short(name).replace(".", "_")
