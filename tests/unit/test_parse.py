"""Splitting, hashing and judging SQL by PostgreSQL's own parser."""

from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.postgres.parse import SyntaxProblem, statements, transaction_control, tree, tree_hash, walk

NAMES = st.sampled_from(["orders", "app.lines", '"Gäste"', '"日本 ""x"', "naïve"])
LITERALS = st.one_of(
    st.integers(min_value=0, max_value=10**12).map(str),
    st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12).map(
        lambda s: "'" + s.replace("'", "''") + "'"
    ),
    st.sampled_from(["null", "true", "1.50", "$$a;b$$", "$f$ -- no; comment $f$", "E'\\n;'"]),
)
STATEMENTS = st.one_of(
    st.builds("select {} from {}".format, LITERALS, NAMES),
    st.builds("insert into {} values ({}, {})".format, NAMES, LITERALS, LITERALS),
    st.builds("create table {} (id int, note text default {})".format, NAMES, LITERALS),
    st.builds("create function f() returns int language sql begin atomic; select {}; end".format, LITERALS),
    st.builds("do $do$ begin raise notice '%', {}; end $do$".format, LITERALS),
)
GAPS = st.sampled_from(["", " ", "\n", " -- ü; comment\n", "/* ; /* nested */ 'é */", "\r\n\t", ";", " ; ;\n"])


@given(st.lists(st.tuples(GAPS, STATEMENTS, GAPS), max_size=6))
def test_splitting_round_trips(parts):
    text = "".join(f"{before}{sql}{after};" for before, sql, after in parts)
    found = statements(text)
    assert len(found) == len(parts)
    assert tree_hash("\n;".join(s.sql for s in found)) == tree_hash(text)


@given(st.lists(st.tuples(GAPS, STATEMENTS, GAPS), max_size=6))
def test_places_are_those_of_the_first_token(parts):
    text = "".join(f"{before}{sql}{after};" for before, sql, after in parts)
    for statement, (_, sql, _) in zip(statements(text), parts, strict=True):
        assert text[statement.offset :].startswith(sql)
        assert statement.sql.startswith(sql)
        assert statement.line == text.count("\n", 0, statement.offset) + 1


@given(STATEMENTS, GAPS, GAPS)
def test_comments_and_layout_do_not_change_the_hash(sql, before, after):
    assert tree_hash(f"{before}{sql}{after}") == tree_hash(sql)


@pytest.mark.parametrize(
    "same",
    [
        "SELECT\n\ta ,b FROM -- what\n T where A=1 or b like 'X' and c = any(ARRAY[ 1,2 ])",
        "/* why */ Select a, b From t Where (a = 1) Or b LIKE 'X' And c = Any (array[1, 2]) ;",
    ],
)
def test_keyword_case_and_parentheses_do_not_change_the_hash(same):
    assert tree_hash(same) == tree_hash("select a, b from t where a = 1 or b like 'X' and c = any(array[1,2])")


@given(LITERALS, LITERALS)
def test_every_literal_changes_the_hash(one, other):
    same = tree_hash(f"select {one}") == tree_hash(f"select {other}")
    assert same == (_value(one) == _value(other))


def _value(literal):
    fixed = {"$$a;b$$": "'a;b'", "$f$ -- no; comment $f$": "' -- no; comment '", "E'\\n;'": "'\n;'"}
    return fixed.get(literal, literal)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select a from t", "select b from t"),
        ("select a from t", 'select "A" from t'),
        ("select 'location'", "select 'name_location'"),
        ("""select '"location":1'""", """select '"location":2'"""),
        ("""select '\\"location\\":1'""", """select '\\"location\\":2'"""),
        ("select true", "select false"),
        ("select null", "select ''"),
        ("select 0", "select 1"),
        ("select 1; select 2", "select 2; select 1"),
        ("create table t (a int)", "create table if not exists t (a int)"),
        (
            "create function f() returns int language sql as 'select 1'",
            "create function f() returns int language sql as 'select 1 '",
        ),
        ("comment on table t is 'a'", "comment on table t is 'b'"),
        ("", "select 1"),
    ],
)
def test_what_means_something_changes_the_hash(one, other):
    assert tree_hash(one) != tree_hash(other)


@pytest.mark.parametrize("sql", ["insert into t values (1)", "do $$ begin end $$", "begin", "vacuum", "checkpoint"])
def test_hash_does_not_know_where_a_statement_stands(sql):
    assert tree_hash(sql) == tree_hash(f"\n\n  {sql};\n")


@pytest.mark.parametrize(
    ("sql", "alone"),
    [
        ("create index concurrently i on t (a)", True),
        ("create index i on t (a)", False),
        ("drop index concurrently i", True),
        ("drop index i", False),
        ("reindex table concurrently t", True),
        ("reindex (concurrently, verbose) index i", True),
        ("reindex (concurrently off) index i", False),
        ("reindex index i", False),
        ("reindex schema app", True),
        ("reindex database d", True),
        ("alter table t detach partition p concurrently", True),
        ("alter table t detach partition p", False),
        ("alter table t add column a int", False),
        ("vacuum", True),
        ("vacuum (analyze) t", True),
        ("analyze t", False),
        ("cluster", True),
        ("cluster t using i", False),
        ("create database d", True),
        ("drop database d", True),
        ("alter database d set tablespace s", True),
        ("alter database d connection limit 3", False),
        ("create tablespace s location '/x'", True),
        ("drop tablespace s", True),
        ("alter system set work_mem = '1MB'", True),
        ("create subscription s connection '' publication p", True),
        ("create subscription s connection '' publication p with (connect = false)", False),
        ("create subscription s connection '' publication p with (create_slot = off)", False),
        ("alter subscription s refresh publication", True),
        ("alter subscription s set publication p", True),
        ("alter subscription s add publication p with (refresh = false)", False),
        ("alter subscription s disable", False),
        ("discard all", True),
        ("discard plans", False),
        ("refresh materialized view concurrently v", False),
        ("alter type e add value 'x'", False),
    ],
)
def test_what_may_not_run_in_a_transaction(sql, alone):
    (statement,) = statements(sql)
    assert statement.concurrent is alone


@pytest.mark.parametrize(
    ("sql", "control"),
    [
        ("begin", "BEGIN"),
        ("start transaction read only", "START"),
        ("commit and chain", "COMMIT"),
        ("end", "COMMIT"),
        ("abort", "ROLLBACK"),
        ("savepoint a", "SAVEPOINT"),
        ("release a", "RELEASE"),
        ("rollback to a", "ROLLBACK TO"),
        ("prepare transaction 'a'", "PREPARE"),
        ("rollback prepared 'a'", "ROLLBACK PREPARED"),
        ("do $$ begin commit; end $$", "COMMIT inside DO"),
        ("do $$ begin if a then ROLLBACK; end if; end $$", "ROLLBACK inside DO"),
        ("do 'begin /* x */ -- y\n commit and chain; end'", "COMMIT inside DO"),
        ("do $$ begin perform commit from log; end $$", None),
        ("do $$ begin perform commit; end $$", None),
        ("do $$ begin raise notice 'commit;'; -- commit;\n end $$", None),
        ("do $$ begin execute 'unterminated; end $$", None),
        ("create function f() returns void language plpgsql as 'begin commit; end'", None),
        ("select 1", None),
    ],
)
def test_transaction_control(sql, control):
    (statement,) = statements(sql)
    assert transaction_control(statement) == control


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("select 1;\nselect 'ü', '日本' form x y;", 2, 23, 'syntax error at or near "x"'),
        ("\n\nselect 'never ended", 3, 8, "unterminated quoted string"),
        ("select 1 /* never ended", 1, 10, "unterminated /* comment"),
        ("select (", 1, 9, "syntax error at end of input"),
        ("select 1;\n  \\i other.sql\n", 2, 3, "a psql command"),
        ("\\connect other", 1, 1, "a psql command"),
        ("select :tenant", 1, 8, 'syntax error at or near ":"'),
        ("select 1;\ncopy t (a) from stdin with csv;\n1,2\n\\.\n", 2, 1, "COPY over the client's connection"),
        ("select 1; copy t to stdout", 1, 11, "COPY over the client's connection"),
        ("select 1;\nselect '\0'", 2, 9, "a NUL character"),
        ("selec 1", 1, 1, 'syntax error at or near "selec"'),
    ],
)
def test_errors_have_a_place(text, line, column, message):
    with pytest.raises(SyntaxProblem, match=re.escape(message)) as caught:
        statements(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    shown, caret = caught.value.excerpt.splitlines()
    assert caret.strip() == "^"
    assert shown.replace(" ", "") in text.replace(" ", "").replace("\0", "")


def test_psql_variable_is_explained():
    with pytest.raises(SyntaxProblem) as caught:
        statements("select :tenant")
    assert "psql variables" in caught.value.hint


def test_copy_between_server_files_is_left_to_the_server():
    (statement,) = statements("copy t from '/srv/rows.csv'")
    assert statement.kind == "CopyStmt"


def test_problem_survives_pickling():
    with pytest.raises(SyntaxProblem) as caught:
        statements("selec 1")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.line, again.column, again.excerpt, again.message) == (1, 1, "selec 1\n^", caught.value.message)


def test_long_chains_are_split_and_hashed_but_not_looked_into():
    (statement,) = statements(f"select {'||'.join(['a'] * 5000)}")
    assert statement.kind == "SelectStmt"
    with pytest.raises(SyntaxProblem, match="nested too deeply"):
        tree(statement)


def test_walk_meets_parents_first_and_everything_once():
    (statement,) = statements("select f(a) from t where b = (select 1)")
    kinds = [kind for kind, _ in walk(tree(statement).fields)]
    assert kinds.index("FuncCall") < kinds.index("ColumnRef")
    assert kinds.count("SelectStmt") == 1
    assert kinds.count("ColumnRef") == 2


def test_only_what_postgresql_calls_blank_is_cut_off():
    (statement,) = statements("select 1 as a\N{NO-BREAK SPACE} \n")
    assert statement.sql == "select 1 as a\N{NO-BREAK SPACE}"


def test_literals_that_look_like_the_parsers_own_fields():
    found = statements("""select '"stmt_len":3'; select '{"stmt":{"IndexStmt":{}}}', '"stmt_location":0'""")
    assert [(s.kind, s.offset) for s in found] == [("SelectStmt", 0), ("SelectStmt", 23)]


def test_large_scripts():
    rows = ",\n".join(f"({n}, 'row {n}')" for n in range(30_000))
    found = statements(f"insert into t values {rows};\nselect 1")
    assert [s.line for s in found] == [1, 30_001]
