"""The audit log: who changed what is written whatever the way, nothing personal is, and nobody reads or bends it."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.case import ROLE
from tests.support.majors import MAJORS
from tests.support.schema import MIGRATIONS, TABLES, acting_as, catalog, owned_schema, run

errors = psycopg.errors
AUDIT = next(folder for folder in MIGRATIONS if folder.name == "0013_audit")


def key(n: int) -> str:
    return f"00000000-0000-4000-8000-{n:012}"


ORG, OTHER, ADMIN, VIEWER, STRANGER, CLIENT, WEDDING = (key(n) for n in range(1, 8))
ROWS = f"""
insert into organizations (id, name, slug, category, time_zone) values
  ('{ORG}', 'Lens', 'lens', 'photographer', 'UTC'), ('{OTHER}', 'Barn', 'barn', 'venue', 'UTC');
insert into profiles (id, email, display_name) values
  ('{ADMIN}', 'admin@example.com', 'Ada'), ('{VIEWER}', 'v@example.com', 'Vic'), ('{STRANGER}', 's@example.com', 'Sam');
insert into memberships (organization_id, profile_id, role) values
  ('{ORG}', '{ADMIN}', 'owner'), ('{ORG}', '{VIEWER}', 'member'), ('{OTHER}', '{STRANGER}', 'owner');
insert into weddings (id, title, wedding_date, time_zone) values ('{WEDDING}', 'w', '2099-06-12', 'UTC');
"""
ADD_CLIENT = f"insert into clients (id, organization_id, name) values ('{CLIENT}', '{ORG}', 'Zoe')"


@pytest.fixture(scope="module", params=MAJORS)
def deployed(clusters, request):
    """As superuser, who can become service_role; the schema is the ordinary owner's."""
    with owned_schema(clusters(request.param)) as connection:
        yield connection


@pytest.fixture
def db(deployed):
    """Two suppliers, and an empty log; what the test does is taken back."""
    with deployed.transaction(force_rollback=True):
        deployed.execute(ROWS)
        deployed.execute("delete from audit.log")
        yield deployed


def log(db, *columns):
    return db.execute(f"select {', '.join(columns)} from audit.log order by id").fetchall()


# -- what is written ---------------------------------------------------------------------------------------------------
def test_each_operation_is_written_with_what_changed_and_nobody_s_name(db):
    db.execute(ADD_CLIENT)
    db.execute("update clients set stage = 'booked', name = 'Zoe Zed', phone = '7'")
    db.execute("delete from clients")
    made, changed, gone = log(db, "operation", "relation", "row_key::text", "organization_id::text", "changes")
    assert made[:4] == ("INSERT", "public.clients", CLIENT, ORG)
    assert changed[:4] == ("UPDATE", "public.clients", CLIENT, ORG)
    assert gone[:4] == ("DELETE", "public.clients", CLIENT, ORG)
    assert made[4].pop("created_at")
    assert made[4] == {"id": CLIENT, "organization_id": ORG, "name": "<pii>", "stage": "lead"}
    assert changed[4] == {"stage": ["lead", "booked"], "name": "<pii>", "phone": "<pii>"}
    assert gone[4].keys() == {"id", "organization_id", "name", "phone", "stage", "created_at"}
    assert "Zoe" not in str((made, changed, gone))


def test_secrets_are_not_written_either(db):
    db.execute(
        "insert into api_keys (organization_id, name, prefix, secret_hash) values (%s, 'k', 'abcd1234', sha256('s'))",
        [ORG],
    )
    [(changes,)] = log(db, "changes")
    assert (changes["secret_hash"], changes["name"], changes["prefix"]) == ("<secret>", "<pii>", "abcd1234")


def test_what_changes_nothing_is_not_written(db):
    db.execute("update organizations set name = name")
    db.execute("update clients set stage = 'booked'")
    assert log(db, "changes") == []


def test_the_tenants_are_told(db):
    db.execute("update organizations set name = 'New' where id = %s", [ORG])
    db.execute("update weddings set title = 'New'")
    db.execute("update profiles set locale = 'de' where id = %s", [ADMIN])
    vendor = "insert into wedding_vendors (wedding_id, organization_id, category) values (%s, %s, 'venue')"
    db.execute(vendor, [WEDDING, ORG])
    assert log(db, "organization_id::text", "wedding_id::text") == [
        (ORG, None),
        (None, WEDDING),
        (None, None),
        (ORG, WEDDING),
    ]


def test_a_row_whose_key_changes_is_gone_and_there(db):
    db.execute(ADD_CLIENT)
    db.execute("update clients set id = %s", [key(99)])
    assert {(k, changes["id"][0], changes["id"][1]) for k, changes in log(db, "row_key::text", "changes")[1:]} == {
        (CLIENT, CLIENT, None),
        (key(99), None, key(99)),
    }


def test_what_a_foreign_key_does_is_written(db):
    db.execute(
        "insert into clients (organization_id, name, assigned_to)"
        " select organization_id, 'x', id from memberships where profile_id = %s",
        [VIEWER],
    )
    db.execute("delete from memberships where profile_id = %s", [VIEWER])
    assert set(log(db, "relation", "operation")) == {
        ("public.clients", "INSERT"),
        ("public.memberships", "DELETE"),
        ("public.clients", "UPDATE"),
    }


def test_who_and_how(db):
    with acting_as(db, ADMIN):
        db.execute("update organizations set name = 'by admin' where id = %s", [ORG])
        db.execute("set local role none")
        assert log(db, "actor::text", "db_role") == [(ADMIN, "authenticated")]
    with acting_as(db, None, "service_role"):
        db.execute("update organizations set name = 'by server' where id = %s", [ORG])
        db.execute("select api.erase_person(%s, null, now())", [STRANGER])
        db.execute("set local role none")
        assert set(log(db, "actor", "db_role")) == {(None, "service_role")}
    db.execute("update organizations set name = 'by hand' where id = %s", [ORG])
    assert log(db, "db_role", "transaction_id = pg_current_xact_id()") == [(db.info.user, True)]


def test_a_bulk_statement_is_written_row_by_row(db):
    db.execute("insert into clients (organization_id, name) select %s, n::text from generate_series(1, 20000) n", [ORG])
    db.execute("update clients set stage = case when name::int %% 2 = 0 then 'lost' else stage end", [])
    db.execute("delete from clients where stage = 'lost'")
    counted = db.execute("select operation, count(*), count(distinct row_key) from audit.log group by 1 order by 1")
    assert counted.fetchall() == [("DELETE", 10000, 10000), ("INSERT", 20000, 20000), ("UPDATE", 10000, 10000)]
    assert db.execute("select distinct changes from audit.log where operation = 'UPDATE'").fetchall() == [
        ({"stage": ["lead", "lost"]},)
    ]


NOT_LOGGED = {  # they say themselves who and when, and would bury everything else
    "wedding_events", "timeline_items", "client_notes", "tasks", "rsvps", "seating_tables", "seat_assignments",
    "form_versions", "form_drafts", "form_submissions", "stripe_events", "conversations", "messages", "notifications",
}  # fmt: skip


def test_every_table_is_logged_or_named_as_not(db):
    logged = db.execute(
        "select distinct tgrelid::regclass::text from pg_trigger where tgfoid = 'audit.write()'::regprocedure"
    )
    assert {name for (name,) in logged if "." not in name} == set(TABLES) - NOT_LOGGED


# -- who reads ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def entries(db):
    """An entry of each supplier, of a profile, and of a wedding; in a month's partition and in the default."""
    db.execute("select audit.ensure_partitions(current_date - 40, 3)")
    db.execute(
        "update organizations set name = 'New'; update weddings set title = 'New'; update profiles set locale = 'de'"
    )
    db.execute("""insert into audit.log (happened_at, organization_id, db_role, relation, operation, row_key, changes)
        values ('1999-01-01', %s, 'x', 'x', 'UPDATE', %s, '{}')""", [ORG, ORG])  # fmt: skip
    assert {name for (name,) in log(db, "tableoid::regclass::text")} > {"audit.log_default"}
    return db


@pytest.mark.parametrize(("user", "rows"), [(ADMIN, 2), (VIEWER, 0), (STRANGER, 1), (key(77), 0), (None, 0)])
def test_admins_read_the_entries_of_their_supplier(entries, user, rows):
    with acting_as(entries, user):
        found = log(entries, "organization_id::text")
    assert len(found) == rows
    assert {organization for (organization,) in found} <= {ORG if user == ADMIN else OTHER}


def test_the_server_side_reads_all_and_anon_nothing(entries):
    entries.execute("alter role service_role bypassrls")  # up to 15 the ordinary owner could not
    with acting_as(entries, None, "service_role"):
        assert len(log(entries, "id")) == 7
    with acting_as(entries, ADMIN, "anon"), pytest.raises(errors.InsufficientPrivilege):
        log(entries, "id")


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_a_partition_that_is_named_gives_nothing(entries, role):
    partitions = {name for (name,) in log(entries, "tableoid::regclass::text")}
    assert len(partitions) == 2
    for partition in partitions:
        with acting_as(entries, ADMIN, role), pytest.raises(errors.InsufficientPrivilege):
            entries.execute(f"select from {partition}")


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
@pytest.mark.parametrize(
    "statement",
    [
        "insert into audit.log (db_role, relation, operation, row_key, changes) values ('', '', '', %(key)s, '{}')",
        "update audit.log set changes = '{}'",
        "delete from audit.log",
        "truncate audit.log",
        "delete from audit.log_default",
        "select audit.ensure_partitions('2027-01-01', 1)",
        "select audit.drop_partitions_before('2100-01-01')",
        "select audit.masks('public.clients')",
        "select audit.write()",
        "create table audit.more ()",
        "alter table organizations disable trigger audit_update",
        "create trigger more after insert on organizations for each statement execute function audit.write()",
        "set session_replication_role = replica",
    ],
)
def test_nobody_bends_it(entries, role, statement):
    with acting_as(entries, ADMIN, role), pytest.raises(errors.InsufficientPrivilege):
        entries.execute(statement, {"key": CLIENT})


def test_a_table_of_the_same_name_takes_nothing(db):
    """The trigger's own rows are not those of a temporary table, nor does its log go into one."""
    with acting_as(db, ADMIN):
        db.execute("create temp table new_rows (id uuid, name text); create temp table log (changes jsonb)")
        db.execute("create temp table personal_data (relation text)")
        db.execute("set local search_path = pg_temp, public")
        db.execute("insert into clients (organization_id, name) values (%s, 'Zoe')", [ORG])
        db.execute("set local role none")
        [(relation, changes)] = db.execute("select relation, changes from audit.log").fetchall()
        assert (relation, changes["name"]) == ("public.clients", "<pii>")


# -- partitions --------------------------------------------------------------------------------------------------------
def entry_at(db, moment):
    db.execute(
        "insert into audit.log (happened_at, db_role, relation, operation, row_key, changes)"
        " values (%s, 'x', 'x', 'UPDATE', app.uuid_v7(), '{}')",
        [moment],
    )


def ensure(db, month, months):
    return [name for (name,) in db.execute("select audit.ensure_partitions(%s, %s)", [month, months])]


def test_months_are_made_over_the_year_s_end_and_once(db):
    assert ensure(db, "2030-11-17", 3) == ["log_2030_11", "log_2030_12", "log_2031_01"]
    assert ensure(db, "2030-12-01", 3) == ["log_2031_02"]
    assert ensure(db, "2030-11-01", 4) == []
    for moment in ("2030-11-01 00:00Z", "2030-11-30 23:59:59.999999Z", "2031-01-01 00:00Z", "2031-03-01 00:00Z"):
        entry_at(db, moment)
    places = db.execute("select tableoid::regclass::text from audit.log order by happened_at").fetchall()
    assert [name for (name,) in places] == [
        "audit.log_2030_11",
        "audit.log_2030_11",
        "audit.log_2031_01",
        "audit.log_default",
    ]


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/Los_Angeles"])
def test_a_month_begins_at_the_same_time_whatever_the_session_s_zone(db, zone):
    db.execute(f"set local timezone = '{zone}'")
    ensure(db, "2031-01-01", 1)
    db.execute("set local timezone = 'UTC'")
    bounds = "select pg_get_expr(relpartbound, oid) from pg_class where relname = 'log_2031_01'"
    assert db.execute(bounds).fetchone() == (
        "FOR VALUES FROM ('2031-01-01 00:00:00+00') TO ('2031-02-01 00:00:00+00')",
    )


def test_what_the_default_took_moves_along(db):
    for moment in ("2030-12-31 23:59:59Z", "2031-01-01 00:00Z", "2031-01-31 23:59:59Z", "2031-02-01 00:00Z"):
        entry_at(db, moment)
    before = log(db, "*")
    ensure(db, "2031-01-01", 1)
    assert log(db, "*") == before
    assert db.execute("select count(*) from audit.log_2031_01").fetchone() == (2,)
    assert db.execute("select count(*) from audit.log_default").fetchone() == (2,)


def test_a_new_partition_is_closed_even_where_the_defaults_are_open(db):
    db.execute(f"set local role {ROLE}")
    db.execute("alter default privileges in schema audit grant all on tables to anon, authenticated, service_role")
    ensure(db, "2031-01-01", 1)
    db.execute("set local role none")
    assert db.execute("select relrowsecurity from pg_class where relname = 'log_2031_01'").fetchone() == (True,)
    grants = "select count(*) from pg_class, aclexplode(relacl) where relname = 'log_2031_01' and grantee <> relowner"
    assert db.execute(grants).fetchone() == (0,)
    indexes = "select count(*) from pg_index where indrelid = %s::regclass and indisvalid"
    assert db.execute(indexes, ["audit.log_2031_01"]).fetchone() == db.execute(indexes, ["audit.log"]).fetchone()


def test_a_night_s_work_is_no_change_of_the_schema(db):
    db.execute(f"set local role {ROLE}")
    before = catalog(db)
    ensure(db, "2031-01-01", 3)
    assert before.change_to(catalog(db)).objects == {}
    db.execute("alter table audit.log_2031_01 disable row level security")
    assert "table:audit.log_2031_01" in before.change_to(catalog(db)).objects


@pytest.mark.parametrize("arguments", ["null, 1", "'2031-01-01', 0", "'2031-01-01', 121", "'2031-01-01', null"])
def test_months_that_make_no_sense_are_refused(db, arguments):
    with pytest.raises(errors.InvalidParameterValue):
        db.execute(f"select audit.ensure_partitions({arguments})")


def test_retention_drops_whole_months_and_never_the_default(db):
    entry_at(db, "1999-01-01 00:00Z")
    ensure(db, "2030-11-01", 4)
    db.execute("create table audit.log_2030_10 partition of audit.log"
               " for values from ('2030-10-01 00:00Z') to ('2030-11-01 00:00Z')")  # fmt: skip
    for month in ("2030-10", "2030-11", "2030-12", "2031-01"):
        entry_at(db, f"{month}-15 00:00Z")
    drop = "select audit.drop_partitions_before(%s)"
    assert db.execute(drop, ["2031-01-31"]).fetchall() == [("log_2030_11",), ("log_2030_12",)]
    assert db.execute(drop, ["2031-01-31"]).fetchall() == []
    assert db.execute(drop, [None]).fetchall() == []
    kept = db.execute("select to_char(happened_at at time zone 'UTC', 'YYYY-MM') from audit.log order by 1").fetchall()
    assert [month for (month,) in kept] == ["1999-01", "2030-10", "2031-01"]


def test_the_revert_keeps_the_entries(db):
    entry_at(db, "1999-01-01 00:00Z")
    with pytest.raises(errors.Error) as refused:
        run(db, AUDIT, "revert")
    assert refused.value.sqlstate == "WS006"
