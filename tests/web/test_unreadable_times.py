"""A time that Calendly does not let us read: the builder is told what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bookingapp.bookings.models import Booking
from tests import fakes
from tests.factories import facts
from tests.pages import PageClient
from tests.web.conftest import Offer

LogIn = Callable[[Offer], PageClient]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "connect an account here that may see it"),
        ({"required_scopes": ["scheduled_events:read"]}, "lacks the permission scheduled_events:read"),
    ],
)
def test_a_403_on_the_read_back(
    client: PageClient,
    ada: Offer,
    book: Callable[..., Booking],
    log_in: LogIn,
    calendly_wire: fakes.Calendly,
    body: dict[str, Any],
    words: str,
) -> None:
    """The client is not refused, and the dashboard says why nothing comes."""
    booking = book()
    slot = facts(booking)
    calendly_wire.status, calendly_wire.trouble = 403, body
    claim = {"event_uri": slot.event_uri, "invitee_uri": slot.invitee_uri}
    assert client.submit(f"/bookings/{booking.ref}/scheduled", claim).status_code == 303
    page = client.page(f"/bookings/{booking.ref}")
    assert page.one("#booking-status")["data-attention"] == "time_not_readable"
    calendly_wire.status = None
    assert words in log_in(ada).page(f"/dashboard/bookings/{booking.tracking_id}").words
