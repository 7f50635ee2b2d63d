"""One who is everywhere is exported whole and erased; what is kept is told with its reason, and found by the scan."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest

from tests.support.case import ROLE
from tests.support.majors import MAJORS
from tests.support.schema import MIGRATIONS, acting_as, owned_schema, run

errors = psycopg.errors
COMPLIANCE = next(folder for folder in MIGRATIONS if folder.name == "0012_compliance")
AT = datetime(2027, 3, 1, 12, tzinfo=UTC)
ADDRESS = "zaphira@example.com"


def key(n: int) -> str:
    return f"00000000-0000-4000-8000-{n:012}"


ORG, OTHER_ORG, ZAPHIRA, BEN, WEDDING = (key(n) for n in range(1, 6))

# Every personal column of every table of the map says «zaphira» somewhere, in two tenants; where rows are not found by
# their keys it is the address. Ben is her partner and colleague.
ROWS = f"""
insert into organizations (id, name, slug, category, time_zone) values
  ('{ORG}', 'Lens', 'lens', 'photographer', 'UTC'), ('{OTHER_ORG}', 'Barn', 'barn', 'venue', 'UTC');
insert into profiles (id, email, display_name) values
  ('{ZAPHIRA}', '{ADDRESS}', 'Zaphira'), ('{BEN}', 'ben@example.com', 'Ben');
insert into memberships (id, organization_id, profile_id, role) values
  ('{key(10)}', '{ORG}', '{BEN}', 'owner'), ('{key(11)}', '{ORG}', '{ZAPHIRA}', 'owner'),
  ('{key(12)}', '{OTHER_ORG}', '{ZAPHIRA}', 'owner');
insert into invitations (organization_id, email, role, token_hash, expires_at) values
  ('{ORG}', '{ADDRESS}', 'viewer', sha256('1'), '2100-01-01'),
  ('{OTHER_ORG}', '{ADDRESS}', 'viewer', sha256('2'), '2100-01-01');
insert into api_keys (organization_id, name, prefix, secret_hash)
  values ('{ORG}', 'for {ADDRESS}', 'abcd1234', sha256('3'));
insert into weddings (id, title, wedding_date, time_zone, venue_name)
  values ('{WEDDING}', 'Zaphira & Ben', '2099-06-12', 'Europe/London', 'ask {ADDRESS}');
insert into wedding_people (wedding_id, profile_id, role, given_name, family_name, email) values
  ('{WEDDING}', '{ZAPHIRA}', 'partner', 'Zaphira', 'Zaphira-Zed', '{ADDRESS}'),
  ('{WEDDING}', '{BEN}', 'partner', 'Ben', 'Best', 'ben@example.com');
insert into wedding_vendors (wedding_id, organization_id, category, status, contact_email, responded_at)
  values ('{WEDDING}', '{ORG}', 'photographer', 'accepted', '{ADDRESS}', now());
insert into wedding_events (id, wedding_id, kind, name, place, starts_at, ends_at)
  values ('{key(20)}', '{WEDDING}', 'party', 'by {ADDRESS}', 'at {ADDRESS}', '2099-06-12 12:00Z', '2099-06-12 13:00Z');
insert into timeline_items (wedding_id, event_id, title, notes, starts_at, ends_at)
  values ('{WEDDING}', '{key(20)}', 'call {ADDRESS}', 'Zaphira@Example.com, not azaphira@example.com', now(), now());

insert into clients (id, organization_id, name, partner_name, email, phone, source) values
  ('{key(30)}', '{ORG}', 'Zaphira', 'of Zaphira', '{ADDRESS}', 'zaphira', 'zaphira'),
  ('{key(31)}', '{OTHER_ORG}', 'Zaphira', null, '{ADDRESS}', null, null);
insert into client_notes (organization_id, client_id, body) values
  ('{ORG}', '{key(30)}', 'Zaphira cries'), ('{OTHER_ORG}', '{key(31)}', 'Zaphira laughs');
insert into tasks (organization_id, client_id, title) values
  ('{ORG}', '{key(30)}', 'ring Zaphira'), ('{ORG}', null, 'write to {ADDRESS}');
insert into households (id, wedding_id, name, address, email) values
  ('{key(40)}', '{WEDDING}', 'Zaphiras', '1 Zaphira Street', '{ADDRESS}'),
  ('{key(41)}', '{WEDDING}', 'Aunt of Zaphira', '2 Zaphira Street', null);
insert into guests (id, wedding_id, household_id, given_name, family_name, email, phone, dietary)
  values ('{key(42)}', '{WEDDING}', '{key(41)}', 'Zaphira', 'Zaphira-Zed', '{ADDRESS}', 'zaphira', 'zaphira eats all');
insert into rsvps (wedding_id, guest_id, event_id, answer, meal, message, answered_at)
  values ('{WEDDING}', '{key(42)}', '{key(20)}', 'yes', 'Zaphira''s', 'Zaphira comes', now());
insert into seating_tables (wedding_id, event_id, name, capacity)
  values ('{WEDDING}', '{key(20)}', '{ADDRESS}', 8);

insert into forms (id, organization_id, title, slug) values ('{key(50)}', '{ORG}', 'of {ADDRESS}', 'f');
insert into form_versions (id, organization_id, form_id, version, definition, published)
  values ('{key(51)}', '{ORG}', '{key(50)}', 1, '{{"help": "{ADDRESS}"}}', true);
insert into form_drafts (organization_id, form_id, client_id, answers)
  values ('{ORG}', '{key(50)}', '{key(30)}', '{{"name": "Zaphira"}}');
insert into form_submissions (organization_id, form_id, version_id, answers, submitted_email) values
  ('{ORG}', '{key(50)}', '{key(51)}', '{{"name": {{"first": ["Zaphira"]}}}}', '{ADDRESS}');
insert into resources (organization_id, name, kind) values ('{ORG}', '{ADDRESS}', 'person');
insert into contracts (organization_id, client_id, title, body, total_minor, currency, status, signed_at, signed_name)
  values ('{ORG}', '{key(30)}', 'Zaphira', 'Zaphira pays', 100, 'GBP', 'draft', null, null),
         ('{ORG}', '{key(30)}', 'Zaphira', 'Zaphira pays', 100, 'GBP', 'void', null, null),
         ('{ORG}', '{key(30)}', 'Zaphira', 'Zaphira pays {ADDRESS}', 100, 'GBP', 'signed', now(), 'Zaphira');
insert into invoices (id, organization_id, client_id, number, currency, notes) values
  ('{key(60)}', '{ORG}', '{key(30)}', '1', 'GBP', 'for Zaphira'),
  ('{key(61)}', '{ORG}', '{key(30)}', '2', 'GBP', 'for Zaphira');
insert into invoice_lines (organization_id, invoice_id, position, description, unit_minor) values
  ('{ORG}', '{key(60)}', 1, 'Zaphira', 100), ('{ORG}', '{key(61)}', 1, 'Zaphira', 100);
update invoices set status = 'issued' where id = '{key(61)}';
insert into payments (id, organization_id, invoice_id, provider_payment_id, amount_minor, currency, failure_reason)
  values ('{key(62)}', '{ORG}', '{key(61)}', 'pi_zaphira', 100, 'GBP', 'zaphira_has_no_money');
insert into refunds (organization_id, payment_id, provider_refund_id, amount_minor, currency, reason)
  values ('{ORG}', '{key(62)}', 're_zaphira', 50, 'GBP', 'Zaphira was sad');
insert into stripe_events (event_id, type, payload, signature_ok, provider_payment_id, outcome, reason, processed_at)
  values ('evt_1', 'payment_intent.succeeded', '{{"id": "evt_1", "data": {{"object": {{"id": "pi_zaphira",
            "amount": 100, "billing_details": {{"name": "Zaphira", "phone": 7}}, "lines": ["Zaphira"]}}}}}}',
          true, 'pi_zaphira', 'invalid', 'what {ADDRESS} sent', now()),
         ('evt_2', 'charge.succeeded', '{{"receipt_email": "Zaphira@example.com"}}', true, null, null, null, null),
         ('evt_3', 'charge.refunded', '{{"id": "re_zaphira", "name": "Zaphira"}}', true, null, null, null, null);

insert into conversations (id, wedding_id, organization_id, subject)
  values ('{key(70)}', '{WEDDING}', '{ORG}', 'with {ADDRESS}');
insert into messages (wedding_id, conversation_id, sender_id, body) values
  ('{WEDDING}', '{key(70)}', '{ZAPHIRA}', 'Zaphira here'),
  ('{WEDDING}', '{key(70)}', '{BEN}', 'hers is {ADDRESS}.');
insert into notifications (profile_id, kind, title, body) values
  ('{ZAPHIRA}', 'system', 'Hello Zaphira', 'Zaphira!'),
  ('{BEN}', 'system', '{ADDRESS} came', 'said {ADDRESS}');
insert into files (organization_id, client_id, name, storage_path, content_type, size_bytes, sha256)
  values ('{ORG}', '{key(30)}', 'zaphira.jpg', 'lens/zaphira.jpg', 'image/jpeg', 1, sha256('4'));
insert into consents (profile_id, purpose, granted, policy_version) values ('{ZAPHIRA}', 'terms', true, '1');
insert into data_requests (organization_id, subject_email, kind, reason)
  values ('{ORG}', '{ADDRESS}', 'erasure', 'Zaphira wants it');
"""

LAW = {  # what the law keeps, and no more: signed, issued, published, proof, keys of the accounts
    ("public.contracts", "title"): 1,
    ("public.contracts", "body"): 1,
    ("public.contracts", "signed_name"): 1,
    ("public.invoice_lines", "description"): 1,
    ("public.form_versions", "definition"): 1,
    ("public.payments", "provider_payment_id"): 1,
    ("public.refunds", "provider_refund_id"): 1,
    ("public.stripe_events", "provider_payment_id"): 1,
    ("public.data_requests", "subject_email"): 1,
    ("public.data_requests", "reason"): 1,
}
STILL_NAMED = {("public.stripe_events", "payload"): 2}  # by the keys of her payment and refund, which the accounts need


@pytest.fixture(scope="module", params=MAJORS)
def deployed(clusters, request):
    """As superuser, who can become service_role; what runs as its owner runs as the ordinary owner all the same."""
    with owned_schema(clusters(request.param)) as connection:
        yield connection


@pytest.fixture
def empty(deployed):
    """All tables, without a row; what the test does is taken back."""
    with deployed.transaction(force_rollback=True):
        yield deployed


@pytest.fixture
def owner(empty):
    """Zaphira everywhere."""
    empty.execute(ROWS)
    return empty


def erase(owner, profile=None, email=None):
    report = owner.execute("select * from api.erase_person(%s, %s, %s)", [profile, email, AT]).fetchall()
    assert all(rows > 0 for *_, rows, _ in report)
    return report


def told(report, action):
    return {(relation, column): rows for relation, column, what, rows, _ in report if what == action}


def scan(owner, *terms):
    found = owner.execute("select * from api.residual_scan(%s)", [list(terms)]).fetchall()
    return {(relation, column): rows for relation, column, rows in found}


def everything(owner, *without):
    """The contents of all tables of ours, with the clock's own columns left out."""
    tables = [
        name
        for (name,) in owner.execute("""
        select oid::regclass::text from pg_class where relkind in ('r', 'p') and not relispartition
        and relnamespace in ('public'::regnamespace, 'audit'::regnamespace) order by 1""")
    ]
    return {
        name: owner.execute(f"select jsonb_agg(to_jsonb(t) - 'updated_at' order by t.id) from {name} as t").fetchone()
        for name in tables
        if name not in without
    }


PERSONAL = "select relation, column_name from app.personal_data where class = 'personal'"


def test_she_is_everywhere_to_begin_with(owner):
    assert set(owner.execute(PERSONAL)) - scan(owner, "zaphira").keys() == set()


# -- export ------------------------------------------------------------------------------------------------------------
def test_the_export_has_every_personal_column(owner):
    (export,) = owner.execute("select api.export_person(%s, %s)", [ZAPHIRA, ADDRESS]).fetchone()
    told_of = {
        (relation, column)
        for relation, entries in export.items()
        for entry in entries
        for column, value in entry.items()
        if "zaphira" in str(value).lower()
    }
    assert told_of == set(owner.execute(PERSONAL))
    assert {entry["body"] for entry in export["public.messages"]} == {"Zaphira here", f"hers is {ADDRESS}."}
    assert [entry["name"] for entry in export["public.clients"]] == ["Zaphira", "Zaphira"]
    assert "ben@example.com" not in str(export)


def test_an_export_by_profile_alone_follows_only_keys(owner):
    (export,) = owner.execute("select api.export_person(%s, null)", [ZAPHIRA]).fetchone()
    assert export.keys() == {"public.profiles", "public.wedding_people", "public.weddings", "public.messages",
                             "public.notifications"}  # fmt: skip
    assert [entry["body"] for entry in export["public.messages"]] == ["Zaphira here"]


# -- erasure -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("profile", [ZAPHIRA, None])
def test_erasure_leaves_what_the_law_keeps_and_tells_it(owner, profile):
    report = erase(owner, profile, ADDRESS)
    sole_owner = {("public.memberships", "status"): 1}
    assert told(report, "keep") == LAW | sole_owner
    assert all(reason for *_, action, _, reason in report if action == "keep")
    assert scan(owner, "zaphira") == LAW | STILL_NAMED | {("public.timeline_items", "notes"): 1}
    assert owner.execute("select notes from timeline_items").fetchone() == ("***, not azaphira@example.com",)
    assert scan(owner, ADDRESS).keys() - LAW.keys() == {("public.timeline_items", "notes")}
    assert told(report, "delete") == {
        ("public.invitations", "email"): 2,
        ("public.form_drafts", "answers"): 1,
        ("public.contracts", "signed_name"): 1,
    }
    assert not told(report, "left")


def test_what_was_erased_is_told(owner):
    before = scan(owner, "zaphira")
    report = erase(owner, ZAPHIRA, ADDRESS)
    after = scan(owner, "zaphira")
    gone = {place: rows - after.get(place, 0) for place, rows in before.items() if rows > after.get(place, 0)}
    computed = {("public.wedding_people", "full_name"), ("public.guests", "full_name")}
    done = [told(report, action) for action in ("null", "replace", "delete", "mask")]
    assert gone.keys() - computed <= set().union(*done)
    assert not after.keys() - before.keys()


def test_the_provider_s_events_keep_what_the_accounts_need(owner):
    erase(owner, ZAPHIRA, ADDRESS)
    payloads = dict(owner.execute("select event_id, payload from stripe_events"))
    assert payloads["evt_1"] == {
        "id": "evt_1",
        "data": {
            "object": {
                "id": "pi_zaphira",
                "amount": 100,
                "billing_details": {"name": "<erased>", "phone": "<erased>"},
                "lines": ["<erased>"],
            }
        },
    }
    assert payloads["evt_2"] == {"receipt_email": "<erased>"}


def test_an_event_that_waits_can_be_acted_on_afterwards(owner):
    owner.execute("delete from refunds; delete from payments")
    event = f"""{{"created": 1, "data": {{"object": {{"object": "payment_intent", "id": "pi_late", "amount": 100,
      "amount_received": 100, "currency": "gbp", "receipt_email": "{ADDRESS}",
      "metadata": {{"invoice_id": "{key(61)}"}}}}}}}}"""
    owner.execute("select api.receive_payment_event('evt_9', 'payment_intent.succeeded', %s, %s)", [event, AT])
    erase(owner, ZAPHIRA, ADDRESS)
    (status,) = owner.execute("select (api.start_payment(%s, 'pi_late', %s)).status", [key(61), AT]).fetchone()
    assert status == "succeeded"
    assert "zaphira" not in str(owner.execute("select payload from stripe_events where event_id = 'evt_9'").fetchone())


def test_erasing_twice_is_harmless(owner):
    first = erase(owner, ZAPHIRA, ADDRESS)
    state = everything(owner, "audit.log")
    second = erase(owner, ZAPHIRA, ADDRESS)
    assert everything(owner, "audit.log") == state
    assert {action for *_, action, _, _ in second} == {"keep"}
    assert told(second, "keep").items() <= told(first, "keep").items()
    assert not told(erase(owner, ZAPHIRA), "replace")


def test_others_are_left_as_they_are(owner):
    people = """select to_jsonb(p) from profiles p where id = %s
        union all select to_jsonb(w) from wedding_people w where profile_id = %s"""
    before = owner.execute(people, [BEN, BEN]).fetchall()
    erase(owner, ZAPHIRA, ADDRESS)
    assert owner.execute(people, [BEN, BEN]).fetchall() == before
    assert owner.execute("select body from messages where sender_id = %s", [BEN]).fetchone() == ("hers is ***.",)
    assert owner.execute("select title from notifications where profile_id = %s", [BEN]).fetchone() == ("*** came",)
    assert owner.execute("select count(*) from tasks where title = 'write to ***'").fetchone() == (1,)


def test_access_ends_but_a_supplier_keeps_its_owner(owner):
    erase(owner, ZAPHIRA)
    members = dict(
        owner.execute("select organization_id::text, status from memberships where profile_id = %s", [ZAPHIRA])
    )
    assert members == {ORG: "suspended", OTHER_ORG: "active"}
    assert owner.execute("select count(*) from wedding_people where profile_id = %s", [ZAPHIRA]).fetchone() == (0,)


def test_an_open_request_is_done_at_the_time_given(owner):
    erase(owner, None, ADDRESS)
    assert owner.execute("select status, completed_at from data_requests").fetchall() == [("done", AT)]


def test_the_card_of_a_household_stays_with_its_other_guests(owner):
    owner.execute(
        f"insert into guests (wedding_id, household_id, given_name) values ('{WEDDING}', '{key(41)}', 'Aunt')"
    )
    erase(owner, None, ADDRESS)
    assert owner.execute(f"select name from households where id = '{key(41)}'").fetchone() == ("Aunt of Zaphira",)


def test_entries_of_the_log_are_masked_by_the_map_of_today(owner):
    owner.execute("update app.personal_data set class = 'impersonal' where relation = 'public.clients'")
    owner.execute("update clients set phone = 'Zaphira''s phone'")
    owner.execute(
        "update app.personal_data set class = 'personal' where relation = 'public.clients' and action is not null"
    )
    assert scan(owner, "zaphira's phone").keys() == {("public.clients", "phone"), ("audit.log", "changes")}
    erase(owner, None, ADDRESS)
    assert scan(owner, "zaphira's phone") == {}


# -- an address that two people share ----------------------------------------------------------------------------------
@pytest.fixture
def couple(owner):
    """Ben uses her address, too."""
    owner.execute("update profiles set email = %s where id = %s", [ADDRESS, BEN])
    owner.execute("update wedding_people set email = %s where profile_id = %s", [ADDRESS, BEN])
    return owner


def test_with_a_profile_only_what_is_surely_theirs_goes(couple):
    report = erase(couple, ZAPHIRA, ADDRESS)
    assert told(report, "left") == {("public.profiles", None): 1, ("public.wedding_people", None): 1,
      ("public.clients", None): 2, ("public.guests", None): 1, ("public.households", None): 1,
      ("public.form_submissions", None): 1, ("public.invitations", None): 2, ("public.wedding_vendors", None): 1,
      ("public.data_requests", None): 1, ("public.stripe_events", None): 1}  # fmt: skip
    assert couple.execute("select email from profiles where id = %s", [BEN]).fetchone() == (ADDRESS,)
    assert couple.execute("select email, given_name from wedding_people where profile_id = %s", [BEN]).fetchone() == (
        ADDRESS,
        "Ben",
    )
    assert couple.execute("select display_name from profiles where id = %s", [ZAPHIRA]).fetchone() == ("erased",)
    assert couple.execute("select status from data_requests").fetchone() == ("open",)
    (export,) = couple.execute("select api.export_person(%s, %s)", [ZAPHIRA, ADDRESS]).fetchone()
    assert "public.clients" not in export


def test_the_address_alone_stands_for_both_but_never_for_an_account(couple):
    report = erase(couple, None, ADDRESS)
    assert told(report, "left") == {("public.profiles", None): 2, ("public.wedding_people", None): 2}
    assert couple.execute("select count(*) from clients where name <> 'erased'").fetchone() == (0,)
    erase(couple, ZAPHIRA)
    erase(couple, BEN)
    assert scan(couple, ADDRESS).keys() - LAW.keys() == {("public.timeline_items", "notes")}


def test_two_names_beside_one_address_share_it(owner):
    owner.execute("insert into guests (wedding_id, given_name, email) values (%s, 'Child', %s)", [WEDDING, ADDRESS])
    report = erase(owner, ZAPHIRA, ADDRESS)
    assert told(report, "left")[("public.guests", None)] == 2
    assert owner.execute("select count(*) from guests where given_name = 'Child'").fetchone() == (1,)


def test_an_address_within_another_is_another(owner):
    seen = "select %s ~ app.address_pattern('ann@x.org')"
    for text in ("ann@x.org", "<Ann@X.org>", "mail ann@x.org.", '{"a": "ann@x.org"}'):
        assert owner.execute(seen, [text]).fetchone() == (True,), text
    for text in ("joann@x.org", "j.ann@x.org", "ann@x.organic", "ann@x.org.uk", "ann@xxorg", "ann@x-org"):
        assert owner.execute(seen, [text]).fetchone() == (False,), text


# -- the scan and the map ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("text", "'x ZAPHIRA y'"),
        ("varchar(50)", "'zaphira'"),
        ("jsonb", '\'{"a": [{"zaphira": 1}]}\''),
        ("json", '\'{"a": "Zaphira"}\''),
        ("text[]", "'{a, Zaphira}'"),
        ("bytea", "'\\x007a617068697261ff'"),
        ("name", "'zaphira'"),
    ],
)
def test_a_column_that_nobody_mapped_is_searched(empty, type_, value):
    empty.execute(f"create table app.forgotten (id int, planted {type_})")
    empty.execute(f"insert into app.forgotten values (1, null), (2, {value})")
    with pytest.raises(errors.InsufficientPrivilege), empty.transaction():
        scan(empty, "Zaphira")  # somebody else's: not passed over in silence
    empty.execute(f"alter table app.forgotten owner to {ROLE}")
    assert scan(empty, "nobody", "Zaphira") == {("app.forgotten", "planted"): 1}


UNMAPPED = """
select n.nspname || '.' || c.relname || '.' || a.attname
from pg_class c
join pg_namespace n on n.oid = c.relnamespace and n.nspname in ('public', 'app', 'audit')
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
where c.relkind in ('r', 'p', 'm', 'f') and not c.relispartition
  and t.typcategory not in ('B', 'D', 'N', 'R', 'T') and t.typname not in ('uuid', 'xid8', '_uuid')
  and not exists (select from app.personal_data d
                  where d.relation = n.nspname || '.' || c.relname and d.column_name = a.attname)
"""


def test_the_map_names_every_column_that_can_hold_text(empty):
    assert empty.execute(UNMAPPED).fetchall() == []
    empty.execute("alter table guests add column nickname text, add column sizes numeric, add column more jsonb[]")
    assert {name for (name,) in empty.execute(UNMAPPED)} == {"public.guests.nickname", "public.guests.more"}


def test_the_map_names_nothing_else(empty):
    assert empty.execute("""
        select d.relation, d.column_name from app.personal_data d
        left join pg_attribute a on a.attrelid = to_regclass(d.relation) and a.attname = d.column_name
        where a.attname is null""").fetchall() == []  # fmt: skip


def test_every_personal_column_is_reached(empty):
    """By a row's keys, or by the address in it."""
    assert empty.execute("""
        select relation, column_name from app.personal_data d
        where class = 'personal' and not mentions and relation not in (select relation from app.personal_rows)
        """).fetchall() == []  # fmt: skip


# -- refusals ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("select api.export_person(null, ' ')", errors.NullValueNotAllowed),
        ("select api.erase_person(null, null, now())", errors.NullValueNotAllowed),
        (f"select api.erase_person('{ZAPHIRA}', null, null)", errors.NullValueNotAllowed),
        ("select api.residual_scan('{}')", errors.InvalidParameterValue),
        ("select api.residual_scan(array['x', ' '])", errors.InvalidParameterValue),
        ("select api.residual_scan(array[null])", errors.InvalidParameterValue),
        ("update consents set granted = false", errors.InsufficientPrivilege),
        ("delete from consents", errors.InsufficientPrivilege),
        ("delete from data_requests", errors.InsufficientPrivilege),
        ("select from app.personal_data", errors.InsufficientPrivilege),
    ],
)
def test_the_server_side_is_refused(owner, statement, refusal):
    with acting_as(owner, None, "service_role"), pytest.raises(refusal):
        owner.execute(statement)


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize(
    "call", ["api.export_person(null, 'x')", "api.erase_person(null, 'x', now())", "api.residual_scan('{x}')"]
)
def test_nobody_else_exports_or_erases(owner, role, call):
    with acting_as(owner, ZAPHIRA, role), pytest.raises(errors.InsufficientPrivilege):
        owner.execute(f"select {call}")


def test_the_server_side_may(owner):
    with acting_as(owner, None, "service_role"):
        assert erase(owner, ZAPHIRA, ADDRESS)
        assert owner.execute("select api.export_person(%s, null)", [ZAPHIRA]).fetchone()
        assert scan(owner, "zaphira")


@pytest.mark.parametrize("table", ["consents", "data_requests"])
def test_the_revert_refuses_while_proof_is_there(owner, table):
    owner.execute("delete from {}".format({"consents": "data_requests", "data_requests": "consents"}[table]))
    with pytest.raises(errors.Error) as refused:
        run(owner, COMPLIANCE, "revert")
    assert refused.value.sqlstate == "WS006"
