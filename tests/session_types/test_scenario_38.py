"""Scenario 38: a session type is switched off or deleted in Calendly while people are booking it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.bookings.models import HistoryEntry
from bookingapp.dashboard.booking_words import FLAGS
from tests.live import FREE, HOUR, Live

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
    """The causes of a booking's changes."""
    with live.database() as session:
        query = sa.select(HistoryEntry.cause).where(HistoryEntry.booking_id == live.booking(ref).id)
        return list(session.scalars(query.order_by(HistoryEntry.id)))


@pytest.mark.parametrize("gone", [switched_off, deleted, made_a_poll, vanished])
def test_scenario_38_a_pending_booking_is_told_and_released(live: Live, gone: Gone) -> None:
    """Its pages say so, nobody can pay or schedule, and the history knows why. One row for one change."""
    live.builder()
    browser, ref = live.book()
    gone(live)
    live.work()
    assert live.booking(ref).status == "canceled"
    page = browser.page(f"/bookings/{ref}")
    assert "This session is not offered any more" in page.one("#booking-headline").text
    assert "stopped offering it before you had chosen a time. Nothing was charged." in page.words
    assert page.one("[data-booking-status]")["data-booking-status"] == "canceled"
    assert not page.select("[data-attention]")
    schedule = browser.get(f"/bookings/{ref}/schedule")
    assert (schedule.status_code, schedule.headers["Location"]) == (303, f"/bookings/{ref}")
    assert browser.submit(f"/bookings/{ref}/pay").status_code == 409
    assert history(live, ref) == [CauseCode.SESSION_TYPE_PICKED, CauseCode.TYPE_WITHDRAWN]


@pytest.mark.parametrize("gone", [switched_off, deleted, vanished])
def test_scenario_38_a_time_that_was_given_is_honored(live: Live, gone: Gone) -> None:
    """It stays scheduled and payable; the builder is warned, and the client is told that it stands."""
    live.builder()
    browser, ref = live.book()
    live.choose(browser, ref)
    live.work()
    assert live.booking(ref).status == "scheduled"
    gone(live)
    live.work()
    booking = live.booking(ref)
    assert (booking.status, booking.attention) == ("scheduled", FlagCode.TYPE_WITHDRAWN)
    page = browser.page(f"/bookings/{ref}")
    assert "Your booking stands" in page.words
    assert page.one("#pay-button")
    paid = browser.submit(f"/bookings/{ref}/pay")
    assert paid.status_code == 303
    assert paid.headers["Location"].startswith(live.hands.base)
    dashboard = live.browser("ada").page("/dashboard")
    attention = dashboard.one("section[aria-labelledby=attention-title]")
    assert str(FLAGS[FlagCode.TYPE_WITHDRAWN]) in attention.text


def test_scenario_38_a_confirmed_session_is_honored(live: Live) -> None:
    """Likewise."""
    live.builder(types={FREE: {"price_minor": 0}})
    browser, ref = live.book(FREE)
    live.choose(browser, ref, FREE)
    live.work()
    live.hands.control(f"calendly/event-types/{FREE}/delete")
    live.work()
    booking = live.booking(ref)
    assert (booking.status, booking.attention) == ("confirmed", FlagCode.TYPE_WITHDRAWN)
    assert (
        live.browser("ada")
        .page(f"/dashboard/bookings/{ref}")
        .words.count(str(FLAGS[FlagCode.TYPE_WITHDRAWN]))
        == 1
    )


@pytest.mark.any_database
def test_scenario_38_whoever_has_a_time_that_we_were_not_told_of_is_asked_for_first(live: Live) -> None:
    """The invitee's webhook is lost and the type's arrives: the time is honored all the same."""
    live.builder()
    browser, ref = live.book()
    live.fault("drop", remaining=1)
    live.choose(browser, ref)
    switched_off(live)
    live.work()
    booking = live.booking(ref)
    assert (booking.status, booking.attention) == ("scheduled", FlagCode.TYPE_WITHDRAWN)


def test_scenario_38_it_comes_back(live: Live) -> None:
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


def test_scenario_38_the_last_word_counts_in_any_order(live: Live) -> None:
    """Switched off and on again, and the two deliveries change places: nobody is released."""
    live.builder()
    _, ref = live.book()
    live.fault("reorder", remaining=1)
    switched_off(live)
    live.hands.control(f"calendly/event-types/{HOUR}", active=True)
    live.work()
    assert live.booking(ref).status == "pending"


def test_scenario_38_a_more_serious_reason_stays(live: Live) -> None:
    """What a person has to act on is not written over by what only explains."""
    live.builder()
    browser, ref = live.book()
    live.choose(browser, ref, payment=PAYMENT)
    live.work()
    reason = live.booking(ref).attention
    assert reason
    switched_off(live)
    live.work()
    assert live.booking(ref).attention == reason


def test_scenario_38_calendly_is_silent_when_it_matters(live: Live) -> None:
    """Then nobody is released on a guess; it is done when Calendly answers."""
    live.builder()
    _, ref = live.book()
    live.fault("500", path_prefix="/calendly-api")
    switched_off(live)
    live.work()
    assert live.booking(ref).status == "pending"
    (job,) = live.jobs("session_types.look")
    assert job.state == "failed"


def test_scenario_38_an_event_without_a_type_is_no_error(live: Live) -> None:
    """Calendly may leave out the type of an event whose type is deleted: our signed reference has to do."""
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
    """With their last name, their price and what is ahead of them."""
    live.builder(types={HOUR: {}, FREE: {"price_minor": 0}})
    browser, ref = live.book()
    live.choose(browser, ref)
    live.work()
    deleted(live)
    live.hands.control(f"calendly/event-types/{FREE}/delete")
    live.work()
    page = live.browser("ada").page("/dashboard/session-types")
    hour, free = page.one(f"[data-gone={HOUR}]"), page.one(f"[data-gone={FREE}]")
    for words in ("60 Minute Consultation", "Gone from Calendly", "£60.00", "1 booked session ahead"):
        assert words in hour.text
    assert "No booked session ahead" in free.text
    assert not page.select(f"#session-type-{HOUR}")


PAYMENT: dict[str, Any] = {
    "external_id": "ch_of_calendly",
    "provider": "stripe",
    "amount": 60.0,
    "currency": "GBP",
    "terms": "",
    "successful": True,
}
