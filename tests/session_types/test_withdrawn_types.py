"""A session type is switched off or deleted in Calendly while people are booking it (scenario 38)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.bookings.models import HistoryEntry
from bookingapp.bookings.withdrawn_types import CHECK_TYPE_JOB
from bookingapp.dashboard.words.bookings import FLAGS
from tests.live import FREE, HOUR, Live
from tests.session_types.test_paid_in_calendly import PAYMENT

Gone = Callable[[Live], None]


def switched_off(live: Live) -> None:
    live.hands.control(f"calendly/event-types/{HOUR}", active=False)


def deleted(live: Live) -> None:
    live.hands.control(f"calendly/event-types/{HOUR}/delete")


def made_a_poll(live: Live) -> None:
    live.hands.control(f"calendly/event-types/{HOUR}", booking_method="poll")


def vanished(live: Live) -> None:
    """Deleted so thoroughly that Calendly does not know it any more, not even by its id."""
    live.hands.control(f"calendly/event-types/{HOUR}/delete")
    live.hands.server.sandbox.store.delete("event_type", HOUR)


def history(live: Live, ref: str) -> list[str]:
    with live.database() as session:
        query = sa.select(HistoryEntry.cause).where(HistoryEntry.booking_id == live.booking(ref).id)
        return list(session.scalars(query.order_by(HistoryEntry.id)))


def test_a_client_finds_it_gone(live: Live) -> None:
    """No webhook said so: who opens the list of times makes us ask, once, and their page says it."""
    live.builder()
    browser, ref = live.book()
    live.fault("drop")
    vanished(live)
    for _ in range(2):
        page = browser.page(f"/bookings/{ref}/times")
        assert "The calendar does not know this any more." in page.words
    assert [len(live.jobs(CHECK_TYPE_JOB)), live.booking(ref).status] == [1, "pending"]
    live.work()
    assert (
        "This session is no longer offered" in browser.page(f"/bookings/{ref}").one("#booking-headline").text
    )


@pytest.mark.parametrize("gone", [switched_off, deleted, made_a_poll, vanished])
def test_a_pending_booking_is_released(live: Live, gone: Gone) -> None:
    """Scenario 38: its pages say so, it can neither be paid nor scheduled, and the history has one row for it."""
    live.builder()
    browser, ref = live.book()
    gone(live)
    live.work()
    assert live.booking(ref).status == "canceled"
    page = browser.page(f"/bookings/{ref}")
    assert "This session is no longer offered" in page.one("#booking-headline").text
    assert "stopped offering it before you had chosen a time. Nothing was charged." in page.words
    assert page.one("[data-booking-status]")["data-booking-status"] == "canceled"
    assert not page.select("[data-attention]")
    schedule = browser.get(f"/bookings/{ref}/schedule")
    assert (schedule.status_code, schedule.headers["Location"]) == (303, f"/bookings/{ref}")
    assert browser.submit(f"/bookings/{ref}/pay").status_code == 409
    assert history(live, ref) == [CauseCode.SESSION_TYPE_PICKED, CauseCode.TYPE_WITHDRAWN]


@pytest.mark.parametrize("gone", [switched_off, deleted, vanished])
def test_a_time_that_was_given_is_honored(live: Live, gone: Gone) -> None:
    """Scenario 38: it stays scheduled and payable; the builder is warned, and the client reads that it is valid."""
    live.builder()
    browser, ref = live.scheduled()
    assert live.booking(ref).status == "scheduled"
    gone(live)
    live.work()
    booking = live.booking(ref)
    assert (booking.status, booking.attention) == ("scheduled", FlagCode.TYPE_WITHDRAWN)
    page = browser.page(f"/bookings/{ref}")
    assert "You are still booked" in page.words
    assert page.one("#pay-button")
    paid = browser.submit(f"/bookings/{ref}/pay")
    assert paid.status_code == 303
    assert paid.headers["Location"].startswith(live.hands.base)
    dashboard = live.browser("ada").page("/dashboard")
    attention = dashboard.one("section[aria-labelledby=attention-title]")
    assert str(FLAGS[FlagCode.TYPE_WITHDRAWN]) in attention.text


def test_a_confirmed_session_is_honored(live: Live) -> None:
    live.builder(types={FREE: {"price_minor": 0}})
    _, ref = live.scheduled(FREE)
    live.hands.control(f"calendly/event-types/{FREE}/delete")
    live.work()
    booking = live.booking(ref)
    assert (booking.status, booking.attention) == ("confirmed", FlagCode.TYPE_WITHDRAWN)
    page = live.browser("ada").page(f"/dashboard/bookings/{booking.tracking_id}")
    # At the top, and in the timeline.
    assert page.words.count(str(FLAGS[FlagCode.TYPE_WITHDRAWN])) == 2
    assert page.one("#timeline").text.count(str(FLAGS[FlagCode.TYPE_WITHDRAWN])) == 1


@pytest.mark.any_database
def test_a_time_whose_webhook_was_lost_is_honored(live: Live) -> None:
    """The webhook of the invitee is lost, that of the type arrives: Calendly is asked before a booking is released."""
    live.builder()
    browser, ref = live.book()
    live.fault("drop", remaining=1)
    live.choose(browser, ref)
    switched_off(live)
    live.work()
    booking = live.booking(ref)
    assert (booking.status, booking.attention) == ("scheduled", FlagCode.TYPE_WITHDRAWN)


def test_a_type_that_comes_back(live: Live) -> None:
    """The warning goes, what was released stays released, and it can be booked anew."""
    live.builder()
    browser, ref = live.book()
    live.choose(browser, ref)
    _, waiting = live.book()
    live.work()
    switched_off(live)
    live.work()
    live.hands.control(f"calendly/event-types/{HOUR}", active=True)
    live.work()
    assert live.booking(ref).attention is None
    assert live.booking(waiting).status == "canceled"
    _, again = live.book()
    assert live.booking(again).status == "pending"


def test_deliveries_in_the_wrong_order_release_nothing(live: Live) -> None:
    """Switched off and on again, and the two deliveries change places."""
    live.builder()
    _, ref = live.book()
    live.fault("reorder", remaining=1)
    switched_off(live)
    live.hands.control(f"calendly/event-types/{HOUR}", active=True)
    live.work()
    assert live.booking(ref).status == "pending"


def test_a_more_serious_reason_stays(live: Live) -> None:
    """A flag that asks for an act is not replaced by one that only explains."""
    live.builder()
    _, ref = live.scheduled(payment=PAYMENT)
    reason = live.booking(ref).attention
    assert reason
    switched_off(live)
    live.work()
    assert live.booking(ref).attention == reason


def test_nothing_is_released_while_calendly_is_down(live: Live) -> None:
    live.builder()
    _, ref = live.book()
    live.fault("500", path_prefix="/calendly-api")
    switched_off(live)
    live.work()
    assert live.booking(ref).status == "pending"
    (job,) = live.jobs("session_types.look")
    assert job.state == "failed"


def test_an_event_without_a_type_is_no_error(live: Live) -> None:
    """Calendly may omit the type of an event whose type is deleted: our signed reference is enough."""
    live.builder()
    browser, ref = live.book()
    made = live.choose(browser, ref)
    store = live.hands.server.sandbox.store
    (delivery,) = [row for row in store.all("delivery") if row["event"] == "invitee.created"]
    body = delivery["body"].replace(f'"{live.hands.event_type()}"', "null")
    assert body != delivery["body"]
    store.put("delivery", delivery["id"], {**delivery, "body": body})
    live.hands.control(f"deliveries/{delivery['id']}/resend")
    live.work()
    booking = live.booking(ref)
    assert booking.status == "scheduled"
    assert booking.invitee_uri == made["uri"]
    assert browser.page(f"/bookings/{ref}").one("[data-booking-status=scheduled]")


@pytest.mark.any_database
def test_vanished_types_stay_visible_on_the_dashboard(live: Live) -> None:
    live.builder(types={HOUR: {}, FREE: {"price_minor": 0}})
    live.scheduled()
    deleted(live)
    live.hands.control(f"calendly/event-types/{FREE}/delete")
    live.work()
    page = live.browser("ada").page("/dashboard/session-types")
    hour, free = page.one(f"[data-gone={HOUR}]"), page.one(f"[data-gone={FREE}]")
    for words in ("60 Minute Consultation", "Gone from Calendly", "£60.00", "1 booked session ahead"):
        assert words in hour.text
    assert "No booked session ahead" in free.text
    assert not page.select(f"#session-type-{HOUR}")
