"""Payment events one at a time: each order of them, each bad one, and what must never be charged or believed."""

from __future__ import annotations

import itertools
import json
import threading
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest

from tests.support.majors import MAJORS
from tests.support.payment_events import (
    NOW,
    OPEN_DISPUTE,
    SECRET,
    WON_DISPUTE,
    Started,
    body,
    dispute,
    event,
    expect,
    intent,
    refund,
    sign,
    subscription,
)
from tests.support.payments import platform_on
from wedsync_db.errors import Inconclusive, UsageError
from wedsync_db.payments.receive import receive, retry
from wedsync_db.payments.signature import BadSignature

PROCESSING, FAILED, CANCELLED, SUCCEEDED = (
    f"payment_intent.{name}" for name in ("processing", "payment_failed", "canceled", "succeeded")
)
PLANNED = "customer.subscription.created"
REFUSED = psycopg.errors.ObjectNotInPrerequisiteState
_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=MAJORS)
def platform(clusters, request):
    with platform_on(clusters(request.param)) as platform:
        yield platform


def key() -> str:
    return f"evt_{next(_numbers)}"


def stored(platform, event_id: str) -> tuple | None:
    return platform.one("select outcome, waiting, reason from stripe_events where event_id = %s", event_id)


# -- the signature comes first -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "header",
    [sign(b"{}", "whsec_another"), sign(b"{}", at=NOW.replace(year=2020)), sign(b"{ }"), "t=1", ""],
    ids=["another secret", "old", "another body", "half", "none"],
)
def test_without_a_right_signature_there_is_no_row(platform, header):
    before = platform.one("select count(*) from stripe_events")
    with pytest.raises(BadSignature) as refused:
        receive(platform.api, b"{}", header, [SECRET], lambda: NOW)
    assert platform.one("select count(*) from stripe_events") == before
    assert SECRET not in f"{refused.value!r} {refused.value.hint}"


def test_an_event_has_a_transaction_of_its_own(platform):
    with platform.connect() as connection, connection.transaction(), pytest.raises(UsageError):
        platform.deliver(intent(key(), PROCESSING, "pi_x", 1), connection)


def test_what_was_not_committed_is_no_success(platform):
    made = intent(key(), PROCESSING, "pi_x", 1)
    with platform.connect() as connection:
        connection.doom = connection.close
        with pytest.raises(psycopg.OperationalError):
            platform.deliver(made, connection)
    assert stored(platform, made["id"]) is None


# -- any order ---------------------------------------------------------------------------------------------------------
def life(payment: str) -> list[dict]:
    return [
        intent(key(), PROCESSING, payment, 1000),
        intent(key(), FAILED, payment, 1000, last_payment_error={"code": "card_declined"}),
        intent(key(), SUCCEEDED, payment, 1000),
        refund(key(), payment, f"re_{payment}", 400),
    ]


def test_each_order_of_events_leads_to_the_same_end(platform):
    for order in itertools.permutations(range(4)):
        invoice, payment = platform.pending()
        events = life(payment)
        for n in order:
            assert platform.deliver(events[n]).outcome in ("done", "ignored")
        assert (platform.payment(payment), platform.money(invoice)) == (("succeeded", 400), ("paid", 1000)), order


def test_each_order_of_a_dispute_and_a_whole_refund_leads_to_the_same_end(platform):
    for order in itertools.permutations(range(4)):
        invoice, payment = platform.pending()
        events = [
            intent(key(), SUCCEEDED, payment, 1000),
            refund(key(), payment, f"re_{payment}", 1000),
            dispute(key(), payment, "dp_1", OPEN_DISPUTE),
            dispute(key(), payment, "dp_1", WON_DISPUTE),
        ]
        for n in order:
            platform.deliver(events[n])
        assert (platform.payment(payment), platform.money(invoice)) == (("refunded", 1000), ("paid", 1000)), order


def test_the_oracle_of_the_storm_says_the_same_of_a_life_written_down_by_hand():
    said = expect([Started("pi_1", "i", 1000)], life("pi_1"))
    assert (said.payments, said.invoices) == ({"pi_1": ("succeeded", 400)}, {"i": ("paid", 1000)})


def test_a_failed_payment_says_why_until_it_succeeds(platform):
    _, payment = platform.pending()
    why = "select failure_reason from payments where provider_payment_id = %s"
    platform.deliver(life(payment)[1])
    assert (platform.payment(payment), platform.one(why, payment)) == (("failed", 0), ("card_declined",))
    platform.deliver(life(payment)[2])
    assert (platform.payment(payment), platform.one(why, payment)) == (("succeeded", 0), (None,))


def test_a_refund_that_fails_in_the_end_counts_no_more(platform):
    _, payment = platform.pending()
    platform.deliver(intent(key(), SUCCEEDED, payment, 1000))
    platform.deliver(refund(key(), payment, "re_back", 1000))
    assert platform.payment(payment) == ("refunded", 1000)
    platform.deliver(refund(key(), payment, "re_back", 1000, "failed"))
    assert platform.payment(payment) == ("succeeded", 0)


# -- once --------------------------------------------------------------------------------------------------------------
def test_the_second_time_nothing_is_done_and_the_answer_is_the_first_one(platform):
    invoice, payment = platform.pending()
    made = intent(key(), SUCCEEDED, payment, 1000)
    first, second = platform.deliver(made), platform.deliver(made)
    assert (first.outcome, first.repeated) == ("done", False)
    assert (second.outcome, second.repeated) == ("done", True)
    assert platform.money(invoice) == ("paid", 1000)


def test_the_second_time_another_content_changes_nothing(platform):
    invoice, payment = platform.pending()
    made = intent(key(), FAILED, payment, 1000)
    platform.deliver(made)
    said = platform.deliver(made | {"type": SUCCEEDED})
    assert (said.repeated, platform.payment(payment), platform.money(invoice)) == (True, ("failed", 0), ("issued", 0))


def test_two_deliveries_at_once_are_one(platform):
    _, payment = platform.pending()
    made, said = intent(key(), SUCCEEDED, payment, 1000), []
    with platform.connect() as first, platform.connect() as second:
        other = threading.Thread(target=lambda: said.append(platform.deliver(made, second)))
        first.doom = lambda: (other.start(), platform.wait_until_blocked(second))
        said.append(platform.deliver(made, first))
        other.join()
    assert sorted((s.outcome, s.repeated) for s in said) == [("done", False), ("done", True)]


# -- what is compared --------------------------------------------------------------------------------------------------
def named(invoice: object) -> dict:
    return {"invoice_id": invoice}


def wrong_ones() -> list:
    return [
        ("price", lambda p: intent(key(), SUCCEEDED, p, 999), "price_mismatch"),
        ("more", lambda p: intent(key(), SUCCEEDED, p, 1001), "price_mismatch"),
        ("part", lambda p: intent(key(), SUCCEEDED, p, 1000, amount_received=500), "price_mismatch"),
        ("nothing", lambda p: intent(key(), SUCCEEDED, p, 0), "price_mismatch"),
        ("currency", lambda p: intent(key(), SUCCEEDED, p, 1000, "usd"), "currency_mismatch"),
        ("no currency", lambda p: intent(key(), SUCCEEDED, p, 1000, "xyz"), "currency_mismatch"),
        ("invoice", lambda p: intent(key(), SUCCEEDED, p, 1000, metadata=named(str(uuid4()))), "unknown_invoice"),
        ("no invoice", lambda p: intent(key(), SUCCEEDED, p, 1000, metadata=named("7")), "unknown_invoice"),
        ("odd invoice", lambda p: intent(key(), SUCCEEDED, p, 1000, metadata=named([7])), "unknown_invoice"),
        ("failed", lambda p: intent(key(), FAILED, p, 7), "price_mismatch"),
        ("refund", lambda p: refund(key(), p, f"re_{p}", 1001), "price_mismatch"),
        ("refund's currency", lambda p: refund(key(), p, f"re_{p}", 10, currency="usd"), "currency_mismatch"),
    ]  # fmt: skip


@pytest.mark.parametrize(("made", "outcome"), [w[1:] for w in wrong_ones()], ids=[w[0] for w in wrong_ones()])
def test_what_differs_from_the_invoice_changes_nothing(platform, made, outcome):
    invoice, payment = platform.pending()
    wrong = made(payment)
    said = platform.deliver(wrong)
    assert said.outcome == outcome
    assert stored(platform, wrong["id"])[2] == said.reason is not None
    assert (platform.payment(payment), platform.money(invoice)) == (("pending", 0), ("issued", 0))


def test_the_invoice_named_in_the_event_may_be_right(platform):
    invoice, payment = platform.pending()
    made = intent(key(), SUCCEEDED, payment, 1000, metadata=named(str(invoice).upper()))
    assert (platform.deliver(made).outcome, platform.money(invoice)) == ("done", ("paid", 1000))


def test_refunds_of_more_than_was_paid_are_recorded_and_shown(platform):
    _, payment = platform.pending()
    platform.deliver(intent(key(), SUCCEEDED, payment, 1000))
    said = [platform.deliver(refund(key(), payment, f"re_{n}_{payment}", 600)).outcome for n in range(2)]
    assert (said, platform.payment(payment)) == (["done", "price_mismatch"], ("refunded", 1000))


def test_a_refund_belongs_to_one_payment_and_keeps_its_amount(platform):
    (_, one), (_, two) = platform.pending(), platform.pending()
    platform.deliver(refund(key(), one, f"re_{one}", 10, "pending"))
    said = [platform.deliver(refund(key(), p, f"re_{one}", a)).outcome for p, a in ((two, 10), (one, 11))]
    assert said == ["price_mismatch", "price_mismatch"]
    assert platform.one("select status from refunds where provider_refund_id = %s", f"re_{one}") == ("pending",)


def test_money_for_a_void_invoice_is_recorded_and_shown(platform):
    invoice, payment = platform.pending()
    platform.api.execute("update invoices set status = 'void' where id = %s", [invoice])
    assert platform.deliver(intent(key(), SUCCEEDED, payment, 1000)).outcome == "overpaid"
    assert (platform.payment(payment), platform.money(invoice)) == (("succeeded", 0), ("void", 1000))


@pytest.mark.parametrize(
    ("meanwhile", "kind", "outcome", "end"),
    [
        ("update invoices set status = 'void' where id = %s", SUCCEEDED, "overpaid", ("succeeded", ("void", 1000))),
        (
            "update payments set status = 'failed' where invoice_id = %s",
            PROCESSING,
            "ignored",
            ("failed", ("issued", 0)),
        ),
    ],
    ids=["void", "failed"],
)
def test_an_event_waits_for_who_is_at_the_invoice_or_the_payment(platform, meanwhile, kind, outcome, end):
    invoice, payment = platform.pending()
    said = []
    with platform.connect() as one, platform.connect() as two:
        other = threading.Thread(
            target=lambda: said.append(platform.deliver(intent(key(), kind, payment, 1000), two).outcome)
        )
        with one.transaction():
            one.execute(meanwhile, [invoice])
            other.start()
            platform.wait_until_blocked(two)
        other.join()
    assert said == [outcome]
    assert (platform.payment(payment)[0], platform.money(invoice)) == end


# -- starting a payment ------------------------------------------------------------------------------------------------
def test_the_price_is_the_invoice_s_and_starting_twice_is_starting_once(platform):
    invoice = platform.invoice(777)
    assert [platform.start(invoice, "pi_twice") for _ in range(2)] == ["pending", "pending"]
    asked = "select amount_minor, currency from payments where invoice_id = %s"
    assert platform.api.execute(asked, [invoice]).fetchall() == [(777, "GBP")]


def test_an_invoice_has_one_payment_until_the_provider_cancelled_it(platform):
    invoice, payment = platform.pending()
    for kind in (FAILED, CANCELLED):
        with pytest.raises(REFUSED, match=payment):
            platform.start(invoice, f"{payment}b")
        platform.deliver(intent(key(), kind, payment, 1000))
    platform.start(invoice, f"{payment}b")
    platform.deliver(intent(key(), SUCCEEDED, f"{payment}b", 1000))
    assert platform.money(invoice) == ("paid", 1000)
    # what cannot be, was, and a person has to see it
    assert platform.deliver(intent(key(), SUCCEEDED, payment, 1000)).outcome == "overpaid"
    assert platform.money(invoice) == ("paid", 2000)


def test_two_payments_of_one_invoice_do_not_start_at_once(platform):
    invoice, failed = platform.invoice(), []

    def start(connection):
        with pytest.raises(REFUSED):
            platform.start(invoice, "pi_late", connection)
        failed.append(True)

    with platform.connect() as first, platform.connect() as second:
        other = threading.Thread(target=start, args=[second])
        with first.transaction():
            platform.start(invoice, "pi_soon", first)
            other.start()
            platform.wait_until_blocked(second)
        other.join()
    assert failed


@pytest.mark.parametrize(
    ("prepare", "error"),
    [
        (lambda p: uuid4(), psycopg.errors.NoDataFound),
        (lambda p: p.draft((1, 5, 0)), REFUSED),
        (lambda p: p.invoice(0), REFUSED),
        (lambda p: p.pending()[0], REFUSED),
    ],
    ids=["unknown", "draft", "nothing owed", "has one"],
)
def test_not_every_invoice_is_paid(platform, prepare, error):
    with pytest.raises(error):
        platform.start(prepare(platform), f"pi_{next(_numbers)}_refused")


def test_a_payment_is_of_one_invoice(platform):
    _, payment = platform.pending()
    with pytest.raises(psycopg.errors.UniqueViolation):
        platform.start(platform.invoice(), payment)


# -- the event was faster ----------------------------------------------------------------------------------------------
def test_an_event_before_its_payment_waits_for_it(platform):
    invoice = platform.invoice()
    early = [intent(key(), SUCCEEDED, "pi_early", 1000), refund(key(), "pi_early", "re_early", 1000)]
    assert [platform.deliver(made).outcome for made in early] == ["unknown_payment"] * 2
    assert stored(platform, early[0]["id"])[:2] == ("unknown_payment", True)
    assert platform.start(invoice, "pi_early") == "refunded"
    assert [stored(platform, made["id"])[:2] for made in early] == [("done", False)] * 2
    assert platform.money(invoice) == ("paid", 1000)


@pytest.mark.parametrize("first", ["start", "event"])
def test_an_event_at_the_same_moment_as_its_payment_is_not_lost(platform, first):
    invoice, payment = platform.invoice(), f"pi_same_{next(_numbers)}"
    made = intent(key(), SUCCEEDED, payment, 1000)

    def start(connection):
        with connection.transaction():
            platform.start(invoice, payment, connection)

    jobs = [start, lambda connection: platform.deliver(made, connection)]
    soon, late = jobs if first == "start" else jobs[::-1]
    with platform.connect() as one, platform.connect() as two:
        other = threading.Thread(target=late, args=[two])
        one.doom = lambda: (other.start(), platform.wait_until_blocked(two))
        soon(one)
        other.join()
    assert stored(platform, made["id"])[0] == "done"
    assert platform.money(invoice) == ("paid", 1000)


@contextmanager
def surprised(platform):
    """No payment can succeed, for a reason that the functions do not know."""
    platform.owner.execute("alter table payments add constraint surprise check (status <> 'succeeded') not valid")
    yield
    platform.owner.execute("alter table payments drop constraint surprise")


def test_an_error_nobody_foresaw_leaves_the_event_for_a_retry(platform):
    invoice, payment = platform.pending()
    made = intent(key(), SUCCEEDED, payment, 1000)
    with surprised(platform):
        assert platform.deliver(made).outcome == "open"
    outcome, waiting, reason = stored(platform, made["id"])
    assert (outcome, waiting) == (None, True)
    assert reason.startswith("error 23514: ")
    said = retry(platform.api, lambda: NOW)
    assert said[made["id"]].outcome == "done"
    assert (stored(platform, made["id"]), platform.money(invoice)) == (("done", False, None), ("paid", 1000))


def test_retrying_takes_turns(platform):
    keys = [key() for _ in range(3)]
    for n, name in enumerate(keys):
        platform.deliver(intent(name, SUCCEEDED, f"pi_nobody{n}_{name}", 1))
    before = len(retry(platform.api, lambda: NOW, 1000))
    turns = [retry(platform.api, lambda n=n: NOW.replace(minute=n + 1), before // 2 + 1) for n in range(2)]
    assert set(turns[0]) | set(turns[1]) >= set(keys)


def test_retrying_does_not_wait_for_who_is_at_the_payment(platform):
    (_, payment), tried = platform.pending(), []
    left = subscription(key(), "sub_nobody", "active", 10_000, customer="cus_nobody")
    lost = intent(key(), SUCCEEDED, payment, 1000)
    platform.deliver(left)
    with surprised(platform):
        platform.deliver(lost)
    with platform.connect() as one, platform.connect() as two:
        one.doom = lambda: tried.append(retry(two, lambda: NOW, 1000))
        platform.deliver(intent(key(), PROCESSING, payment, 1000), one)
    tried.append(retry(platform.api, lambda: NOW, 1000))
    assert [{left["id"], lost["id"]} & set(each) for each in tried] == [{left["id"]}, {left["id"], lost["id"]}]


# -- errors that pass --------------------------------------------------------------------------------------------------
@pytest.fixture
def stumble(platform):
    """Let updates of payments fail so many times with this SQLSTATE; a sequence counts: no rollback takes it back."""
    owner = platform.owner

    def arrange(times: int, sqlstate: str) -> None:
        owner.execute("create sequence public.stumbles")
        owner.execute(
            "create function public.stumble() returns trigger language plpgsql as $$ begin"
            f" if nextval('public.stumbles') <= {times} then raise exception 'stumbled' using errcode = '{sqlstate}';"
            " end if; return new; end $$"
        )
        owner.execute("create trigger stumble before update on payments for each row execute function public.stumble()")

    yield arrange
    owner.execute("drop function public.stumble() cascade")
    owner.execute("drop sequence public.stumbles")


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "55P03"])
def test_what_passes_is_tried_again_at_once(platform, stumble, sqlstate):
    invoice, payment = platform.pending()
    stumble(2, sqlstate)
    assert platform.deliver(intent(key(), SUCCEEDED, payment, 1000)).outcome == "done"
    assert platform.money(invoice) == ("paid", 1000)


@pytest.mark.parametrize(
    ("sqlstate", "error"), [("40P01", Inconclusive), ("57P01", psycopg.Error), ("WS002", psycopg.Error)]
)
def test_what_does_not_pass_leaves_nothing_so_that_the_provider_comes_again(platform, stumble, sqlstate, error):
    _, payment = platform.pending()
    made = intent(key(), SUCCEEDED, payment, 1000)
    stumble(3, sqlstate)
    with pytest.raises(error):
        platform.deliver(made)
    assert stored(platform, made["id"]) is None
    platform.owner.execute("select setval('public.stumbles', 3)")
    assert platform.deliver(made).outcome == "done"


# -- bad payloads ------------------------------------------------------------------------------------------------------
GOOD = intent("", SUCCEEDED, "pi_1", 1000)["data"]["object"]
BACK = refund("", "pi_1", "re_1", 5)["data"]["object"]
FIGHT = dispute("", "pi_1", "dp_1", OPEN_DISPUTE)["data"]["object"]
PLAN = subscription("", "sub_1", "active", 1_800_000_000)["data"]["object"]


def without(made: dict, *names: str, **more) -> dict:
    return {name: value for name, value in made.items() if name not in names} | more


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        *[(SUCCEEDED, without(GOOD, name)) for name in ("object", "id", "amount_received", "currency")],
        *[(SUCCEEDED, without(GOOD, amount_received=a)) for a in ("1000", 1000.5, -1, 10**18, 10**40, None, [1], {})],
        *[(SUCCEEDED, without(GOOD, currency=c)) for c in (7, "", None, ["gbp"], "x" * 256)],
        *[(SUCCEEDED, without(GOOD, id=i)) for i in (7, "", None, ["pi_1"], "x" * 256)],
        *[(SUCCEEDED, o) for o in (None, [], "pi_1", 7, {}, BACK)],
        (FAILED, without(GOOD, "amount")),
        *[("refund.created", without(BACK, n)) for n in ("object", "id", "payment_intent", "amount", "status")],
        *[("refund.created", without(BACK, amount=a)) for a in (0, "5", 1.5)],
        ("refund.created", without(BACK, status="maybe")),
        ("charge.refund.updated", without(BACK, currency=None)),
        *[("charge.dispute.created", without(FIGHT, n)) for n in ("object", "id", "payment_intent", "status")],
        ("charge.dispute.closed", without(FIGHT, status="maybe")),
        *[(PLANNED, without(PLAN, name)) for name in ("object", "id", "customer", "status", "items", "currency")],
        *[(PLANNED, without(PLAN, items=items)) for items in ({}, {"data": []}, {"data": [7]}, [], "x")],
    ],
)  # fmt: skip
def test_a_bad_payload_is_invalid_and_says_why(platform, kind, made):
    name = key()
    said = platform.deliver(event(name, kind, made))
    assert (said.outcome, stored(platform, name)) == ("invalid", ("invalid", False, said.reason))
    assert said.reason


@pytest.mark.parametrize("data", [None, [], "x", 7, {}])
def test_an_event_without_an_object_is_invalid(platform, data):
    assert platform.deliver({"id": key(), "type": SUCCEEDED, "data": data}).outcome == "invalid"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"no json",
        b"\xff\xfe",
        b"[]",
        b"7",
        b"null",
        b'{"id": "evt_a", "id": "evt_b", "type": "x"}',
        b'{"id": "evt_nan", "type": "x", "n": NaN}',
        b'{"id": "evt_nul", "type": "x", "n": "\\u0000"}',
        b'{"id": "evt_\\u0000", "type": "x"}',
        b'{"id": "evt_half", "type": "\\ud800"}',
        b'{"id": "evt_big", "type": "x", "n": 1e999999}',
        b'{"id": "evt_digits", "type": "x", "n": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"id": "evt_deep", "type": "x", "n": ' + b"[" * 900 + b"]" * 900 + b"",
        b'{"type": "x"}',
        b'{"id": "evt_no_type"}',
        b'{"id": 7, "type": "x"}',
        b'{"id": "", "type": "x"}',
        b'{"id": "' + b"x" * 256 + b'", "type": "x"}',
        b'{"id": "evt_long_type", "type": "' + b"x" * 101 + b'"}',
    ],
    ids=lambda payload: payload[:30].decode("latin-1"),
)
def test_what_is_no_event_is_kept_once_for_a_person(platform, payload):
    first, second = platform.deliver(payload), platform.deliver(payload)
    assert (first.outcome, first.repeated) == ("invalid", False)
    assert (second.outcome, second.repeated) == ("invalid", True)


@pytest.mark.parametrize("arguments", [(None, None, None), ("evt_direct", "x", "[]"), ("x" * 300, "", "7")])
def test_called_with_anything_the_function_itself_answers(platform, arguments):
    answer = platform.one("select outcome, reason from api.receive_payment_event(%s, %s, %s, %s)", *arguments, NOW)
    assert answer[0] in ("invalid", "ignored")
    assert answer[1]


@pytest.mark.parametrize("kind", ["payment_intent.created", "charge.refunded", "invoice.paid", "x"])
def test_other_events_are_kept_and_ignored(platform, kind):
    said = platform.deliver(event(key(), kind, GOOD))
    assert (said.outcome, said.reason) == ("ignored", f"nothing follows from an event of type {kind}")


# -- subscriptions -----------------------------------------------------------------------------------------------------
@pytest.fixture
def supplier(platform):
    """A supplier of its own with a subscription; the provider knows its customer already."""
    organization = uuid4()
    platform.owner.execute(
        "insert into organizations (id, name, slug, category, time_zone) values (%s, 'o', %s, 'venue', 'UTC')",
        [organization, f"o{organization.hex}"],
    )
    platform.api.execute(
        "insert into subscriptions (organization_id, plan, status, price_minor, currency, provider_customer_id)"
        " values (%s, 'pro', 'trialing', 4900, 'GBP', %s)",
        [organization, f"cus_{organization.hex}"],
    )
    return organization


def of(platform, organization) -> tuple:
    asked = "select status, extract(epoch from current_period_end)::int from subscriptions where organization_id = %s"
    return platform.one(asked, organization)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::3])
@pytest.mark.parametrize(("last", "end"), [("active", ("active", 14_000)), ("canceled", ("cancelled", 14_000))])
def test_a_subscription_ends_as_the_provider_s_last_event_has_it(platform, supplier, order, last, end):
    number, customer = f"sub_{next(_numbers)}", f"cus_{supplier.hex}"
    ways = [("trialing", 10_000), ("active", 11_000), ("past_due", 12_000), (last, 13_000)]
    for n in order:
        status, created = ways[n]
        platform.deliver(subscription(key(), number, status, created, customer=customer))
    assert of(platform, supplier) == end


@pytest.mark.parametrize(
    ("more", "outcome"),
    [
        ({"price": 4901}, "price_mismatch"),
        ({"currency": "usd"}, "currency_mismatch"),
        ({"customer": "cus_nobody"}, "unknown_subscription"),
    ],
)
def test_a_subscription_that_differs_changes_nothing(platform, supplier, more, outcome):
    more = {"customer": f"cus_{supplier.hex}", **more}
    made = subscription(key(), f"sub_{next(_numbers)}", "active", 10_000, **more)
    assert (platform.deliver(made).outcome, of(platform, supplier)) == (outcome, ("trialing", None))


def test_a_subscription_is_over_whatever_its_price(platform, supplier):
    made = subscription(key(), "sub_over", "canceled", 10_000, price=1, customer=f"cus_{supplier.hex}")
    assert (platform.deliver(made).outcome, of(platform, supplier)[0]) == ("done", "cancelled")


# -- who may -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", ["authenticated", "anon"])
@pytest.mark.parametrize(
    "call",
    [
        "api.start_payment(gen_random_uuid(), 'pi', now())",
        "api.receive_payment_event('e', 't', '{}', now())",
        "api.retry_payment_events(now())",
    ],
)
def test_only_the_platform_s_server_side_moves_money(platform, role, call):
    with platform.api.transaction(force_rollback=True):
        platform.api.execute("reset role")
        platform.api.execute(f"set role {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), platform.api.transaction():
            platform.api.execute(f"select {call}")


@pytest.mark.parametrize(
    "statement",
    [
        "insert into stripe_events (event_id, type, payload, signature_ok) values ('e', 't', '{}', true)",
        "update stripe_events set outcome = null",
        "delete from stripe_events",
        "delete from payments",
        "delete from invoices",
        "truncate refunds",
        "select app.try_event(e, now()) from stripe_events as e",
    ],
)
def test_nor_may_the_server_side_change_what_was_received_or_delete(platform, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        platform.api.execute(statement)


def test_what_was_received_is_kept_as_it_came(platform):
    made = event(key(), "x", {"object": "y", "n": 1.5})
    platform.deliver(made)
    (payload,) = platform.one("select payload from stripe_events where event_id = %s", made["id"])
    assert payload == json.loads(body(made))
