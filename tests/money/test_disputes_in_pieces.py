"""Disputes of one payment in several pieces, and one whose end is changed: each counts by itself."""

from __future__ import annotations

from typing import Any

import pytest

from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.payments.models import RefundState
from bookingapp.sandbox.stripe.balance import record_movement
from bookingapp.sandbox.stripe.events import publish_event
from bookingapp.sandbox.stripe.objects import new_dispute
from tests.live import Live
from tests.money.deals import Deal

INQUIRY, REAL = "warning_needs_response", "needs_response"


def dispute(live: Live, deal: Deal, *, amount: int, status: str = REAL) -> dict[str, Any]:
    """The bank disputes a piece of the payment; an inquiry withdraws nothing."""
    sandbox = live.hands.server.sandbox
    intent = sandbox.store.get("payment_intent", deal.intent())
    assert intent is not None
    charge = sandbox.store.get("charge", intent["latest_charge"])
    assert charge is not None
    made = {**new_dispute(charge, "fraudulent"), "amount": amount, "status": status}
    if status == REAL:
        made["balance_transactions"].append(record_movement(sandbox, made, -amount, "dispute", 0))
    sandbox.store.put("dispute", made["id"], made)
    publish_event(sandbox, "charge.dispute.created", made)
    live.work()
    return made


def close(live: Live, made: dict[str, Any], status: str) -> None:
    """The bank decides on one piece, or decides otherwise than before."""
    sandbox = live.hands.server.sandbox
    made["status"] = status
    if status == "won":
        made["balance_transactions"].append(
            record_movement(sandbox, made, made["amount"], "dispute_reversal")
        )
    sandbox.store.put("dispute", made["id"], made)
    publish_event(sandbox, "charge.dispute.closed", made)
    live.work()


def test_one_piece_that_is_decided_leaves_the_other_to_be_answered(live: Live, deal: Deal) -> None:
    """The flag stays until the bank has decided on the last one."""
    deal.pay()
    first, second = (dispute(live, deal, amount=3000) for _ in range(2))
    close(live, first, "won")
    assert deal.truth()[1:] == ("disputed", FlagCode.DISPUTE_OPEN)
    close(live, second, "won")
    assert deal.truth()[1:] == ("paid", None)


def test_a_lost_piece_is_not_held_by_a_later_inquiry(live: Live, deal: Deal) -> None:
    """The client has it already: nothing of it is promised once more when the inquiry ends."""
    deal.pay()
    close(live, dispute(live, deal, amount=2000), "lost")
    inquiry = dispute(live, deal, amount=4000, status=INQUIRY)
    deal.cancel()
    close(live, inquiry, "warning_closed")
    promised = [row.amount_minor for row in deal.refund_rows() if row.state is not RefundState.DROPPED]
    assert promised == [4000]


def test_a_lost_dispute_that_is_won_after_all(live: Live, deal: Deal) -> None:
    """Nothing is lost any more, and nobody is asked to cancel."""
    deal.pay()
    made = dispute(live, deal, amount=6000)
    close(live, made, "lost")
    assert deal.truth()[2] == FlagCode.DISPUTE_LOST
    close(live, made, "won")
    assert deal.truth() == ("confirmed", "paid", None)


@pytest.mark.parametrize(
    ("ends", "is_refused"),
    [(("won", "lost"), False), (("lost", "won"), True)],
    ids=["won first", "lost first"],
)
def test_a_canceled_booking_whose_pieces_end_differently(
    live: Live, deal: Deal, ends: tuple[str, str], is_refused: bool
) -> None:
    """What the bank has returned to the client is not refunded once more, also where Stripe refuses the rest."""
    deal.pay()
    pieces = [dispute(live, deal, amount=3000) for _ in range(2)]
    deal.cancel()
    for piece, end in zip(pieces, ends, strict=True):
        close(live, piece, end)
    tried = [row for row in deal.refund_rows() if row.cause is not CauseCode.WITHHELD_FOR_DISPUTE]
    assert [row.amount_minor for row in tried] == [3000]
    assert deal.refunds() == ([] if is_refused else [(3000, "gbp", "succeeded")])
    assert deal.total() == ({"GBP": 3000} if is_refused else {})
    assert (FlagCode.REFUND_REFUSED in (deal.truth()[2] or "")) is is_refused


def test_a_canceled_booking_whose_pieces_are_both_won(live: Live, deal: Deal) -> None:
    """Everything is refunded, though Stripe refuses while the second piece is open."""
    deal.pay()
    pieces = [dispute(live, deal, amount=3000) for _ in range(2)]
    deal.cancel()
    for piece in pieces:
        close(live, piece, "won")
    assert sum(amount for amount, *_ in deal.refunds()) == 6000
    assert deal.total() == {}
    assert deal.truth()[1:] == ("refunded", None)
