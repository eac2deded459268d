"""Scenarios 30 and 31: money in the last second of a hold, and after its end."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from bookingapp.bookings.codes import FlagCode
from bookingapp.checkout.late_payments import LATE_MONEY_JOB
from bookingapp.core import services
from bookingapp.integrations.stripe_gateway import CheckoutRequest, StripeGateway
from tests.life.road import BUILDER, CLIENT, Road, Trip, name_of
from tests.mailbox import text

RETURNED = "We are refunding £60.00 to you"


def expired(road: Road) -> Trip:
    """A booking that was not paid in time: its Checkout page is closed and its time is given back."""
    trip = road.scheduled()
    trip.press_pay()
    road.end_hold(trip)
    assert trip.truth == ("expired", "expired")
    assert trip.calendly_event()["status"] == "canceled"
    return trip


def pay_late(road: Road, trip: Trip) -> None:
    """Stripe has taken money for it all the same: a page of the same attempt that nobody knew of was paid."""
    request = CheckoutRequest(
        client_reference_id=trip.tracking_id,
        amount_minor=6000,
        currency="GBP",
        product_name="An hour",
        description=None,
        customer_email=CLIENT,
        success_url="https://hours.example/paid",
        cancel_url="https://hours.example/",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        metadata={"booking": trip.ref, "attempt": "1"},
    )
    with road.live.database():
        gateway = services.get(StripeGateway)
        checkout = gateway.create_checkout_session(request, idempotency_key=f"late-{trip.ref}")
    road.live.hands.control(f"stripe/sessions/{checkout.id}/pay")
    road.live.work()


def active_invitees(road: Road, trip: Trip) -> list[str]:
    """The ids of the active invitees that carry this booking's reference."""
    context, rows = road.live.context(), road.live.hands.server.sandbox.store.all("invitee", status="active")
    return [
        row["id"]
        for row in rows
        if context.signer.read(row["tracking"]["utm_content"]) == trip.row.tracking_id
    ]


@pytest.mark.any_database
def test_scenario_31_the_slot_is_free(road: Road) -> None:
    """The time is taken again and the booking confirmed; both sides are told once, and no money goes back."""
    trip = expired(road)
    before = trip.row
    pay_late(road, trip)
    assert trip.truth == ("confirmed", "paid")
    after = trip.row
    assert after.starts_at == before.starts_at
    assert after.invitee_uri != before.invitee_uri
    assert active_invitees(road, trip) == [name_of(after.invitee_uri)]
    assert (trip.attention(), trip.ledger()) == (None, [6000])
    assert trip.history()[-3:] == ["scheduled>expired", "expired>paid", "paid>confirmed"]
    assert road.subjects(CLIENT) == ["You are booked", "Your hold has ended"]
    assert road.subjects(BUILDER) == ["New booking"]


@pytest.mark.any_database
def test_scenario_31_the_slot_is_taken(road: Road) -> None:
    """All of it goes back by itself, and the mail offers another time."""
    trip = expired(road)
    start = trip.row.starts_at
    assert start is not None
    road.live.hands.control(
        "calendly/book", event_type=trip.event_type, start_time=start.strftime("%Y-%m-%dT%H:%M:%SZ")
    )
    pay_late(road, trip)
    assert trip.truth == ("expired", "refunded")
    assert trip.ledger() == [6000, -6000]
    assert trip.attention() == FlagCode.LATE_PAYMENT
    assert active_invitees(road, trip) == []
    mail = text(road.mails.one(CLIENT, RETURNED))
    assert "is not available any more" in mail
    assert "choose another time" in mail
    assert "/builders/ada" in mail
    assert trip.history()[-1] == "scheduled>expired"


def test_scenario_31_the_time_is_ours_still(road: Road) -> None:
    """Calendly could not be told of the end, so the time is still there: it is taken as it is, and what was owed to
    Calendly is not done any more.
    """
    trip = road.scheduled()
    trip.press_pay()
    store = road.live.hands.server.sandbox.store
    event = store.get("event", name_of(trip.row.event_uri))
    invitee = store.get("invitee", name_of(trip.row.invitee_uri))
    road.end_hold(trip)
    with road.silence():
        assert event is not None and invitee is not None
        store.put("event", event["id"], event)
        store.put("invitee", invitee["id"], invitee)
    pay_late(road, trip)
    assert trip.truth == ("confirmed", "paid")
    assert name_of(trip.row.invitee_uri) == invitee["id"]
    assert active_invitees(road, trip) == [invitee["id"]]
    assert trip.calendly_event()["status"] == "active"


@pytest.mark.any_database
def test_scenario_31_it_is_never_silently_kept(road: Road) -> None:
    """While Calendly is silent the page says what is going on; after a while of that the money goes back."""
    trip = expired(road)
    road.live.fault("500", path_prefix="/calendly-api")
    pay_late(road, trip)
    assert trip.truth == ("expired", "paid")
    assert trip.attention() == FlagCode.LATE_PAYMENT_CHECKED
    page = trip.page
    assert "Your payment arrived after the hold had ended" in page.one("h1").text
    assert "Nothing was charged" not in page.words
    assert page.one("[data-booking-status]").has_attr("hx-get")
    road.let_wait(trip, minutes=20)
    road.let_pass("late-money:")
    assert trip.truth == ("expired", "refunded")
    assert trip.ledger() == [6000, -6000]
    assert active_invitees(road, trip) == []


@pytest.mark.any_database
def test_scenario_31_the_answer_of_the_new_booking_is_lost(road: Road) -> None:
    """Calendly has booked and we did not hear it: it is found and not booked twice."""
    trip = expired(road)
    with road.silence():
        road.live.fault("lost_answer", path_prefix="/calendly-api/invitees", method="POST", remaining=1)
        pay_late(road, trip)
    assert trip.truth == ("expired", "paid")
    road.let_pass("late-money:")
    assert trip.truth == ("confirmed", "paid")
    assert len(active_invitees(road, trip)) == 1
    road.resend("invitee.created", active_invitees(road, trip)[0])
    assert trip.truth == ("confirmed", "paid")
    assert len(active_invitees(road, trip)) == 1


@pytest.mark.any_database
def test_scenario_31_the_delivery_of_the_new_booking_is_faster(road: Road) -> None:
    """Its webhook comes before our own answer is written down: one confirmation all the same."""
    trip = expired(road)
    road.live.fault("lost_answer", path_prefix="/calendly-api/invitees", method="POST", remaining=1)
    pay_late(road, trip)
    assert trip.truth == ("confirmed", "paid")
    assert len(active_invitees(road, trip)) == 1
    road.let_pass("late-money:")
    assert trip.history()[-2:] == ["expired>paid", "paid>confirmed"]
    assert road.subjects(BUILDER) == ["New booking"]


def test_scenario_31_a_client_who_canceled_gets_it_back(road: Road) -> None:
    """They do not want the time any more, so nobody takes it again."""
    trip = road.scheduled()
    trip.press_pay()
    assert trip.browser.submit(f"/bookings/{trip.ref}/cancel").status_code == 303
    road.live.work()
    pay_late(road, trip)
    assert trip.truth == ("canceled", "refunded")
    assert active_invitees(road, trip) == []
    assert road.live.jobs(LATE_MONEY_JOB) == []


def test_scenario_31_a_session_that_would_have_begun_is_not_taken_again(road: Road) -> None:
    """There is no time to restore."""
    trip = expired(road)
    road.begin_in(trip, -1)
    pay_late(road, trip)
    assert trip.truth == ("expired", "refunded")


@pytest.mark.any_database
@pytest.mark.parametrize("news", ["told", "lost"])
def test_scenario_30_pays_in_the_last_second(road: Road, news: str) -> None:
    """The end of the hold and the payment race: the money is never kept for a booking that has none of its time."""
    trip = road.scheduled()
    checkout = trip.press_pay()
    if news == "lost":
        road.live.hands.control("faults", provider="stripe", kind="drop")
    barrier = threading.Barrier(2)

    def pay() -> None:
        barrier.wait()
        road.live.hands.http.post(
            f"{road.live.hands.base}/control/api/stripe/sessions/{checkout}/pay", json={}, timeout=10
        )

    payer = threading.Thread(target=pay)
    payer.start()
    barrier.wait()
    road.end_hold(trip)
    payer.join()
    road.live.work()
    status, payment = trip.truth
    (session,) = trip.sessions()
    kept = sum(trip.ledger())
    if session["payment_status"] == "paid":
        assert (status, payment, kept) == ("confirmed", "paid", 6000)
        assert trip.calendly_event()["status"] == "active"
    else:
        assert (status, payment, kept) == ("expired", "expired", 0)
        assert trip.calendly_event()["status"] == "canceled"


@pytest.mark.any_database
def test_scenario_30_paid_a_moment_before_the_timer(road: Road) -> None:
    """Stripe has it and nobody told us: the end of the hold finds it."""
    trip = road.scheduled()
    road.live.hands.control("faults", provider="stripe", kind="drop")
    road.live.hands.control(f"stripe/sessions/{trip.press_pay()}/pay")
    road.end_hold(trip)
    assert trip.truth == ("confirmed", "paid")
    assert trip.history()[-2:] == ["scheduled>paid", "paid>confirmed"]
    assert trip.calendly_event()["status"] == "active"


@pytest.mark.any_database
def test_scenario_30_paid_a_moment_after_the_timer(road: Road) -> None:
    """The page is closed by then, and says so: nothing is charged."""
    trip = road.scheduled()
    checkout = trip.press_pay()
    road.end_hold(trip)
    page = road.live.hands.http.get(f"{road.live.hands.base}/stripe-checkout/c/pay/{checkout}", timeout=10)
    assert "no longer open, and nothing was charged" in page.text
    assert trip.truth == ("expired", "expired")
    assert trip.ledger() == []
