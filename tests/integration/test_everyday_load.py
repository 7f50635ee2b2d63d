"""A working day: drafts saved all the time, long guest lists, several suppliers at one wedding, busy resources."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.support.majors import MAJORS
from tests.support.pairs import COUPLE, OWNER, key, pairs
from tests.support.schema import acting_as
from wedsync_db.postgres.session import session

errors = psycopg.errors


@pytest.fixture(scope="module", params=MAJORS)
def api(clusters, request):
    with pairs(clusters(request.param)) as connection:
        yield connection


@pytest.fixture
def others(api, clusters, request):
    """Two more sessions in the same database."""
    address = clusters(request.node.callspec.params["api"]).address(api.info.dbname)
    with session(address, "test") as one, session(address, "test") as two:
        yield one, two


@contextmanager
def signed_in(connection, user):
    """As `acting_as`, but what is done stays."""
    with connection.transaction():
        connection.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps({"sub": user})])
        connection.execute("set local role authenticated")
        yield


# -- drafts ------------------------------------------------------------------------------------------------------------
SAVE = "update form_drafts set answers = %s, seq = seq + 1 where id = %s and seq = %s"
NEW = "insert into form_drafts (organization_id, form_id, answers) values (%s, %s, %s) returning id"
DRAFTS, SAVES = 12, 25


def _answers(size):
    """Answers of about so many bytes, 50 to a question."""
    return Jsonb(
        {f"question-{n:03}": "St Mary's Church, at half past noon"[: size - n * 50] for n in range(size // 50)}
    )


def _updates(connection):
    connection.execute("select pg_stat_force_next_flush()")
    connection.execute("select pg_stat_clear_snapshot()")
    return connection.execute(
        "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'form_drafts'"
    ).fetchone()


def _type_all_day(connection, begin, end):
    """How many saves there were, and how many of them touched no index, while all drafts grew between these sizes."""
    with signed_in(connection, OWNER):
        new = [key("organizations", 1), key("forms", 1), _answers(begin)]
        drafts = [connection.execute(NEW, new).fetchone()[0] for _ in range(DRAFTS)]
    before = _updates(connection)
    for n in range(SAVES):
        answers = _answers(begin + (end - begin) * (n + 1) // SAVES)
        for draft in drafts:
            with signed_in(connection, OWNER):
                assert connection.execute(SAVE, [answers, draft, n]).rowcount == 1
    after = _updates(connection)
    # the next test, whichever it is, finds pages without these
    connection.execute("delete from form_drafts where id = any (%s)", [drafts])
    connection.execute("vacuum form_drafts")
    return tuple(now - earlier for now, earlier in zip(after, before, strict=True))


ALL = DRAFTS * SAVES


def test_saving_a_draft_touches_no_index(api):
    assert _type_all_day(api, 1000, 1250) == (ALL, ALL)


def test_one_that_grows_out_of_its_page_does_so_rarely(api):
    updated, hot = _type_all_day(api, 0, 2000)
    assert updated == ALL
    assert hot >= 0.9 * ALL


def test_an_index_on_what_changes_would_cost_that(api):
    api.execute("create index careless on form_drafts (updated_at)")
    try:
        assert _type_all_day(api, 1000, 1250) == (ALL, 0)
    finally:
        api.execute("drop index careless")


def test_the_slower_of_two_writers_is_told(api):
    draft = key("form_drafts", 1)
    with acting_as(api, OWNER):
        (seq,) = api.execute("select seq from form_drafts where id = %s", [draft]).fetchone()
        assert api.execute(SAVE, [Jsonb({"colour": "blue"}), draft, seq]).rowcount == 1
        assert api.execute(SAVE, [Jsonb({"colour": "red"}), draft, seq]).rowcount == 0
        answers = api.execute("select answers, seq from form_drafts where id = %s", [draft]).fetchone()
        assert answers == ({"colour": "blue"}, seq + 1)


# -- guest lists -------------------------------------------------------------------------------------------------------
GUESTS = 900
CROWD = """
insert into weddings (id, title, wedding_date, time_zone)
  select md5('crowd' || n)::uuid, 'Crowd', '2099-06-12', 'UTC' from generate_series(1, 10) as n;
insert into guests (wedding_id, given_name, family_name)
  select w.id, 'Guest ' || n, 'Family ' || n % 211 from weddings as w, generate_series(1, 898) as n;
"""
PAGE = """
select full_name, family_name, given_name, id from guests
where wedding_id = %s and (family_name, given_name, id) > (%s, %s, %s)
order by family_name, given_name, id limit 50
"""


@pytest.fixture(scope="module")
def crowded(api):
    """Ten weddings more, all with as many guests."""
    api.execute(CROWD)
    api.execute("analyze guests")
    return api


def _nodes(plan):
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


@pytest.mark.parametrize("user", [COUPLE, OWNER])
@pytest.mark.parametrize(
    "query",
    [
        "select id, full_name from guests",
        f"select id, full_name from guests where wedding_id = '{key('weddings', 1)}'",
        f"select id from guests where wedding_id = '{key('weddings', 1)}' order by family_name, given_name limit 50",
    ],
)
def test_a_guest_list_is_one_range_of_an_index(crowded, user, query):
    with acting_as(crowded, user):
        assert crowded.execute("select count(*) from guests").fetchone() == (GUESTS,)
        ((plan,),) = crowded.execute(f"explain (analyze, timing off, summary off, format json) {query}").fetchall()
    scans = [node for node in _nodes(plan[0]["Plan"]) if node.get("Relation Name") == "guests" or "Index Name" in node]
    assert scans
    assert "Seq Scan" not in {node["Node Type"] for node in scans}, plan
    assert sum(node.get("Rows Removed by Filter", 0) for node in scans) == 0, plan
    (condition,) = {node["Index Cond"] for node in scans if "Index Cond" in node}
    assert "wedding_id = " in condition


@pytest.mark.parametrize("user", [COUPLE, OWNER])
def test_pages_by_name_hold_every_guest_once(crowded, user):
    seen, last = [], ("", "", "00000000-0000-0000-0000-000000000000")
    with acting_as(crowded, user):
        while page := crowded.execute(PAGE, [key("weddings", 1), *last]).fetchall():
            assert len(page) == min(50, GUESTS - len(seen))
            seen += page
            last = page[-1][1:]
    assert len({row[3] for row in seen}) == GUESTS
    assert seen == sorted(seen, key=lambda row: (row[1], row[2], row[3]))


# -- several suppliers on one wedding ----------------------------------------------------------------------------------
SCOPED = {
    "overview": {"weddings", "wedding_events"},
    "people": {"wedding_people"},
    "timeline": {"timeline_items"},
    "guests": {"households", "guests", "rsvps", "seating_tables", "seat_assignments"},
}
HIRED = [set(), {"overview"}, {"overview", "timeline"}, {"overview", "people", "guests"}, set(SCOPED), None]


@pytest.fixture(scope="module")
def hired(api):
    """Suppliers of wedding 1, each with scopes of its own; the last one has not accepted."""
    for n, scopes in enumerate(HIRED):
        answer = ("invited", sorted(SCOPED)) if scopes is None else ("accepted", sorted(scopes))
        api.execute(
            "insert into organizations (id, name, slug, category, time_zone) values (%s, 'x', %s, 'cake', 'UTC')",
            [key("hired", n), f"hired-{n}"],
        )
        api.execute("insert into profiles (id, email, display_name) values (%s, 'x@y.z', 'x')", [key("baker", n)])
        api.execute(
            "insert into memberships (organization_id, profile_id, role) values (%s, %s, 'viewer')",
            [key("hired", n), key("baker", n)],
        )
        api.execute(
            "insert into wedding_vendors (wedding_id, organization_id, category, status, scopes, responded_at)"
            " values (%s, %s, 'cake', %s, %s, now())",
            [key("weddings", 1), key("hired", n), *answer],
        )
    return api


@pytest.mark.parametrize("n", range(len(HIRED)))
def test_each_supplier_sees_what_its_scopes_name(hired, n):
    tables = sorted(set().union(*SCOPED.values()))
    count = sql.SQL("select count(*) from {}")
    with acting_as(hired, key("baker", n)):
        seen = {table for table in tables if hired.execute(count.format(sql.Identifier(table))).fetchone() != (0,)}
        assert hired.execute("select count(*) from wedding_vendors").fetchone() == (1,)  # its own, not its colleagues'
    assert seen == set().union(*(SCOPED[scope] for scope in HIRED[n] or ()))


# -- bookings ----------------------------------------------------------------------------------------------------------
BOOK = "insert into bookings (organization_id, resource_id, during, status) values (%s, %s, %s, %s) returning id"
HALL = key("organizations", 1), key("resources", 1)
TAKEN = "[2099-06-12 10:00Z, 2099-06-12 20:00Z)"  # by row 1


@pytest.mark.parametrize(
    ("during", "status", "refused"),
    [
        ("[2099-06-12 10:00Z, 2099-06-12 20:00Z)", "held", True),
        ("[2099-06-12 19:59Z, 2099-06-12 22:00Z)", "confirmed", True),
        ("[2099-06-12 11:00Z, 2099-06-12 11:01Z)", "held", True),
        ("[2099-06-12 09:00Z, 2099-06-12 10:00Z]", "held", True),
        ("[2099-06-12 08:00Z, 2099-06-12 10:00Z)", "held", False),
        ("[2099-06-12 20:00Z, 2099-06-12 22:00Z)", "held", False),
        ("[2099-06-12 11:00Z, 2099-06-12 12:00Z)", "cancelled", False),
    ],
)
def test_nobody_is_booked_twice_at_a_time(api, during, status, refused):
    with acting_as(api, OWNER):
        if refused:
            with pytest.raises(errors.ExclusionViolation):
                api.execute(BOOK, [*HALL, during, status])
        else:
            api.execute(BOOK, [*HALL, during, status])


BAR, LATER = key("resources", 3), "[2099-06-13 10:00Z, 2099-06-13 20:00Z)"


@pytest.fixture
def rooms(api):
    """A second room of the same supplier."""
    with api.transaction(force_rollback=True):
        room = "insert into resources (id, organization_id, name, kind) values (%s, %s, 'Bar', 'room')"
        api.execute(room, [BAR, key("organizations", 1)])
        yield api


@pytest.mark.parametrize(
    ("room", "during", "status", "change"),
    [
        (HALL[1], LATER, "held", f"during = '{TAKEN}'"),
        (HALL[1], TAKEN, "cancelled", "status = 'held'"),
        (BAR, TAKEN, "held", f"resource_id = '{HALL[1]}'"),
    ],
)
def test_a_booking_is_not_moved_onto_another(rooms, room, during, status, change):
    with acting_as(rooms, OWNER):
        (booking,) = rooms.execute(BOOK, [HALL[0], room, during, status]).fetchone()
        with pytest.raises(errors.ExclusionViolation):
            rooms.execute(f"update bookings set {change} where id = '{booking}'")


def _wait_for_its_lock(thread, watching, pid):
    query = "select wait_event_type = 'Lock' from pg_stat_activity where pid = %s"
    while thread.is_alive() and watching.execute(query, [pid]).fetchone() != (True,):
        pass


def test_of_two_at_the_same_moment_one_is_refused(api, others):
    (other, watching), outcome = others, []

    def book():
        try:
            with signed_in(other, OWNER):
                other.execute(BOOK, [*HALL, LATER, "held"])
        except psycopg.Error as error:
            outcome.append(error)

    thread = threading.Thread(target=book)
    with signed_in(api, OWNER):
        (booking,) = api.execute(BOOK, [*HALL, LATER, "held"]).fetchone()
        thread.start()
        _wait_for_its_lock(thread, watching, other.info.backend_pid)
        assert outcome == []
    thread.join()
    assert [type(error) for error in outcome] == [errors.ExclusionViolation]
    api.execute("delete from bookings where id = %s", [booking])
