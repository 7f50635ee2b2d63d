"""The order of migrations, whatever order they are read in."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.migrate.order import late, ordered
from wedsync_db.model import Migration, Script, Severity


def migration(number, *requires):
    script = Script(Path(f"{number:04}_m/deploy.sql"), "select 1", "00", "00", ())
    names = tuple(f"{r:04}_m" for r in requires)
    return Migration(f"{number:04}_m", number, names, True, None, script, None, None, None)


def ids(migrations):
    return [m.number for m in migrations]


@st.composite
def graphs(draw):
    """Migrations whose requirements follow some hidden order, which need not be that of the numbers."""
    numbers = draw(st.lists(st.integers(0, 9999), max_size=12, unique=True))
    hidden = draw(st.permutations(numbers))
    return [
        migration(n, *draw(st.sets(st.sampled_from(hidden[:i])) if i else st.just(()))) for i, n in enumerate(hidden)
    ]


@given(graphs(), st.randoms())
def test_order_is_topological_and_does_not_depend_on_the_reading(migrations, randomly):
    result, findings = ordered(migrations)
    assert findings == ()
    assert sorted(ids(result)) == sorted(ids(migrations))
    place = {m.id: i for i, m in enumerate(result)}
    assert all(place[r] < place[m.id] for m in result for r in m.requires)
    shuffled = list(migrations)
    randomly.shuffle(shuffled)
    assert ordered(shuffled) == (result, findings)


@given(graphs())
def test_number_decides_among_those_that_may_run(migrations):
    result, _ = ordered(migrations)
    done: set[str] = set()
    for chosen in result:
        may = [m.number for m in migrations if m.id not in done and done.issuperset(m.requires)]
        assert chosen.number == min(may)
        done.add(chosen.id)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=14))
def test_any_graph_keeps_every_migration_and_names_a_cycle_exactly_where_one_is(edges):
    needs = {n: {b for a, b in edges if a == n} for n in range(7)}
    migrations = [migration(n, *needs[n]) for n in needs]
    random.Random(len(edges)).shuffle(migrations)
    result, findings = ordered(migrations)
    assert sorted(ids(result)) == list(range(7))
    assert bool(findings) == _is_cyclic(needs)


def _is_cyclic(needs):
    left = dict(needs)
    while free := [n for n, r in left.items() if not r & left.keys()]:
        for n in free:
            del left[n]
    return bool(left)


def test_cycle_is_named_once_from_its_lowest_member():
    result, findings = ordered([migration(5), migration(3, 4), migration(4, 2), migration(2, 3), migration(6, 2)])
    assert ids(result) == [5, 2, 3, 4, 6]
    (finding,) = findings
    assert finding.message == "migrations require each other: 0002_m → 0003_m → 0004_m → 0002_m"
    assert (finding.rule, finding.severity, finding.migration) == ("cycle", Severity.ERROR, "0002_m")


def test_two_cycles_and_one_of_itself():
    _, findings = ordered([migration(1, 2), migration(2, 1), migration(3, 3)])
    assert [f.message.rpartition(": ")[2] for f in findings] == ["0001_m → 0002_m → 0001_m", "0003_m → 0003_m"]


def test_requirement_among_the_applied_is_met():
    assert ordered([migration(2, 1)], {"0001_m"})[1] == ()


def test_unknown_requirement():
    result, (finding,) = ordered([migration(2, 1)])
    assert ids(result) == [2]
    assert (finding.rule, finding.migration) == ("undeclared", "0002_m")
    assert finding.message == "0002_m requires 0001_m, which is neither applied nor on disk"


def test_late():
    pending = [migration(2), migration(4), migration(9)]
    assert [f.migration for f in late(pending, [1, 4, 7])] == ["0002_m", "0004_m"]
    assert late(pending, []) == ()
