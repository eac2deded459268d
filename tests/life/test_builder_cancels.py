"""A builder cancels a session on the dashboard, and resolves a flag."""

from __future__ import annotations

import pytest

from bookingapp.bookings.codes import FlagCode
from bookingapp.dashboard.words.bookings import FLAGS
from tests.life.road import BUILDER, CLIENT, Road
from tests.live import KENJI, press
from tests.mailbox import text


@pytest.mark.any_database
@pytest.mark.parametrize("hours", [30, 1])
def test_everything_goes_back(road: Road, hours: int) -> None:
    """Whenever it is: preview and result are the same, the client gets an apology, the time is released."""
    trip = road.confirmed()
    road.begin_in(trip, hours)
    builder, path = road.live.browser("ada"), trip.dashboard
    assert builder.page(path).one("#cancel-link")["href"] == f"{path}/cancel"
    preview = builder.page(f"{path}/cancel")
    found = preview.one("[data-refund-minor]")
    assert (found["data-refund-minor"], found["data-currency"]) == ("6000", "GBP")
    assert "Grace Hall gets £60.00 back" in preview.words
    assert press(builder, f"{path}/cancel").status_code == 303
    road.live.work()
    assert trip.truth == ("canceled", "refunded")
    assert trip.ledger() == [6000, -6000]
    assert trip.calendly_event()["status"] == "canceled"
    assert "Ada had to cancel your session. We're sorry." in text(road.mails.one(CLIENT, "Canceled"))
    assert "You canceled the session" in text(road.mails.one(BUILDER, "Canceled"))
    assert trip.history()[-1] == "confirmed>canceled"
    assert "the builder · canceled on the dashboard" in builder.page(path).one("#timeline").text
    assert press(builder, f"{path}/cancel").status_code == 409
    refused = builder.get(f"{path}/cancel")
    assert refused.status_code == 409
    assert "This booking has ended, so it cannot be canceled any more." in refused.text
    assert not builder.page(path).select("#cancel-link")


@pytest.mark.parametrize("by_builder", [True, False])
def test_an_unpaid_one(road: Road, by_builder: bool) -> None:
    """Scenario 21: nothing is refunded, and the open Checkout page is closed; also where the client cancels."""
    trip = road.scheduled()
    trip.open_checkout()
    browser = road.live.browser("ada") if by_builder else trip.browser
    path = f"{trip.dashboard if by_builder else f'/bookings/{trip.ref}'}/cancel"
    preview = browser.page(path)
    assert preview.one("[data-refund-minor]")["data-refund-minor"] == "0"
    assert "Nothing was charged" in preview.words
    assert (press(browser, path) if by_builder else trip.press("cancel")).status_code == 303
    road.live.work()
    assert trip.truth == ("canceled", "expired")
    assert [one["status"] for one in trip.sessions()] == ["expired"]
    assert trip.calendly_event()["status"] == "canceled"


def test_another_builders_booking(road: Road) -> None:
    """It is not found, whatever is tried with it."""
    road.live.builder("kenji", KENJI)
    trip = road.confirmed()
    other, path = road.live.browser("kenji"), trip.dashboard
    assert other.get(f"{path}/cancel").status_code == 404
    for action in ("cancel", "no-show", "seen"):
        assert press(other, f"{path}/{action}").status_code == 404
        assert road.live.browser().post(f"{path}/{action}").status_code in (302, 303, 400, 401)
    assert trip.truth == ("confirmed", "paid")


def test_moving_leads_to_calendly(road: Road) -> None:
    """The client to the page of the invitee's own link, through which a move counts as theirs; the builder has an
    account there.
    """
    trip = road.confirmed()
    address = trip.row.reschedule_url
    assert address is not None and address.startswith(road.live.hands.base)
    builder = road.live.browser("ada").page(trip.dashboard)
    builder.one("#reschedule-hint")
    assert not builder.select(f"a[href='{address}']")
    assert trip.page.one("#reschedule-link")["href"] == address


def test_a_flag_stays_until_it_is_resolved(road: Road) -> None:
    """Then the history keeps its reason."""
    trip = road.confirmed()
    trip.move(deliver=("invitee.canceled",))
    road.live.hands.server.sandbox.store.delete("invitee", trip.invitee["uri"].rpartition("/")[2])
    road.let_pass("calendly.follow_move:")
    builder, path = road.live.browser("ada"), trip.dashboard
    road.live.work()
    assert trip.attention() == FlagCode.RESCHEDULED_UNKNOWN
    assert builder.page(path).one("#seen-button")
    assert press(builder, f"{path}/seen").status_code == 303
    assert trip.attention() is None
    page = builder.page(path)
    assert not page.select("#seen-button")
    assert str(FLAGS[FlagCode.RESCHEDULED_UNKNOWN]) in page.one("#timeline").text
    assert press(builder, f"{path}/seen").status_code == 303
