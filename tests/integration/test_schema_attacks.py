"""Ways to learn of or reach another tenant's rows, tried on our schema and on a planted mistake where they work.

Whoever uses the API runs no SQL of their own; here they do, so that each defence has to hold by itself.
"""

from __future__ import annotations

import psycopg
import pytest

from tests.support.pairs import COUPLE, OWNER, STRANGER, as_user, key
from tests.support.schema import acting_as
from wedsync_db.backup.dump import create_backup
from wedsync_db.errors import BackupError
from wedsync_db.postgres.session import Address, session

errors = psycopg.errors
OURS = "('public', 'app', 'api', 'audit', 'ops')"


# -- views and functions that read as their owner ----------------------------------------------------------------------
LEAKING_VIEWS = f"""
select c.relname from pg_class c
where c.relkind in ('v', 'm') and c.relnamespace::regnamespace::text in {OURS}
  and not exists (select from pg_options_to_table(c.reloptions)
                  where option_name = 'security_invoker' and option_value::boolean)
"""


def test_no_view_reads_as_its_owner(api):
    assert api.execute(LEAKING_VIEWS).fetchall() == []


@pytest.mark.parametrize(
    ("kind", "leaks"), [("view v", True), ("materialized view v", True), ("view v with (security_invoker)", False)]
)
def test_views_that_would(planted, kind, leaks):
    planted.execute(f"create {kind} as select * from public.guests; grant select on v to authenticated")
    assert bool(as_user(planted, STRANGER, "select id from v")) == leaks
    assert bool(planted.execute(LEAKING_VIEWS).fetchall()) == leaks


DEFINERS = f"""
select p.oid::regprocedure::text from pg_proc p
where p.prosecdef and p.pronamespace::regnamespace::text in {OURS}
  and (has_function_privilege('anon', p.oid, 'execute') or has_function_privilege('authenticated', p.oid, 'execute'))
"""
# each answers about the current user alone
MEANT_DEFINERS = {"app.org_ids(text)", "app.wedding_ids(text)", "app.conversation_ids(text)"}


def test_functions_that_run_as_their_owner_are_known(api):
    assert {name for (name,) in api.execute(DEFINERS)} == MEANT_DEFINERS


def test_one_that_returns_rows_would_show_them_all(planted):
    planted.execute(
        "create function public.everybody() returns setof guests language sql security definer"
        " set search_path = pg_catalog, pg_temp as 'select * from public.guests'"
    )
    assert ("everybody()",) in planted.execute(DEFINERS).fetchall()
    assert as_user(planted, STRANGER, "select id from public.everybody()")
    assert as_user(planted, STRANGER, "select id from public.guests") == []


# -- what a query of one's own gets to see before the policy -----------------------------------------------------------
PEEK = """
create function pg_temp.peek(text) returns boolean language plpgsql cost 0.0001
as $$ begin raise notice 'seen: %', $1; return true; end $$
"""
OPERATOR = "create operator pg_temp.~~~ (function = pg_temp.peek, rightarg = text)"
# a condition of a view, other than a policy, is no barrier
UNSAFE = """
create view public.unsafe as
  select * from public.guests where wedding_id = any ((select app.wedding_ids('couple'))::uuid[]);
grant select on public.unsafe to authenticated
"""
OWN, ALIEN = "seen: Of1", "seen: Of2"


@pytest.fixture
def scanned(planted):
    """No index: every row meets every condition, in the order the planner likes."""
    planted.execute("set local enable_indexscan = off")
    planted.execute("set local enable_bitmapscan = off")
    return planted


def _peeked(api, query):
    seen = []

    def handler(notice):
        seen.append(notice.message_primary)

    api.add_notice_handler(handler)
    try:
        with acting_as(api, COUPLE):
            api.execute(PEEK)
            api.execute(OPERATOR)
            api.execute(query)
    finally:
        api.remove_notice_handler(handler)
    return set(seen)


@pytest.mark.parametrize("condition", ["pg_temp.peek(family_name)", "operator(pg_temp.~~~) family_name"])
def test_a_function_of_the_attacker_runs_after_the_policy(scanned, condition):
    query = f"select id from {{}} where {condition}"
    seen = _peeked(scanned, query.format("guests"))
    assert OWN in seen
    assert ALIEN not in seen
    scanned.execute(UNSAFE)
    assert ALIEN in _peeked(scanned, query.format("unsafe"))


def test_so_does_a_division_by_zero(scanned):
    query = "select id from {} where 1 / (family_name <> 'Of2')::int = 1"
    assert as_user(scanned, COUPLE, query.format("guests"))
    scanned.execute(UNSAFE)
    with pytest.raises(errors.DivisionByZero):
        as_user(scanned, COUPLE, query.format("unsafe"))


def test_statistics_show_nothing(planted):
    planted.execute("analyze guests")
    query = "select count(*) > 0 from pg_stats where tablename = 'guests'"
    assert planted.execute(query).fetchone() == (True,)
    assert as_user(planted, COUPLE, query) == [(False,)]
    for table in ("pg_statistic", "pg_statistic_ext_data"):
        with pytest.raises(errors.InsufficientPrivilege):
            as_user(planted, COUPLE, f"select * from {table}")


def test_estimates_count_everybody_which_is_why_the_api_runs_no_sql_of_others(planted):
    planted.execute(
        "insert into client_notes (organization_id, client_id, body)"
        f" select organization_id, id, 'x' from clients, generate_series(1, 2000) where id = '{key('clients', 2)}'"
    )
    planted.execute("analyze client_notes")
    notes = f"client_notes where organization_id = '{key('organizations', 2)}'"
    assert as_user(planted, OWNER, f"select count(*) from {notes}") == [(0,)]
    ((plan,),) = as_user(planted, OWNER, f"explain (analyze, timing off, format json) select id from {notes}")
    assert plan[0]["Plan"]["Plan Rows"] > 1000  # nothing keeps that from who may ask: nobody may

    dynamic = (
        f"select p.oid::regprocedure::text from pg_proc p, unnest(array['anon', 'authenticated']) as r"
        f" where p.pronamespace::regnamespace::text in {OURS} and has_function_privilege(r, p.oid, 'execute')"
        r" and (p.prosrc ~* '\mexecute\M' or p.prosrc ~* '\mexplain\M')"
    )
    assert planted.execute(dynamic).fetchall() == []


def test_copy_goes_through_the_policies_or_not_at_all(api):
    for source in ("guests", "(select * from guests)"):
        with acting_as(api, STRANGER), api.cursor().copy(f"copy {source} to stdout") as copy:
            assert list(copy) == []
    with acting_as(api, COUPLE), api.cursor().copy("copy guests (family_name) to stdout") as copy:
        assert {bytes(line) for line in copy} == {b"Of1\n", b"\n"}
    with (
        pytest.raises(errors.FeatureNotSupported),
        acting_as(api, COUPLE),
        api.cursor().copy("copy guests (wedding_id, given_name) from stdin") as copy,
    ):
        copy.write_row([key("weddings", 2), "Mallory"])


def test_no_sequence_counts_for_others(planted):
    granted = (
        "select c.relname from pg_class c, unnest(array['anon', 'authenticated', 'service_role']) as r"
        f" where c.relkind = 'S' and c.relnamespace::regnamespace::text in {OURS}"
        " and has_sequence_privilege(r, c.oid, 'select, usage, update')"
    )
    assert planted.execute(granted).fetchall() == []
    planted.execute("create table public.counted (n int generated always as identity)")
    planted.execute("grant select on sequence public.counted_n_seq to authenticated")
    assert planted.execute(granted).fetchall() == [("counted_n_seq",)]
    assert as_user(planted, STRANGER, "select last_value from public.counted_n_seq") == [(1,)]


def test_a_partition_named_directly_does_not_go_around_the_policy(planted):
    ((part,),) = planted.execute("select audit.ensure_partitions((now() at time zone 'UTC')::date, 1)").fetchall()
    planted.execute("update organizations set name = name || '!'")
    entries = "select distinct organization_id::text from audit.{} where organization_id is not null"
    own, alien = ((key("organizations", n),) for n in (1, 2))
    assert as_user(planted, OWNER, entries.format("log")) == [own]
    for table in (part, "log_default"):
        with pytest.raises(errors.InsufficientPrivilege):
            as_user(planted, OWNER, entries.format(table))
    planted.execute(f"grant select on audit.{part} to authenticated")  # one barrier down, and then the other
    assert as_user(planted, OWNER, entries.format(part)) == []
    planted.execute(f"alter table audit.{part} disable row level security")
    assert set(as_user(planted, OWNER, entries.format(part))) == {own, alien}


# -- what is refused looks like what does not exist --------------------------------------------------------------------
BOOK = "insert into bookings (organization_id, resource_id, during) values"


@pytest.mark.parametrize(
    "statement", ["update tasks set title = 'x' where id = '{}'", "delete from tasks where id = '{}'"]
)
def test_a_foreign_row_and_none_are_changed_alike(api, statement):
    for number, rows in ((1, 1), (2, 0), (99, 0)):
        with acting_as(api, OWNER):
            assert api.execute(statement.format(key("tasks", number))).rowcount == rows


@pytest.mark.parametrize(
    ("user", "statement"),
    [
        (
            OWNER,
            f"insert into forms (organization_id, title, slug) values ('{key('organizations', 1)}', 'x', 'form-1')",
        ),
        (OWNER, "update clients set email = 'UPPER@example.com'"),
        (OWNER, "update clients set name = null"),
        (OWNER, f"delete from clients where id = '{key('clients', 1)}'"),
        (OWNER, f"{BOOK} ('{key('organizations', 1)}', '{key('resources', 1)}', '[2099-06-12 11:00Z, 2099-06-13)')"),
        (COUPLE, f"delete from guests where id = '{key('guests', 1)}'"),
    ],
)
def test_a_refusal_quotes_no_values(api, user, statement):
    def detail():
        with pytest.raises(errors.IntegrityError) as caught:
            api.execute(statement)
        return caught.value.diag.message_detail or ""

    with acting_as(api, user):
        assert "(" not in detail()
    with api.transaction(force_rollback=True):  # the owner gets them: it is the policies that hide them
        assert "(" in detail()


# -- dumps -------------------------------------------------------------------------------------------------------------
def test_a_backup_by_a_role_that_policies_bind_is_refused(api, clusters, request, tmp_path):
    cluster = clusters(request.node.callspec.params["api"])
    with session(cluster.address(api.info.dbname), "test-admin") as admin:
        admin.execute("create role half_blind login password 'not-a-secret' in role pg_read_all_data")
        try:
            reader = Address(str(cluster.socket), cluster.port, api.info.dbname, "half_blind", "not-a-secret")
            with session(reader, "test") as connection:  # what `pg_dump --enable-row-security` would make of it
                assert connection.execute("select count(*) from public.guests").fetchone() == (0,)
            with pytest.raises(BackupError, match="half_blind does not see all rows"):
                create_backup(reader, tmp_path, environment="demo")
        finally:
            admin.execute("drop role half_blind")
