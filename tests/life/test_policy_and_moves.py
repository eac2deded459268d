"""What a reschedule does to the refund: it counts for the side that made it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bookingapp.core.clock import iso, utcnow
from tests.life.road import Road, Trip

CANCELED, CREATED = "invitee.canceled", "invitee.created"
ORDERS = [(CANCELED, CREATED), (CREATED, CANCELED)]
DAYS = 24.0


def in_hours(hours: float) -> str:
    """A time from now, as Calendly writes it."""
    return iso((utcnow() + timedelta(hours=hours)).replace(microsecond=0))


def offered(trip: Trip) -> int:
    """What the cancel page promises."""
    preview = trip.browser.page(f"/bookings/{trip.ref}/cancel")
    return int(str(preview.one("[data-refund-minor]")["data-refund-minor"]))


def cancel(trip: Trip) -> list[int]:
    """Cancel on the booking's page; what has moved in the end."""
    assert trip.browser.submit(f"/bookings/{trip.ref}/cancel").status_code == 303
    trip.road.live.work()
    return trip.ledger()


@pytest.mark.parametrize("order", ORDERS)
def test_a_host_who_moves_it_close_takes_no_refund_away(road: Road, order: tuple[str, ...]) -> None:
    """From 8 days ahead to 3 hours ahead: all of it still goes back."""
    trip = road.confirmed(start_time=in_hours(8 * DAYS))
    trip.move(start_time=in_hours(3), by_host=True, deliver=order)
    assert offered(trip) == 6000
    assert cancel(trip) == [6000, -6000]


@pytest.mark.parametrize("order", ORDERS)
def test_a_client_who_moves_it_away_wins_no_refund(road: Road, order: tuple[str, ...]) -> None:
    """5 hours before the start, nothing would go back; 10 days ahead nothing does."""
    trip = road.confirmed(start_time=in_hours(5))
    trip.move(start_time=in_hours(10 * DAYS), by_host=False, deliver=order)
    assert offered(trip) == 0
    words = trip.browser.page(f"/bookings/{trip.ref}/cancel").words
    assert "You rescheduled this session shortly before its start" in words
    assert cancel(trip) == [6000]


def test_until_calendly_says_who_moved_it_nothing_changes(road: Road) -> None:
    """The delivery that names the side may come late: the old start decides meanwhile, in both directions."""
    far, near = (road.confirmed(start_time=in_hours(hours)) for hours in (8 * DAYS, 5))
    far.move(start_time=in_hours(3), by_host=True, deliver=(CREATED,))
    near.move(start_time=in_hours(10 * DAYS), by_host=False, deliver=(CREATED,))
    assert (offered(far), offered(near)) == (6000, 0)


def test_who_moves_it_away_keeps_what_there_was(road: Road) -> None:
    """A host who moves it away may be canceled on; a client who moves it early keeps the full refund."""
    host, client = road.confirmed(start_time=in_hours(5)), road.confirmed(start_time=in_hours(3 * DAYS))
    host.move(start_time=in_hours(10 * DAYS), by_host=True)
    client.move(start_time=in_hours(10 * DAYS), by_host=False)
    assert (offered(host), offered(client)) == (6000, 6000)
    client.move(start_time=in_hours(3), by_host=False)
    assert offered(client) == 0


def test_a_nearer_time_is_the_clients_own_choice(road: Road) -> None:
    """However little the host moved it before. A later one is not: the old time still counts."""
    nearer, later = (
        road.confirmed(start_time=in_hours(8 * DAYS)),
        road.confirmed(start_time=in_hours(8 * DAYS)),
    )
    nearer.move(start_time=in_hours(8 * DAYS + 1), by_host=True)
    nearer.move(start_time=in_hours(2), by_host=False)
    assert offered(nearer) == 0
    later.move(start_time=in_hours(3), by_host=True)
    later.move(start_time=in_hours(5), by_host=False)
    assert offered(later) == 6000


def test_a_move_before_the_payment_does_not_count(road: Road) -> None:
    """Who pays knows the time that is paid for."""
    trip = road.scheduled(start_time=in_hours(5))
    trip.move(start_time=in_hours(10 * DAYS), by_host=False)
    trip.pay()
    assert offered(trip) == 6000


@pytest.mark.parametrize(("by_host", "refund"), [(True, 6000), (False, 0)])
def test_a_move_while_the_payment_is_under_way_counts(road: Road, by_host: bool, refund: int) -> None:
    """The page named the time that was paid for, however long the bank needs."""
    trip = road.scheduled(start_time=in_hours(13 * DAYS))
    road.live.hands.control(f"stripe/sessions/{trip.open_checkout()}/pay", method="delayed")
    road.live.work()
    trip.move(start_time=in_hours(3), by_host=by_host)
    if not by_host:
        trip.move(start_time=in_hours(12 * DAYS), by_host=False)
    (checkout,) = trip.sessions()
    road.live.hands.control(f"stripe/payments/{checkout['payment_intent']}/settle", outcome="succeeded")
    road.live.work()
    assert trip.truth == ("confirmed", "paid")
    assert offered(trip) == refund
    assert cancel(trip) == ([6000, -6000] if refund else [6000])


def test_both_sides_read_who_moved_it(road: Road) -> None:
    """The builder on the dashboard and in the evidence, the client in the policy before the payment."""
    trip = road.scheduled(start_time=in_hours(8 * DAYS))
    assert "If you reschedule, it never gets larger." in trip.page.words
    trip.pay()
    trip.move(start_time=in_hours(3), by_host=True)
    trip.move(start_time=in_hours(9 * DAYS), by_host=False)
    page = road.live.browser("ada").page(trip.dashboard).words
    assert "Rescheduled by the builder from" in page
    assert "Rescheduled by the client from" in page
