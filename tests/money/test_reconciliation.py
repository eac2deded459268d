"""What no webhook reported is fetched: every hour, by command, and by the client for one booking."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from click.testing import Result

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.service import EXPIRE_JOB
from bookingapp.bookings.states import Status
from bookingapp.checkout.stripe_check import finding
from bookingapp.checkout.unknown_sessions import RECONCILE_JOB
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.core.jobs import REGISTRY
from bookingapp.core.queue import Job, WorkState
from bookingapp.integrations.stripe_gateway import StripeEvent
from bookingapp.payments import refunds
from bookingapp.payments.models import Payment, RefundState
from bookingapp.sync import reconciliation
from bookingapp.sync.models import Missing, NotFetched, Reconciliation
from bookingapp.webhooks.handlers import Context
from bookingapp.webhooks.models import InboxEvent
from tests.life.road import Road
from tests.live import Live
from tests.money.deals import Deal, open_shop
from tests.pages import HTMX


@pytest.fixture
def missed(live: Live) -> Deal:
    """A booking with a time in Calendly, while no webhook arrives."""
    for provider in ("calendly", "stripe"):
        live.hands.control("faults", provider=provider, kind="drop")
    open_shop(live)
    browser, ref = live.book()
    live.choose(browser, ref)
    return Deal(live, browser, ref)


def pay_unreported(deal: Deal) -> None:
    """Pay, without a delivery, and let Stripe forget the event."""
    deal.live.hands.control("faults", provider="stripe", kind="drop")
    deal.pay()
    deal.live.hands.server.sandbox.store.clear("stripe_event")


def let_attempts_age(live: Live) -> None:
    """The last that we knew of the attempts is two hours old."""
    with live.database() as session, transaction(session):
        session.execute(sa.update(Payment).values(updated_at=utcnow() - timedelta(hours=2), checked_at=None))


def reconcile(live: Live, *ref: str) -> Result:
    return live.runner().invoke(args=["bookings", "reconcile", *ref])


def reports(live: Live) -> list[Reconciliation]:
    with live.database() as session:
        return list(session.scalars(sa.select(Reconciliation).order_by(Reconciliation.id)))


def test_everything_that_was_missed_is_found(live: Live, missed: Deal) -> None:
    """A time, a payment, a refund by hand and a dispute; once, and not again."""
    found = reconcile(live)
    assert found.exit_code == 0, found.output
    assert "went from pending to scheduled" in found.output
    assert missed.truth() == ("scheduled", "none", None)

    missed.pay()
    assert missed.truth() == ("scheduled", "open", None)
    assert "checkout.session.completed" in reconcile(live).output
    assert missed.truth() == ("confirmed", "paid", None)

    missed.refund_by_hand(1000)
    live.hands.control(f"stripe/payments/{missed.intent()}/dispute")
    found = reconcile(live)
    for kind in ("refund.created", "charge.dispute.created"):
        assert kind in found.output
    flags = f"{FlagCode.REFUNDED_OUTSIDE} {FlagCode.DISPUTE_OPEN}"
    assert missed.truth() == ("confirmed", "disputed", flags)
    assert missed.total() == missed.balance()

    again = reconcile(live)
    assert (again.exit_code, again.output) == (0, "nothing was missing\n")
    kept = reports(live)
    assert [bool(report.missing) for report in kept] == [True, True, True, False]
    assert all(report.failed == [] and report.booking_id is None for report in kept)


@pytest.mark.parametrize("what", ["refund", "dispute"])
def test_money_that_went_back_before_its_payment_was_known(live: Live, deal: Deal, what: str) -> None:
    """Its deliveries are over when the payment's arrives: the payment itself says that there is something to fetch."""
    live.hands.control("faults", provider="stripe", kind="drop")
    checkout = deal.pay()
    deal.at_stripe(f"payments/{deal.intent()}/{what}", **({"amount": 1000} if what == "refund" else {}))
    live.hands.control("faults/clear")
    Road(live).resend("checkout.session.completed", checkout)
    assert deal.total() == deal.balance()
    assert deal.truth()[1] == {"refund": "partially_refunded", "dispute": "disputed"}[what]
    assert [kind for kind, _, _ in deal.ledger()][:2] == ["charge", what]


@pytest.mark.any_database
def test_what_is_delivered_later_changes_nothing(live: Live, deal: Deal) -> None:
    live.hands.control("faults", provider="stripe", kind="delay", seconds=3600)
    deal.pay()
    assert "checkout.session.completed" in reconcile(live).output
    live.hands.control("faults/clear")
    live.hands.control("deliveries/retry")
    live.work()
    assert deal.truth() == ("confirmed", "paid", None)
    assert deal.ledger() == [("charge", 6000, "GBP")]
    with live.database() as session:
        query = sa.select(InboxEvent).where(InboxEvent.type == "checkout.session.completed")
        (row,) = session.scalars(query)
    assert (row.state, row.key_index) == (WorkState.DONE, -1)


def test_one_booking(live: Live, missed: Deal) -> None:
    """By its reference; the report says whose."""
    assert "went from pending to scheduled" in reconcile(live, missed.ref).output
    missed.pay()
    found = reconcile(live, missed.ref)
    assert found.exit_code == 0
    for words in ("charge of £60.00 was missing", "the payment was open here, and is paid", "to confirmed"):
        assert words in found.output
    assert missed.truth() == ("confirmed", "paid", None)
    assert reconcile(live, missed.ref).output == "nothing was missing\n"
    assert {report.booking_id for report in reports(live)} == {missed.row.id}
    assert reconcile(live, "nothing-like-it").exit_code != 0


def test_it_is_repeated_every_hour(live: Live, missed: Deal) -> None:
    """Once for all workers, and what it found is kept."""
    with live.database() as session:
        assert REGISTRY[RECONCILE_JOB].ensure_enqueued(session, now=utcnow())
        assert not REGISTRY[RECONCILE_JOB].ensure_enqueued(session, now=utcnow())
    live.work()
    assert missed.truth()[0] == "scheduled"
    done, following = live.jobs(RECONCILE_JOB)
    assert (done.state, following.state) == (WorkState.DONE, WorkState.RECEIVED)
    assert following.run_at - utcnow() <= timedelta(hours=1)
    events, times = reports(live)
    assert (events.with_events, events.missing, events.failed) == (True, [], [])
    change = {"booking_id": missed.row.id, "before": Status.PENDING, "after": Status.SCHEDULED}
    assert times.missing == [finding(Missing.BOOKING_STATUS, **change)]
    assert (times.with_events, times.failed) == (False, [])


@pytest.mark.any_database
def test_other_applications_events_do_not_block_ours(
    live: Live, deal: Deal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of theirs than one reconciliation fetches: each gets further."""
    with live.app.app_context():
        context = services.get(Context)
    now = utcnow()
    theirs = [
        StripeEvent(
            id=f"evt_{number}",
            type="refund.created",
            created=now - timedelta(hours=2),
            livemode=False,
            api_version=None,
            object_type="refund",
            object_id=f"re_{number}",
            data={"id": f"re_{number}", "object": "refund", "payment_intent": f"pi_theirs_{number}"},
        )
        for number in range(3)
    ]
    gateway = type(context.stripe)
    monkeypatch.setattr(gateway, "list_events", lambda *_: tuple(theirs))
    monkeypatch.setattr(gateway, "list_refunds", lambda *_: ())
    monkeypatch.setattr(reconciliation, "AT_A_TIME", 2)
    with live.database() as session:
        REGISTRY[RECONCILE_JOB].ensure_enqueued(session, now=utcnow())
    live.work()
    (report,) = reports(live)
    assert report.failed == [finding(NotFetched.MORE_EVENTS, most=2, found=3)]
    assert reconcile(live).output == "nothing was missing\n"
    with live.database() as session:
        fetched = set(session.scalars(sa.select(InboxEvent.event_key)))
    assert fetched.issuperset(event.id for event in theirs)


def test_the_hour_asks_about_money_under_way(live: Live, deal: Deal) -> None:
    """Each booking in a row of its own."""
    pay_unreported(deal)
    let_attempts_age(live)
    with live.database() as session:
        REGISTRY[RECONCILE_JOB].ensure_enqueued(session, now=utcnow())
    live.work()
    assert deal.truth() == ("confirmed", "paid", None)
    (report,) = [report for report in reports(live) if report.missing]
    assert report.booking_id == deal.row.id


@pytest.mark.any_database
@pytest.mark.parametrize("provider", ["stripe", "calendly"])
def test_a_provider_that_is_down_is_asked_again(live: Live, deal: Deal, provider: str) -> None:
    """The command says so and fails; what the other knows is recorded; the next one goes back as far."""
    live.hands.control("faults", provider="stripe", kind="drop")
    deal.pay()
    live.hands.control("faults", provider=provider, kind="500")
    failed = reconcile(live)
    assert failed.exit_code == 1
    assert "not everything could be fetched" in failed.output
    assert deal.truth()[0] == ("confirmed" if provider == "calendly" else "scheduled")
    live.hands.control("faults/clear")
    with live.database() as session, transaction(session):
        long_ago = utcnow() - timedelta(hours=5)
        session.execute(sa.update(Reconciliation).values(at=long_ago))
    reconcile(live)
    assert deal.truth() == ("confirmed", "paid", None)


@pytest.mark.any_database
def test_a_refund_whose_job_is_dead_is_enqueued_again(live: Live, deal: Deal) -> None:
    deal.pay()
    assert deal.press("cancel").status_code == 303
    with live.database() as session, transaction(session):
        session.execute(sa.update(Job).where(Job.name == refunds.REFUND_JOB).values(state=WorkState.DEAD))
    live.work()
    assert deal.refunds() == []
    assert reconcile(live, deal.ref).exit_code == 0
    live.work()
    assert deal.refunds() == [(6000, "gbp", "succeeded")]
    assert [row.state for row in deal.refund_rows()] == [RefundState.SUCCEEDED]


def test_a_hold_whose_job_is_dead_still_ends(live: Live, deal: Deal) -> None:
    deal.open_checkout()
    deal.hold_is_over()
    with live.database() as session, transaction(session):
        ends = sa.update(Job).where(Job.name == EXPIRE_JOB)
        session.execute(ends.values(state=WorkState.DEAD, finished_at=utcnow()))
    live.work()
    assert deal.truth()[0] == "scheduled"
    assert reconcile(live).exit_code == 0
    live.work()
    assert deal.truth()[:2] == ("expired", "expired")
    assert [row["status"] for row in deal.sessions()] == ["expired"]


@pytest.mark.any_database
def test_money_without_an_event_is_fetched(live: Live, deal: Deal) -> None:
    """For an attempt whose page was opened an hour ago."""
    pay_unreported(deal)
    assert reconcile(live).output == "nothing was missing\n"
    let_attempts_age(live)
    assert "charge of £60.00 was missing" in reconcile(live).output
    assert deal.truth() == ("confirmed", "paid", None)


def test_the_client_can_have_stripe_asked(live: Live, deal: Deal) -> None:
    """The button on the truth page, without any script."""
    assert deal.page.select("#check-button") == []
    live.hands.control("faults", provider="stripe", kind="drop")
    deal.pay()
    button = deal.page.one("#check-button")
    assert button.get_text(strip=True) == "Check with Stripe now"
    form = button.find_parent("form")
    assert form is not None and form["method"] == "post"
    answer = deal.press("check")
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/bookings/{deal.ref}"
    assert deal.truth() == ("confirmed", "paid", None)
    assert deal.page.select("#check-button") == []


def test_htmx_gets_the_live_part(live: Live, deal: Deal) -> None:
    live.hands.control("faults", provider="stripe", kind="drop")
    deal.pay()
    answer = deal.press("check", headers=HTMX)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert 'id="booking-status"' in answer.text
    assert 'data-booking-status="confirmed"' in answer.text
    assert "HX-Request" in answer.headers["Vary"]


def test_asking_is_limited(live: Live, deal: Deal) -> None:
    """Six times a minute for a booking. An unknown booking is not found."""
    deal.open_checkout()
    statuses = [deal.press("check").status_code for _ in range(7)]
    assert statuses == [303] * 6 + [429]
    assert deal.browser.submit("/bookings/nothing-like-it/check").status_code == 404


def test_stripe_that_is_down_is_said_in_words(live: Live, deal: Deal) -> None:
    deal.open_checkout()
    live.hands.control("faults", provider="stripe", kind="500")
    answer = deal.press("check")
    assert answer.status_code == 503
    assert "payment service is not answering" in answer.text
    assert deal.truth() == ("scheduled", "open", None)
