"""Over made-up databases and reverts: whatever was written and would be gone is at risk, and nothing else is.

The databases are Python values here, so that what is really lost can be said without the code under test.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.migrate import at_risk
from wedsync_db.migrate.at_risk import Column, Relation
from wedsync_db.model import Licence, MigrationProof, RelationContent

COLUMNS = (1, 2, 3)
DEFAULTS = {1: None, 2: "d", 3: None}
values = st.sampled_from([None, "d", "a", "b"])
rows = st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, values)), max_size=3)


@dataclass(frozen=True)
class World:
    """Rows of each table before the revert; what the migration left in each that it created; what the revert does."""

    tables: dict[int, list[dict]]
    created: dict[int, list[dict]]
    dropped: frozenset[int]
    columns_dropped: dict[int, frozenset[int]]
    rewritten: dict[int, list[dict]]


@st.composite
def worlds(draw) -> World:
    tables = draw(st.dictionaries(st.integers(1, 4), rows, max_size=4))
    some = st.frozensets(st.sampled_from(sorted(tables))) if tables else st.just(frozenset())
    dropped = draw(some)
    created = {t: draw(st.one_of(st.just(tables[t]), rows)) for t in draw(some) & dropped}
    columns = {t: draw(st.frozensets(st.sampled_from(COLUMNS))) for t in draw(some) - dropped}
    rewritten = {t: draw(st.one_of(st.just(list(reversed(tables[t]))), rows)) for t in draw(some) - dropped}
    return World(tables, created, dropped, columns, rewritten)


def kept(world: World, table: int) -> tuple[int, ...]:
    return tuple(c for c in COLUMNS if c not in world.columns_dropped.get(table, ()))


def bag(content: list[dict], columns: tuple[int, ...]) -> str:
    return repr(sorted(repr([row[c] for c in columns]) for row in content))


def really_lost(world: World) -> bool:
    for table, content in world.tables.items():
        if table in world.dropped:
            if content and bag(content, COLUMNS) != bag(world.created.get(table, []), COLUMNS):
                return True
            continue
        gone = world.columns_dropped.get(table, frozenset())
        if any(row[c] != DEFAULTS[c] for row in content for c in gone):
            return True
        if bag(content, kept(world, table)) != bag(world.rewritten.get(table, content), kept(world, table)):
            return True
    return False


def relation(world: World, table: int, columns: tuple[int, ...]) -> Relation:
    made = tuple(
        Column(c, f"c{c}", "text/0", "none" if DEFAULTS[c] is None else "constant", DEFAULTS[c], "text")
        for c in columns
    )
    return Relation(table, f"public.t{table}", "r", 1, made)


def content(table: int, held: list[dict], columns: tuple[int, ...]) -> RelationContent:
    return RelationContent(f"public.t{table}", len(held), bag(held, columns), "bag")


def judge(world: World) -> list[str]:
    """The decisions in the order in which undo.py makes them, over contents made here."""
    proof = MigrationProof(
        "0001_x", Licence.EXACT, (), 0.0, 0.0, 0, (),
        {f"public.t{t}": (len(r), bag(r, COLUMNS)) for t, r in world.created.items()},
    )  # fmt: skip
    before = {t: relation(world, t, COLUMNS) for t in world.tables}
    after = {t: relation(world, t, kept(world, t)) for t in world.tables if t not in world.dropped}
    seen = at_risk.effect(before, after, set(world.rewritten))
    risks = [at_risk.removed_table(content(t.oid, world.tables[t.oid], COLUMNS), proof) for t in seen.removed_tables]
    for table, column in seen.removed_columns:
        written = sum(row[column.number] != column.default_sql for row in world.tables[table.oid])
        risks.append(at_risk.removed_column(table, column, written))
    for survivor in seen.survivors:
        oid = int(survivor.before.removeprefix("public.t"))
        columns = tuple(int(name[1:]) for name, _ in survivor.columns)
        old, new = world.tables[oid], world.rewritten[oid]
        risks.append(at_risk.survivor(content(oid, old, columns), content(oid, new, columns)))
    return [risk for risk in risks if risk]


@given(worlds())
def test_a_risk_is_said_exactly_where_something_written_would_be_lost(world):
    assert bool(judge(world)) is really_lost(world)
