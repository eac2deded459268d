"""On SQLite, where all processes write into one file."""

from __future__ import annotations

from typing import Any

from bookingapp.core.queue import WorkState
from tests.e2e.stack import Stack
from tests.e2e.visitor import Booking, Visitor
from tests.waiting import eventually

from . import paying_first, proofs
from .conftest import LEASE_SECONDS
from .crowd import BUILDER, TYPES
from .ledgers import until_quiet


def test_processes_killed_under_load_lose_nothing_and_repeat_nothing(sqlite_stack: Stack) -> None:
    proofs.kills_lose_nothing_and_repeat_nothing(sqlite_stack)


def test_kills_while_clients_pay_first_lose_nothing(sqlite_stack: Stack) -> None:
    paying_first.kills_between_two_steps_lose_nothing(sqlite_stack)


def test_the_same_delivery_at_once_is_one_row(sqlite_stack: Stack) -> None:
    proofs.the_same_delivery_at_once_is_one_row(sqlite_stack)


def test_an_idle_worker_hears_at_once(sqlite_stack: Stack) -> None:
    proofs.an_idle_worker_hears_at_once(sqlite_stack)


def test_a_web_process_that_dies_is_replaced(sqlite_stack: Stack) -> None:
    name, url = sqlite_stack.webs[-1], sqlite_stack.urls[-1]
    sqlite_stack.wait_for(f"{url}/healthz", name)
    sqlite_stack.kill_inside(name)
    sqlite_stack.wait_for(f"{url}/readyz", name)


def test_a_worker_that_is_terminated_finishes_its_row_and_one_that_is_killed_loses_none(
    sqlite_stack: Stack,
) -> None:
    """Stripe hangs, so that the worker is working on the row when the signal comes."""
    stack, client = sqlite_stack, Visitor(sqlite_stack)
    until_quiet(stack)
    other, worker = stack.workers
    stack.wait_for_worker(other)
    assert stack.end(other) == 0
    try:
        booking, row = _paid_and_in_hand(stack, client)
        stack.kill(worker)
        stack.clear_faults()
        stack.spawn(worker)
        booking.wait("confirmed", "paid", seconds=LEASE_SECONDS + 15)
        assert _ended(stack, booking) == (row, WorkState.DONE, 2)
        until_quiet(stack)
        stack.wait_for_worker(worker)

        booking, row = _paid_and_in_hand(stack, client)
        assert stack.end(worker, meanwhile=stack.clear_faults) == 0
        # No worker runs any more: what is done was done before the end.
        assert _ended(stack, booking) == (row, WorkState.DONE, 1)
        assert client.truth(booking.ref).status == "confirmed"
        assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]
    finally:
        stack.clear_faults()
        for name in stack.workers:
            if not stack.is_running(name):
                stack.spawn(name)
    until_quiet(stack)
    client.http.close()
    stack.check_logs()


def _paid_and_in_hand(stack: Stack, client: Visitor) -> tuple[Booking, int]:
    """A booking whose payment Stripe has just been asked about, and the row of the inbox that caused it."""
    booking = client.book(BUILDER, TYPES[0])
    booking.schedule()
    checkout = booking.open_checkout()
    stack.fault("stripe", "hang", method="GET", path_prefix="/v1/checkout/sessions", remaining=1)
    booking.pay_and_vanish(checkout)
    # Only the request uses the fault up: a row that is claimed and not begun would be given back.
    eventually(lambda: not stack.control("faults"), what="a worker to ask Stripe")
    (held,) = _said_of(stack, booking)
    assert held.state == WorkState.PROCESSING
    return booking, int(held.id)


def _said_of(stack: Stack, booking: Booking) -> list[Any]:
    return [row for row in stack.inbox(booking.ref) if row.type == "checkout.session.completed"]


def _ended(stack: Stack, booking: Booking) -> tuple[int, WorkState, int]:
    (row,) = _said_of(stack, booking)
    return row.id, row.state, row.attempts
