"""Scenarios 24 and 25: the refund of a cancellation close to the start."""

from __future__ import annotations

from tests.life.road import BUILDER, CLIENT, Road, name_of
from tests.mailbox import text


def test_scenario_24_the_client_cancels_in_the_last_hours(road: Road) -> None:
    """No refund, and that was said before: when it was booked, and once more before the click."""
    said = "Cancel less than 12 hours before the start: there is no refund."
    form = road.live.browser().page(f"/builders/ada/session-types/{road.book().event_type}")
    assert said in form.words
    trip = road.confirmed()
    road.begin_in(trip, 11.9)
    preview = trip.browser.page(f"/bookings/{trip.ref}/cancel")
    found = preview.one("[data-refund-minor]")
    assert (found["data-refund-minor"], found["data-currency"]) == ("0", "GBP")
    assert "It starts too soon for a refund." in preview.words
    assert said in preview.words
    assert trip.press("cancel").status_code == 303
    road.live.work()
    assert trip.truth == ("canceled", "paid")
    assert trip.ledger() == [6000]
    assert trip.calendly_event()["status"] == "canceled"
    assert "there is no refund" in trip.page.words
    mail = text(road.mails.one(trip.row.client_email, "Canceled"))
    assert "there is no refund" in mail
    assert trip.history()[-1] == "confirmed>canceled"
    again = trip.press("cancel")
    assert again.status_code == 409
    assert "This booking has ended, so it cannot be canceled any more." in again.text


def test_scenario_25_the_builder_cancels_in_calendly(road: Road) -> None:
    """Scenario 25: one hour before the start, as the host: everything is refunded, with an apology."""
    trip = road.confirmed()
    road.begin_in(trip, 1)
    event = name_of(trip.row.event_uri)
    road.live.hands.control(f"calendly/events/{event}/cancel", reason="I am ill")
    road.live.work()
    assert trip.truth == ("canceled", "refunded")
    assert trip.ledger() == [6000, -6000]
    mail = text(road.mails.one(CLIENT, "Canceled"))
    assert "Ada had to cancel your session. We're sorry." in mail
    assert "refunding £60.00 the way you paid" in mail
    assert "You canceled the session" in text(road.mails.one(BUILDER, "Canceled"))
    assert trip.history()[-1] == "confirmed>canceled"
    assert trip.row.slot_source == "webhook"


def test_scenario_25_the_client_cancels_in_calendly(road: Road) -> None:
    """The same hour before the start, as the invitee: the policy applies."""
    trip = road.confirmed()
    road.begin_in(trip, 1)
    road.live.hands.control(f"calendly/invitees/{name_of(trip.row.invitee_uri)}/cancel")
    road.live.work()
    assert trip.truth == ("canceled", "paid")
    assert trip.ledger() == [6000]
    assert "as you asked" in text(road.mails.one(CLIENT, "Canceled"))
