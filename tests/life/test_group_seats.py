"""A group's seat: one person leaves, or nobody comes."""

from __future__ import annotations

import pytest

from bookingapp.bookings.codes import FlagCode
from tests.life.road import BUILDER, CLIENT, Road, name_of
from tests.life.test_groups_and_tabs import GROUP, group, together
from tests.live import press
from tests.mailbox import text

__all__ = ["group"]


def test_one_person_is_removed_and_the_others_stay(group: Road) -> None:
    """The builder is asked to remove one seat in Calendly; the mail and the pages say who stays."""
    first, second = together(group, number=2)
    for trip in (first, second):
        trip.pay()
    builder, path = group.live.browser("maya"), first.dashboard
    page = builder.page(f"{path}/cancel")
    assert "2 of" in page.words and "the others stay booked" in page.words
    assert "time is available again" not in page.words
    assert press(builder, f"{path}/cancel").status_code == 303
    group.live.work()
    assert first.truth == ("canceled", "refunded")
    assert second.truth == ("confirmed", "paid")
    assert first.calendly_event()["status"] == "active"
    assert first.attention() == FlagCode.SEAT_NOT_RELEASED
    # The client is free of all that: nothing is unclear to them.
    assert "checking" not in first.page.words and "does not add up" not in first.page.words
    to_client = text(group.mails.to(CLIENT)[-1])
    assert "your place in this group session" in to_client
    to_builder = text(group.mails.to("maya@example.com")[-1])
    assert "the others stay booked" in to_builder and "available again" not in to_builder


def test_the_last_of_a_group(group: Road) -> None:
    """Once the seat of one is nobody's, the other is alone: page, mail and Calendly agree."""
    first, second = together(group, number=2)
    builder = group.live.browser("maya")
    assert press(builder, f"{first.dashboard}/cancel").status_code == 303
    group.live.work()
    assert first.attention() == FlagCode.SEAT_NOT_RELEASED
    page = builder.page(f"{second.dashboard}/cancel")
    assert not page.select("#cancel-event-button") and "the others stay booked" not in page.words
    assert press(builder, f"{second.dashboard}/cancel").status_code == 303
    group.live.work()
    assert second.calendly_event()["status"] == "canceled"
    assert "its time is available again" in text(group.mails.to("maya@example.com")[-1])
    # Calendly has reported both as canceled: there is nothing to remove any more.
    assert (first.attention(), second.attention()) == (None, None)


@pytest.mark.any_database
def test_canceled_for_everybody(group: Road) -> None:
    """Everybody who booked here gets everything back, and Calendly's event is canceled."""
    trips = together(group, number=3)
    for trip in trips[:2]:
        trip.pay()
    builder, path = group.live.browser("maya"), trips[0].dashboard
    builder.page(f"{path}/cancel").one("#cancel-event-button")
    assert press(builder, f"{path}/cancel-event").status_code == 303
    group.live.work()
    assert [trip.truth[0] for trip in trips] == ["canceled"] * 3
    assert [trip.ledger() for trip in trips] == [[6000, -6000], [6000, -6000], []]
    assert trips[0].calendly_event()["status"] == "canceled"
    assert [trip.attention() for trip in trips] == [None] * 3


def test_seats_are_shown_to_both_sides(group: Road) -> None:
    """How many are taken, as of the newest report."""
    first, second = together(group, number=2)
    for page in (
        first.page,
        second.page,
        group.live.browser("maya").page(first.dashboard),
    ):
        assert "2 of" in page.words and "seats taken" in page.words


def test_a_paid_seat_needs_a_verified_address(group: Road) -> None:
    """Calendly gives no single seat back, so a stranger cannot take one."""
    path = f"/builders/maya/session-types/{GROUP}"
    browser = group.live.browser()
    assert browser.page(path).one("main form[action='/my-bookings']")
    answer = browser.submit(f"{path}/book", {"name": "Eve", "email": "eve@example.net", "timezone": "UTC"})
    assert answer.location == path


def test_a_single_session_is_canceled_as_before(road: Road) -> None:
    """No word of others or of seats."""
    trip = road.confirmed()
    builder, path = road.live.browser("ada"), trip.dashboard
    page = builder.page(f"{path}/cancel")
    assert not page.select("#cancel-event-button") and "seat" not in page.words
    assert press(builder, f"{path}/cancel").status_code == 303
    road.live.work()
    assert "its time is available again" in text(road.mails.to(BUILDER)[-1])


def test_one_leaves_and_another_comes_without_a_word(group: Road) -> None:
    """As many seats are taken as we know of, and the reconciliation still finds both changes."""
    (first,) = together(group, number=1)
    with group.silence():
        second = group.book(GROUP, "maya").choose(start_time=first.calendly_event()["start_time"])
        group.live.hands.control(f"calendly/invitees/{name_of(first.row.invitee_uri)}/cancel")
        group.live.work()
        assert (first.truth[0], second.truth[0]) == ("scheduled", "pending")
        assert group.live.runner().invoke(args=["bookings", "reconcile"]).exit_code == 0
    assert (first.truth[0], second.truth[0]) == ("canceled", "scheduled")
