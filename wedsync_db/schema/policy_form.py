"""The form of a policy's expression: does it keep the tenant's index, and is it computed once a statement?

`tenant = any ((select f())::uuid[])` and `id = (select auth.uid())` do: the planner takes the subquery for a constant
and looks the rows up. EXISTS and IN become a filter over every row, with or without another subquery around, and so
does a function that is called outside of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from wedsync_db.postgres.parse import Fields, parse, tree, walk

Node = dict[str, Any]

_EQUALITY = {"AEXPR_OP", "AEXPR_OP_ANY"}
_SUBQUERIES = {
    "EXISTS_SUBLINK": "EXISTS (SELECT …)",
    "ANY_SUBLINK": "IN (SELECT …)",
    "ALL_SUBLINK": "ALL (SELECT …)",
    "ARRAY_SUBLINK": "ARRAY (SELECT …)",
}
_CALLS = {"FuncCall", "SQLValueFunction"}


@dataclass(frozen=True, slots=True)
class Form:
    """What an expression is made of.

    `per_row` are the functions called for every row, `subqueries` those that filter every row, `columns` those compared
    with what is the caller's own. `asks` says that it computes anything at all, `looks` that it looks at the row.
    """

    per_row: tuple[str, ...]
    subqueries: tuple[str, ...]
    columns: tuple[str, ...]
    asks: bool
    looks: bool
    _node: Node = field(repr=False)

    @property
    def is_scoped(self) -> bool:
        """Whether every way to let a row through compares a column of it with what is the caller's own."""
        return _holds(self._node, lambda _: True)

    def is_found_by(self, indexed: frozenset[str]) -> bool:
        """Whether each of those ways has a column that leads an index."""
        return _holds(self._node, indexed.__contains__)


@cache
def form_of(expression: str) -> Form:
    """Read an expression as pg_get_expr writes it.

    Raises:
        SyntaxProblem: it is no expression, or nested too deeply.
    """
    node: Node = tree(parse(f"select {expression}").statements[0]).fields["targetList"][0]["ResTarget"]["val"]
    kinds = {kind for kind, _ in walk(node)}
    outside = sorted(set(_outside(node)))
    return Form(
        tuple(name for kind, name in outside if kind == "call"),
        tuple(name for kind, name in outside if kind == "subquery"),
        tuple(sorted({column for kind, below in walk(node) if (column := _compared(kind, below))})),
        asks=bool(kinds & _CALLS),
        looks="ColumnRef" in kinds,
        _node=node,
    )


def _holds(node: Node, test: Callable[[str], bool]) -> bool:
    """Whether every way to let a row through compares a column that passes the test."""
    kind, fields = next(iter(node.items()))
    if kind != "BoolExpr":
        column = _compared(kind, fields)
        return column is not None and test(column)
    parts = (_holds(part, test) for part in fields["args"])
    if fields["boolop"] == "NOT_EXPR":
        return False
    return all(parts) if fields["boolop"] == "OR_EXPR" else any(parts)


def _compared(kind: str, fields: Fields) -> str | None:
    """The plain column of `column = the caller's own` or `column = any (the caller's own)`."""
    if kind != "A_Expr" or fields["kind"] not in _EQUALITY or fields["name"][-1]["String"]["sval"] != "=":
        return None
    sides = [(fields["lexpr"], fields["rexpr"]), (fields["rexpr"], fields["lexpr"])]
    for one, other in sides[: 1 if fields["kind"] == "AEXPR_OP_ANY" else 2]:
        if "ColumnRef" in one and _is_the_callers(other):
            return str(one["ColumnRef"]["fields"][-1]["String"]["sval"])
    return None


def _is_the_callers(node: Node) -> bool:
    """Computed from who asks, once a statement: scalar subqueries over nothing, casts and operators around them."""
    kinds = {kind for kind, _ in walk(node)}
    return "ColumnRef" not in kinds and bool(kinds & _CALLS) and not any(True for _ in _outside(node))


def _outside(node: object) -> Iterator[tuple[str, str]]:
    """What is computed for every row: calls outside a scalar subquery, and every other kind of subquery."""
    if isinstance(node, list):
        for item in node:
            yield from _outside(item)
    elif isinstance(node, dict):
        for kind, below in node.items():
            if kind == "SubLink":
                if not _is_scalar(below):
                    yield "subquery", _SUBQUERIES.get(below["subLinkType"], "a subquery that looks at the row")
                continue
            if kind == "FuncCall":
                yield "call", ".".join(part["String"]["sval"] for part in below["funcname"])
            yield from _outside(below)


def _is_scalar(sublink: Fields) -> bool:
    """`(select f(constants))`: no table, no column of the row, and only such subqueries within."""
    select = sublink["subselect"]["SelectStmt"]
    inner = list(walk(select))
    return (
        sublink["subLinkType"] == "EXPR_SUBLINK"
        and set(select) <= {"targetList", "limitOption", "op"}
        and not any(kind in ("ColumnRef", "RangeVar", "RangeFunction") for kind, _ in inner)
        and all(_is_scalar(fields) for kind, fields in inner if kind == "SubLink")
    )
