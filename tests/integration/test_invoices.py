"""Invoices: the price is made from the lines when one is issued, and stands; and what a revert of them refuses."""

from __future__ import annotations

import threading
from uuid import uuid4

import psycopg
import pytest

from tests.support.majors import MAJORS
from tests.support.payment_events import NOW, event, intent
from tests.support.payments import MONEY, platform_on
from tests.support.schema import acting_as, run

SUCCEEDED = "payment_intent.succeeded"
ADD_LINE = """
insert into invoice_lines (organization_id, invoice_id, position, description, unit_minor)
select organization_id, id, 7, 'x', 1 from invoices where id = %s"""


@pytest.fixture(scope="module", params=MAJORS)
def platform(clusters, request):
    with platform_on(clusters(request.param)) as platform:
        yield platform


@pytest.fixture(scope="module")
def admin(platform):
    """Somebody who is an admin of the supplier."""
    person = uuid4()
    platform.owner.execute(
        "insert into profiles (id, email, display_name) values (%s, 'admin@example.com', 'a')", [person]
    )
    platform.owner.execute(
        "insert into memberships (organization_id, profile_id, role) values (%s, %s, 'admin')",
        [platform.organization, person],
    )
    return str(person)


def refused(error: psycopg.Error) -> bool:
    return error.sqlstate == "WS005" and bool(error.diag.message_hint)


# -- the price ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("lines", "net", "tax"),
    [
        ([(1, 1000, 2000)], 1000, 200),
        ([(3, 3333, 2000)], 9999, 2000),  # 1999.8
        ([(1, 25, 2000), (1, 22, 2000)], 47, 9),  # 5.0 and 4.4: line by line, not 9.4
        ([(1, 5, 1000), (1, 5, 1000)], 10, 2),  # 0.5 is rounded up, twice
        ([(1, 1000, 2000), (1, -5, 1000)], 995, 200),  # half up of -0.5 is 0
        ([(1, 1000, 2000), (1, -15, 1000)], 985, 199),  # and of -1.5 is -1
        ([(99_991, 99_999_999_999, 9_999)], 9_999_099_999_900_009, 9_998_100_089_900_019),  # …018.9991
        ([(99_999, 99_999_999_995, 5_000)], 9_999_899_999_500_005, 4_999_949_999_750_003),  # …002.5: no double has it
        ([(2, 0, 10_000)], 0, 0),
    ],
)
def test_an_issued_invoice_is_the_sum_of_its_lines_rounded_each(platform, lines, net, tax):
    invoice = platform.draft(*lines)
    platform.issue(invoice)
    asked = "select net_minor, tax_minor, total_minor, status, issued_at is not null from invoices where id = %s"
    assert platform.one(asked, invoice) == (net, tax, net + tax, "issued", True)


def test_what_the_caller_says_it_costs_does_not_count(platform):
    invoice = platform.draft((1, 1000, 2000))
    platform.api.execute(
        "update invoices set status = 'issued', net_minor = 1, total_minor = 1, issued_at = '2000-01-01' where id = %s",
        [invoice],
    )
    asked = "select total_minor, issued_at > '2020-01-01' from invoices where id = %s"
    assert platform.one(asked, invoice) == (1200, True)


@pytest.mark.parametrize("lines", [[], [(1, -1, 0)]], ids=["no lines", "less than nothing"])
def test_what_has_no_price_is_not_issued(platform, lines):
    invoice = platform.draft(*lines)
    with pytest.raises(psycopg.errors.CheckViolation):
        platform.issue(invoice)
    assert platform.money(invoice) == ("draft", 0)


@pytest.mark.parametrize("amount", ["net_minor = 1, total_minor = 1", "paid_minor = 1"])
def test_a_draft_owes_nothing(platform, amount):
    invoice = platform.draft()
    with pytest.raises(psycopg.Error):
        platform.owner.execute(f"update invoices set {amount} where id = %s", [invoice])


# -- it stands ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("who", ["api", "owner"])
@pytest.mark.parametrize(
    "change",
    [
        "currency = 'EUR'",
        "number = number || 'x'",
        "contract_id = null, client_id = gen_random_uuid()",
        "net_minor = 0, total_minor = tax_minor",
        "tax_minor = tax_minor + 1, total_minor = total_minor + 1",
        "issued_at = now()",
        "status = 'draft'",
        "status = 'draft', issued_at = null",
    ],
)
@pytest.mark.parametrize("status", ["issued", "void", "paid"])
def test_an_issued_invoice_does_not_change(platform, who, change, status):
    invoice, payment = platform.pending()
    if status == "paid":
        platform.deliver(intent(f"evt_{payment}", SUCCEEDED, payment, 1000))
    elif status == "void":
        platform.api.execute("update invoices set status = 'void' where id = %s", [invoice])
    with pytest.raises(psycopg.Error) as error:
        getattr(platform, who).execute(f"update invoices set {change} where id = %s", [invoice])
    assert refused(error.value)
    platform.api.execute("update invoices set notes = 'n', due_on = '2027-01-01' where id = %s", [invoice])


@pytest.mark.parametrize(
    "change",
    [
        "update invoice_lines set quantity = 2 where invoice_id = %s",
        "update invoice_lines set position = 9 where invoice_id = %s",
        "delete from invoice_lines where invoice_id = %s",
        ADD_LINE,
    ],
)
def test_nor_do_its_lines(platform, change):
    with pytest.raises(psycopg.Error) as error:
        platform.owner.execute(change, [platform.invoice()])
    assert refused(error.value)


@pytest.mark.parametrize("issued", ["from", "to"])
def test_no_line_moves_from_or_to_an_issued_invoice(platform, issued):
    one, other = platform.invoice(), platform.draft((1, 1, 0))
    if issued == "to":
        one, other = other, one
    with pytest.raises(psycopg.Error) as error:
        platform.api.execute(
            "update invoice_lines set invoice_id = %s, position = 8 where invoice_id = %s", [other, one]
        )
    assert refused(error.value)


# -- its status --------------------------------------------------------------------------------------------------------
def test_an_admin_issues_and_declares_void_and_never_says_that_it_was_paid(platform, admin):
    draft, invoice, nothing_owed = platform.draft((1, 5, 0)), platform.invoice(), platform.invoice(0)
    for one in (draft, invoice, nothing_owed):
        with pytest.raises(psycopg.Error) as error, acting_as(platform.owner, admin):
            platform.owner.execute("update invoices set status = 'paid' where id = %s", [one])
        assert refused(error.value)
    with acting_as(platform.owner, admin):
        for one, status in ((draft, "issued"), (draft, "void"), (invoice, "void")):
            changed = platform.owner.execute("update invoices set status = %s where id = %s", [status, one])
            assert changed.rowcount == 1


@pytest.mark.parametrize("change", ["status = 'paid'", "status = 'paid', paid_minor = total_minor", "paid_minor = 1"])
def test_nor_does_the_server_side_but_through_a_payment(platform, change):
    with pytest.raises(psycopg.Error) as error:
        platform.api.execute(f"update invoices set {change} where id = %s", [platform.invoice()])
    assert refused(error.value)


def test_an_admin_edits_the_lines_of_a_draft(platform, admin):
    draft = platform.draft((1, 5, 0))
    with acting_as(platform.owner, admin):
        platform.add_line(platform.owner, draft, 2, 3, 7)
        assert platform.owner.execute("update invoice_lines set quantity = 2 where unit_minor = 7").rowcount == 1


def test_what_was_paid_is_not_declared_void(platform):
    invoice, payment = platform.pending()
    platform.deliver(intent(f"evt_{payment}", SUCCEEDED, payment, 1000))
    with pytest.raises(psycopg.Error) as error:
        platform.api.execute("update invoices set status = 'void' where id = %s", [invoice])
    assert refused(error.value)


def test_nor_is_what_was_paid_in_part(platform):
    invoice = platform.invoice()
    platform.owner.execute("update invoices set paid_minor = 1 where id = %s", [invoice])
    with pytest.raises(psycopg.Error) as error:
        platform.api.execute("update invoices set status = 'void' where id = %s", [invoice])
    assert refused(error.value)


def test_an_invoice_begins_as_a_draft(platform):
    with pytest.raises(psycopg.Error) as error:
        platform.api.execute(
            "insert into invoices (organization_id, client_id, number, currency, status, issued_at)"
            " values (%s, %s, 'X', 'GBP', 'issued', now())",
            [platform.organization, platform.client],
        )
    assert refused(error.value)


def test_a_draft_may_be_given_up(platform):
    draft = platform.draft((1, 5, 0))
    platform.api.execute("update invoices set status = 'void' where id = %s", [draft])
    with pytest.raises(psycopg.Error) as error:
        platform.issue(draft)
    assert refused(error.value)


# -- two at once -------------------------------------------------------------------------------------------------------
def test_who_issues_waits_for_who_edits(platform):
    draft = platform.draft((1, 1000, 0))
    with platform.connect() as editor, platform.connect() as issuer:
        issuing = threading.Thread(target=platform.issue, args=[draft, issuer])
        with editor.transaction():
            platform.add_line(editor, draft, 2, 1, 500)
            issuing.start()
            platform.wait_until_blocked(issuer)
        issuing.join()
    assert platform.one("select status, total_minor from invoices where id = %s", draft) == ("issued", 1500)


def test_who_edits_waits_for_who_issues_and_is_refused(platform):
    draft, errors = platform.draft((1, 1000, 0)), []

    def edit(editor):
        try:
            editor.execute("update invoice_lines set unit_minor = 1 where invoice_id = %s", [draft])
        except psycopg.Error as error:
            errors.append(error)

    with platform.connect() as editor, platform.connect() as issuer:
        editing = threading.Thread(target=edit, args=[editor])
        with issuer.transaction():
            platform.issue(draft, issuer)
            editing.start()
            platform.wait_until_blocked(editor)
        editing.join()
    assert [refused(error) for error in errors] == [True]
    assert platform.one("select total_minor, (select sum(net_minor) from invoice_lines where invoice_id = i.id)"
                        " from invoices as i where id = %s", draft) == (1000, 1000)  # fmt: skip


# -- going back --------------------------------------------------------------------------------------------------------
@pytest.fixture
def empty(clusters):
    with platform_on(clusters(18)) as platform:
        yield platform


@pytest.mark.parametrize("rows", ["an event", "a subscription", "an invoice"])
def test_a_revert_keeps_what_the_law_keeps(empty, rows):
    if rows == "an event":
        empty.deliver(event("evt_1", "x", {}))
    elif rows == "an invoice":
        empty.draft()
    else:
        empty.api.execute(
            "insert into subscriptions (organization_id, plan, status, price_minor, currency)"
            " values (%s, 'free', 'active', 0, 'GBP')",
            [empty.organization],
        )
    with pytest.raises(psycopg.Error) as error:
        run(empty.owner, MONEY, "revert")
    assert (error.value.sqlstate, bool(error.value.diag.message_hint)) == ("WS006", True)
    run(empty.owner, MONEY, "verify")


def test_a_revert_of_empty_tables_leaves_nothing(empty):
    run(empty.owner, MONEY, "revert")
    run(empty.owner, MONEY, "deploy")
    run(empty.owner, MONEY, "verify")


@pytest.mark.parametrize(
    "damage",
    [
        "alter table invoices disable trigger keep_issued",
        "alter table invoice_lines disable trigger keep_issued",
        "alter function app.keep_issued() security definer",
        "grant execute on function api.start_payment(uuid, text, timestamptz) to authenticated",
        "revoke execute on function api.retry_payment_events(timestamptz, integer) from service_role",
        "alter function api.receive_payment_event(text, text, jsonb, timestamptz) reset search_path",
        "alter function api.receive_payment_event(text, text, jsonb, timestamptz) security invoker",
        "grant execute on function app.try_event(stripe_events, timestamptz) to service_role",
        "grant insert on stripe_events to service_role",
        "grant select on stripe_events to authenticated",
        "grant update (paid_minor) on invoices to authenticated",
        "grant delete on payments to service_role",
        "alter table stripe_events disable row level security",
        "create policy everything on stripe_events for select to authenticated using (true)",
        "alter table stripe_events drop constraint stripe_events_event_id_key",
        "drop index refunds_payment_id_idx",
    ],
)
def test_verify_finds_damage(platform, damage):
    with platform.owner.transaction(force_rollback=True):
        platform.owner.execute(damage)
        with pytest.raises((AssertionError, psycopg.Error)):
            run(platform.owner, MONEY, "verify")


def test_the_clock_is_the_caller_s(platform):
    platform.deliver(event("evt_clock", "x", {}))
    asked = "select received_at, processed_at from stripe_events where event_id = 'evt_clock'"
    assert platform.one(asked) == (NOW, NOW)
