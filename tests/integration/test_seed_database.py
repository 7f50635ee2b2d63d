"""Filling a database: the same content everywhere, never into somebody's data, all or nothing."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest
from psycopg import sql

from tests.support.majors import MAJORS, every_major
from tests.support.schema import MIGRATIONS, TABLES, UPTO_WEDDINGS, deploy, owned_database, tables_of
from wedsync_db.errors import Refused, UsageError, WedsyncError
from wedsync_db.installation import CHECKOUT
from wedsync_db.postgres.session import session
from wedsync_db.seed import seed
from wedsync_db.seed.rows import COLUMNS

FIRST_TABLES = tables_of(*UPTO_WEDDINGS)
# what the rows hash to, whatever the server, the machine and the run: of seed 1 with 8 suppliers, and of the small size
EXPECTED, EXPECTED_SMALL = "928fc602b2cdd99619d1dd97c305add3", "b4eea4b7190b9146a222ad11f947d675"
LEAVES = (
    "invitations",
    "api_keys",
    "refunds",
    "files",
    "consents",
)  # logged, never changed, and nothing points at them


def _fill(address, **more):
    said, shares = [], []
    wanted = more if "size" in more else {"organizations": 8, "seed": 1} | more
    rows = seed(address, **wanted, say=said.append, progress=shares.append)
    return rows, said, shares


def _hash(connection, tables):
    """Over the text of all rows in the order of their keys."""
    text = sql.SQL(" || ").join(
        sql.SQL("(select coalesce(string_agg(md5(t::text), '' order by id), '') from {} as t)").format(
            sql.Identifier(*name.split("."))
        )
        for name in tables
    )
    with connection.transaction(force_rollback=True):
        connection.execute("set local timezone = 'UTC'; set local datestyle = 'ISO'")
        return connection.execute(sql.SQL("select md5({})").format(text)).fetchone()[0]


def _counted(connection, tables):
    return {t: connection.execute(f"select count(*) from {t}").fetchone()[0] for t in tables}


@every_major
def test_the_same_everywhere(cluster):
    with owned_database(cluster) as address, session(address, "test") as connection:
        connection.execute(f"alter database {address.dbname} set timezone = 'Australia/Sydney'")
        connection.execute(f"alter database {address.dbname} set datestyle = 'SQL, DMY'")
        deploy(connection, *UPTO_WEDDINGS)
        rows, said, shares = _fill(address)
        assert _hash(connection, FIRST_TABLES) == EXPECTED
        counted = _counted(connection, FIRST_TABLES)
    assert rows == counted
    assert "none of 0006_crm, 0007_guests" in said[0]
    assert f"{sum(rows.values()):,} rows" in said[-1]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_hundred_and_twenty_suppliers_are_fifty_thousand_rows(db, address):
    deploy(db, *UPTO_WEDDINGS)
    rows, _, shares = _fill(address, organizations=120)
    assert rows["organizations"] == 120
    assert sum(rows.values()) >= 50_000
    assert len(shares) > 4
    analyzed = db.execute(
        "select bool_and(reltuples >= 0) from pg_class where relname = any (%s)", [list(FIRST_TABLES)]
    )
    assert analyzed.fetchone() == (True,)


def test_never_on_top_of_other_rows(db, address):
    deploy(db, *UPTO_WEDDINGS)
    db.execute("insert into weddings (title, wedding_date, time_zone) values ('Real', '2099-06-12', 'Europe/London')")
    with pytest.raises(Refused, match=r"public\.weddings already holds rows"):
        _fill(address)
    assert db.execute("select count(*) from organizations").fetchone() == (0,)


def test_not_before_the_tables_are_there(db, address):
    deploy(db, *UPTO_WEDDINGS[:3])
    with pytest.raises(Refused, match=r"no table public\.weddings") as caught:
        _fill(address)
    assert "0004_weddings" in caught.value.hint


def test_not_with_half_of_a_migration(db, address):
    deploy(db, *MIGRATIONS)
    db.execute("drop table public.seat_assignments")
    with pytest.raises(Refused, match=r"no table public\.seat_assignments") as caught:
        _fill(address)
    assert "0007_guests" in caught.value.hint


def test_not_while_the_platform_takes_no_writes(db, address):
    deploy(db, *MIGRATIONS)
    db.execute("select ops.set_write_gate('read_only', 'an incident')")
    with pytest.raises(WedsyncError, match="takes no writes") as caught:
        _fill(address)
    assert caught.value.sqlstate == "WS002"


@pytest.mark.parametrize("wanted", [{"organizations": 0}, {"size": "huge"}, {"size": "small", "organizations": 3}, {}])
def test_it_has_to_be_clear_how_much(address, wanted):
    with pytest.raises(UsageError):
        seed(address, **wanted, say=print, progress=print)


def test_a_row_that_is_refused_takes_everything_back_and_is_not_shown(db, address):
    deploy(db, *UPTO_WEDDINGS)
    db.execute("alter table timeline_items add constraint early check (title <> 'Speeches')")
    with pytest.raises(WedsyncError, match="violates check constraint") as caught:
        _fill(address)
    assert caught.value.sqlstate == "23514"
    assert "Speeches" not in str(caught.value)
    assert db.execute("select count(*) from organizations").fetchone() == (0,)


def test_whoever_may_not_see_all_rows_is_refused(cluster):
    with owned_database(cluster) as address, session(cluster.address(address.dbname), "test-admin") as admin:
        deploy(admin, *UPTO_WEDDINGS)  # the tables belong to somebody else
        admin.execute("grant insert, select, update on all tables in schema public to case_deployer")
        admin.execute("alter role case_deployer nobypassrls")
        try:
            with pytest.raises(WedsyncError, match="row-level security") as caught:
                _fill(address)
        finally:
            admin.execute("alter role case_deployer bypassrls")
        assert caught.value.sqlstate == "42501"


# -- all tables --------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module", params=MAJORS)
def small(clusters, request):
    """The small size in all tables, owned by an ordinary role; before, one trigger was off and one always on."""
    with owned_database(clusters(request.param)) as address, session(address, "test") as connection:
        deploy(connection, *MIGRATIONS)
        connection.execute("alter table guests disable trigger touch")
        connection.execute("alter table guests enable always trigger keep_tenant")
        before = _triggers(connection)
        rows, _, shares = _fill(address, size="small")
        yield address, connection, rows, shares, before


def _triggers(connection):
    return connection.execute("select tgrelid::regclass, tgname, tgenabled from pg_trigger order by 1, 2").fetchall()


def _logged(connection, relation, operation, at):
    return connection.execute(
        "select row_key, organization_id, wedding_id, changes from audit.log"
        f" where relation = %s and operation = %s and transaction_id {at} '0' order by row_key",
        [f"public.{relation}", operation],
    ).fetchall()


def test_every_table_holds_the_rows_that_were_said(small):
    _, connection, rows, shares, _ = small
    assert set(COLUMNS) == set(TABLES)
    assert rows == _counted(connection, rows)
    assert set(rows) == {*TABLES, "audit.log"}
    assert all(rows.values())
    assert 9_000 < sum(rows.values()) < 13_000
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_all_tables_are_the_same_everywhere(small):
    _, connection, *_ = small
    assert _hash(connection, (*TABLES, "audit.log")) == EXPECTED_SMALL


def test_the_triggers_act_again_as_they_did_before(small):
    _, connection, _, _, before = small
    assert _triggers(connection) == before
    assert {state for _, _, state in before} == {"O", "D", "A"}
    with pytest.raises(psycopg.errors.Error) as caught:
        connection.execute("update guests set wedding_id = (select id from weddings order by id desc limit 1)")
    assert caught.value.sqlstate == "WS003"


def test_all_constraints_hold(small):
    """They were checked row by row; here once more, from the rows that are there."""
    _, connection, *_ = small
    assert connection.execute("select bool_and(convalidated) from pg_constraint").fetchone() == (True,)
    with connection.transaction(force_rollback=True):
        found = connection.execute(
            "select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint"
            " where contype in ('c', 'f') and connamespace = 'public'::regnamespace and conparentid = 0"
        ).fetchall()
        assert len(found) > 200
        for table, name, definition in found:
            connection.execute(f'alter table {table} drop constraint "{name}"')
            connection.execute(f'alter table {table} add constraint "{name}" {definition}')


def test_a_second_run_is_refused(small):
    address, *_ = small
    with pytest.raises(Refused, match="already holds rows"):
        _fill(address, size="small")


def test_the_log_is_what_the_triggers_write(small):
    """Rows that nothing points at are taken out and put in again: the triggers log the same as the generator did."""
    _, connection, *_ = small
    for table in LEAVES:
        with connection.transaction(force_rollback=True):
            made_up = _logged(connection, table, "INSERT", "=")
            assert made_up
            connection.execute(f"create temp table kept on commit drop as select * from {table}")
            connection.execute(f"delete from {table}")
            connection.execute(f"insert into {table} select * from kept")
            assert _logged(connection, table, "INSERT", "<>") == made_up


def test_the_log_of_a_change_is_what_the_triggers_write(small):
    _, connection, *_ = small
    with connection.transaction(force_rollback=True):
        made_up = _logged(connection, "forms", "UPDATE", "=")
        assert made_up
        connection.execute(
            "create temp table kept on commit drop as select id, status, published_version_id from forms"
        )
        connection.execute("update forms set status = 'draft', published_version_id = null")
        connection.execute(
            "alter table audit.log disable trigger all; delete from audit.log where transaction_id <> '0'"
        )
        connection.execute(
            "update forms as f set status = k.status, published_version_id = k.published_version_id from kept as k"
            " where k.id = f.id"
        )
        assert _logged(connection, "forms", "UPDATE", "<>") == made_up


def test_the_events_of_the_provider_lead_to_these_payments(small):
    """All money is taken back to where it began; then the events come again, one by one, through the functions."""
    _, connection, *_ = small
    with connection.transaction(force_rollback=True):
        before = _money(connection)
        connection.execute(
            """
            alter table invoices disable trigger user; alter table payments disable trigger user;
            alter table refunds disable trigger user; alter table subscriptions disable trigger user;
            create temp table told on commit drop as select * from stripe_events;
            delete from stripe_events; delete from refunds;
            update payments set status = 'pending', refunded_minor = 0, disputes = '{}', failure_reason = null;
            update invoices set status = 'issued', paid_minor = 0 where status = 'paid';
            update subscriptions
               set status = 'trialing', provider_event_at = null, current_period_end = null,
                   provider_subscription_id = null
             where plan = 'pro';
            alter table invoices enable trigger user; alter table payments enable trigger user;
            alter table refunds enable trigger user; alter table subscriptions enable trigger user;
            """
        )
        assert _money(connection) != before
        connection.execute(
            "select e.*"
            " from (select * from told order by received_at, event_id) as t"
            " cross join lateral api.receive_payment_event(t.event_id, t.type, t.payload, t.received_at) as e"
        )
        assert _money(connection) == before


def _money(connection):
    """What follows from the events, without keys and times of our own."""
    return [
        connection.execute(f"select {columns} from {table} order by {columns}").fetchall()
        for table, columns in (
            ("invoices", "number, organization_id, status, net_minor, tax_minor, total_minor, paid_minor"),
            ("payments", "id, status, refunded_minor, disputes::text, failure_reason"),
            ("refunds", "provider_refund_id, payment_id, status, amount_minor, currency, reason"),
            ("subscriptions", "id, status, provider_subscription_id, provider_event_at, current_period_end"),
            (
                "stripe_events",
                "event_id, type, payload, organization_id, provider_payment_id, outcome, reason, processed_at",
            ),
        )
    ]


def test_issuing_the_invoices_again_comes_to_the_same_amounts(small):
    _, connection, *_ = small
    amounts = "select id, net_minor, tax_minor, total_minor from invoices where status <> 'void' order by id"
    with connection.transaction(force_rollback=True):
        before = connection.execute(amounts).fetchall()
        connection.execute(
            """
            create temp table drafts on commit drop as select id from invoices where status = 'draft';
            alter table invoices disable trigger user;
            update invoices
               set status = 'draft', net_minor = 0, tax_minor = 0, total_minor = 0, paid_minor = 0, issued_at = null
             where status <> 'void';
            alter table invoices enable trigger user;
            update invoices set status = 'issued' where status = 'draft' and id not in (select id from drafts);
            """
        )
        assert connection.execute(amounts).fetchall() == before


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_memory_does_not_grow_with_the_size(cluster):
    """Medium is 27 times small."""
    peaks = {}
    for size in ("small", "medium"):
        with owned_database(cluster) as address, session(address, "test", statement_timeout_ms=0) as connection:
            deploy(connection, *MIGRATIONS)
            program = (
                "import resource, sys\n"
                "from wedsync_db.postgres.session import Address\n"
                "from wedsync_db.seed import seed\n"
                "host, port, dbname, user, password, size = sys.argv[1:]\n"
                "address = Address(host, int(port), dbname, user, password)\n"
                "rows = seed(address, size=size, say=lambda _: None, progress=lambda _: None)\n"
                "print(sum(rows.values()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
            )
            who = (address.host, str(address.port), address.dbname, address.user, address.password, size)
            ran = subprocess.run(
                [sys.executable, "-c", program, *who], cwd=CHECKOUT, check=True, capture_output=True, text=True
            )
            rows, peaks[size] = map(int, ran.stdout.split())
            assert rows == sum(_counted(connection, (*TABLES, "audit.log")).values())
    assert rows > 270_000
    assert peaks["medium"] < peaks["small"] + 24_000  # KiB
