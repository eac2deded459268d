"""Scenarios 30 and 31: money in the last second of a hold, and after its end."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from datetime import timedelta

import pytest

from bookingapp.bookings.codes import FlagCode
from bookingapp.checkout.late_payments import LATE_MONEY_JOB
from bookingapp.core.clock import utcnow
from tests.life.road import BUILDER, CLIENT, Road, Trip, create_checkout, name_of
from tests.mailbox import text

RETURNED = "We are refunding £60.00 to you"


def expired(road: Road) -> Trip:
    """A booking that was not paid in time: its Checkout page is closed and its time is released."""
    trip = road.scheduled()
    trip.open_checkout()
    road.end_hold(trip)
    assert trip.truth == ("expired", "expired")
    assert trip.calendly_event()["status"] == "canceled"
    return trip


def pay_late(road: Road, trip: Trip) -> None:
    """The client pays on another Checkout page of the same attempt."""
    checkout = create_checkout(road.live, trip.row.tracking_id, f"late-{trip.ref}")
    road.live.hands.control(f"stripe/sessions/{checkout}/pay")
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
    """The time is taken again and the booking confirmed; one mail to each side, and no refund."""
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


def test_scenario_31_the_slot_is_taken(road: Road) -> None:
    """All of it is refunded, and the mail offers another time."""
    trip = expired(road)
    start = trip.row.starts_at
    assert start is not None
    road.live.hands.control(
        "calendly/book", event_type=trip.event_type, start_time=start.strftime("%Y-%m-%dT%H:%M:%SZ")
    )
    pay_late(road, trip)
    assert trip.truth == ("expired", "refunded")
    assert trip.ledger() == [6000, -6000]
    assert trip.attention() is None
    assert active_invitees(road, trip) == []
    mail = text(road.mails.one(CLIENT, RETURNED))
    assert "is not available any more" in mail
    assert "choose another time" in mail
    assert f"/bookings/{trip.ref}/again" in mail
    assert trip.history()[-1] == "scheduled>expired"


def test_scenario_31_the_time_is_ours_still(road: Road) -> None:
    """The time was not canceled in Calendly: it is taken as it is, and its cancellation is not tried any more."""
    trip = road.scheduled()
    trip.open_checkout()
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
    """While Calendly does not answer the page says what is going on; after a while the payment is refunded."""
    trip = expired(road)
    road.live.fault("500", path_prefix="/calendly-api")
    pay_late(road, trip)
    assert trip.truth == ("expired", "paid")
    assert trip.attention() == FlagCode.LATE_PAYMENT_CHECKED
    page = trip.page
    assert "Your payment arrived after the hold had ended" in page.one("h1").text
    assert "Nothing was charged" not in page.words
    assert page.one("[data-booking-status]").has_attr("hx-get")
    trip.change(restoring_since=utcnow() - timedelta(minutes=20))
    road.let_pass("late-money:")
    assert trip.truth == ("expired", "refunded")
    assert trip.ledger() == [6000, -6000]
    assert active_invitees(road, trip) == []


@pytest.mark.any_database
@pytest.mark.parametrize("is_reported", [True, False])
def test_scenario_31_the_answer_of_the_new_booking_is_lost(road: Road, is_reported: bool) -> None:
    """The new invitee is reported by its webhook, or found, and not created twice: one confirmation."""
    trip = expired(road)
    with nullcontext() if is_reported else road.silence():
        road.live.fault("lost_answer", path_prefix="/calendly-api/invitees", method="POST", remaining=1)
        pay_late(road, trip)
    assert trip.truth == ("confirmed" if is_reported else "expired", "paid")
    road.let_pass("late-money:")
    assert trip.truth == ("confirmed", "paid")
    (invitee,) = active_invitees(road, trip)
    road.resend("invitee.created", invitee)
    assert trip.truth == ("confirmed", "paid")
    assert active_invitees(road, trip) == [invitee]
    assert trip.history()[-2:] == ["expired>paid", "paid>confirmed"]
    assert road.subjects(BUILDER) == ["New booking"]


def test_scenario_31_a_late_payment_is_flagged_until_it_is_refunded(road: Road) -> None:
    """Its builder reads of it while the money is not back, and no longer."""
    trip = road.scheduled()
    trip.open_checkout()
    assert trip.press("cancel").status_code == 303
    road.live.work()
    road.live.hands.control("faults", provider="stripe", kind="500", path_prefix="/stripe-api/v1/refunds")
    pay_late(road, trip)
    assert trip.truth == ("canceled", "paid")
    assert set((trip.attention() or "").split()) == {FlagCode.LATE_PAYMENT, FlagCode.REFUND_DELAYED}
    assert "Paid after the booking had ended" in road.attention_list()
    road.live.hands.control("faults/clear")
    road.let_pass("refund:")
    assert trip.truth == ("canceled", "refunded")
    assert trip.attention() is None
    assert not road.live.browser("ada").page("/dashboard").select("[data-attention]")


def test_scenario_31_a_client_who_canceled_gets_it_back(road: Road) -> None:
    """Scenario 31: they do not want the time any more, so it is not taken again."""
    trip = road.scheduled()
    trip.open_checkout()
    assert trip.press("cancel").status_code == 303
    road.live.work()
    pay_late(road, trip)
    assert trip.truth == ("canceled", "refunded")
    assert (trip.ledger(), trip.attention()) == ([6000, -6000], None)
    assert active_invitees(road, trip) == []
    assert road.live.jobs(LATE_MONEY_JOB) == []


def test_scenario_31_a_session_that_would_have_begun_is_not_taken_again(road: Road) -> None:
    trip = expired(road)
    road.begin_in(trip, -1)
    pay_late(road, trip)
    assert trip.truth == ("expired", "refunded")


@pytest.mark.any_database
@pytest.mark.parametrize("news", ["told", "lost"])
def test_scenario_30_pays_in_the_last_second(road: Road, news: str) -> None:
    """The end of the hold and the payment race: a booking has both the payment and its time, or neither."""
    trip = road.scheduled()
    checkout = trip.open_checkout()
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
