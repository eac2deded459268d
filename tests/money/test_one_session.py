"""At most one open Checkout Session for a booking, also of those whose id was never stored."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.payments.models import Payment, PaymentState
from tests.life.road import create_checkout
from tests.live import Live
from tests.money.deals import Deal

CLICKS = 20


def open_sessions(deal: Deal) -> list[dict[str, Any]]:
    """Those of Stripe's Checkout Sessions that can be paid."""
    return [row for row in deal.sessions() if row["status"] == "open"]


def crash_before_storing(live: Live, deal: Deal) -> None:
    """Press Pay; Stripe creates the session, and we crash before its answer is stored."""
    deal.open_checkout()
    forgotten = {"checkout_session_id": None, "checkout_url": None, "state": PaymentState.STARTING}
    with live.database() as session, transaction(session):
        session.execute(sa.update(Payment).values(**forgotten))


@pytest.mark.any_database
def test_twenty_clicks_at_once_open_one_session(live: Live, deal: Deal) -> None:
    """Over HTTP, from twenty threads: all are led to the same page."""
    url = f"/bookings/{deal.ref}/pay"
    browsers = [live.browser() for _ in range(CLICKS)]
    tokens = [browser.token() for browser in browsers]

    def click(number: int) -> tuple[int, str | None]:
        answer = browsers[number].post(url, data={"csrf_token": tokens[number]})
        return answer.status_code, answer.headers.get("Location")

    with ThreadPoolExecutor(CLICKS) as pool:
        answers = list(pool.map(click, range(CLICKS)))
    (session,) = deal.sessions()
    assert {status for status, _ in answers} <= {303, 503}
    assert {location for status, location in answers if status == 303} == {session["url"]}
    assert deal.attempts() == [PaymentState.OPEN]
    assert deal.open_checkout() == session["id"]


def test_after_a_crash_the_same_session_is_found_again(live: Live, deal: Deal) -> None:
    crash_before_storing(live, deal)
    (session,) = open_sessions(deal)
    assert deal.open_checkout() == session["id"]
    assert len(deal.sessions()) == 1


@pytest.mark.any_database
@pytest.mark.parametrize("end", ["canceled", "expired"])
def test_after_a_crash_the_end_of_the_booking_ends_the_orphan(live: Live, deal: Deal, end: str) -> None:
    """It cannot be paid any more, and its attempt has ended too."""
    crash_before_storing(live, deal)
    if end == "canceled":
        deal.cancel()
    else:
        deal.let_the_hold_end()
    assert [row["status"] for row in deal.sessions()] == ["expired"]
    assert deal.attempts() == [PaymentState.EXPIRED]
    assert deal.truth()[:2] == (end, "expired")


@pytest.mark.any_database
def test_an_orphan_that_appears_after_the_end_is_ended_too(live: Live, deal: Deal) -> None:
    """The request to Stripe was still on its way at first: Stripe is asked once more when it cannot be any longer."""
    crash_before_storing(live, deal)
    (orphan,) = deal.sessions()
    live.hands.control("faults", provider="stripe", kind="drop")
    live.hands.control(f"stripe/sessions/{orphan['id']}/expire")
    deal.cancel()
    assert deal.attempts() == [PaymentState.EXPIRED]
    late = create_checkout(live, deal.row.tracking_id, "on-its-way", orphan["metadata"])
    deal.hurry("orphan:")
    assert {row["id"]: row["status"] for row in deal.sessions()}[late] == "expired"
    assert deal.attempts() == [PaymentState.EXPIRED]


def test_an_attempt_that_was_never_made_ends_with_its_booking(live: Live, deal: Deal) -> None:
    live.hands.control("faults", provider="stripe", kind="500", path_prefix="/stripe-api/v1/checkout")
    assert deal.press("pay").status_code == 503
    live.hands.control("faults/clear")
    assert deal.attempts() == [PaymentState.STARTING]
    deal.cancel()
    assert deal.sessions() == []
    assert deal.attempts() == [PaymentState.EXPIRED]
    assert deal.truth()[1] == "expired"


@pytest.mark.any_database
def test_a_moved_time_leaves_no_orphan(live: Live, deal: Deal) -> None:
    """After a crash, another description under the same key is refused: the session of the first attempt is expired,
    and the next attempt is made.
    """
    crash_before_storing(live, deal)
    deal.begins_in(100)
    second = deal.open_checkout()
    assert {row["id"]: row["status"] for row in deal.sessions()}[second] == "open"
    assert len(open_sessions(deal)) == 1
    assert deal.attempts() == [PaymentState.EXPIRED, PaymentState.OPEN]


@pytest.mark.any_database
def test_paid_through_one_attempt_ends_the_other(live: Live, deal: Deal) -> None:
    """A first page, paid in the moment in which a second one was opened."""
    first = deal.open_checkout()
    with live.database() as session, transaction(session):
        session.execute(sa.update(Payment).values(state=PaymentState.FAILED, updated_at=utcnow()))
    second = deal.open_checkout()
    assert second != first
    deal.pay(first)
    assert deal.truth() == ("confirmed", "paid", None)
    assert {row["id"]: row["status"] for row in deal.sessions()}[second] == "expired"
