"""Proofs of paying first, for both databases: the last time, and kills between any two steps."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bookingapp.bookings.models import Booking as Row
from bookingapp.bookings.models import SlotRequest
from tests.e2e.stack import Stack
from tests.e2e.visitor import Booking, Page, Visitor
from tests.waiting import eventually

from .crowd import AT_ONCE, Patient
from .killer import Killer
from .ledgers import until_quiet

BUILDER, HOUR = "ada-okonkwo", "ETADACONSULT0060"
PAYERS, WALKERS, KILLS = 50, 12, 4
SEED = 12
# A process that was killed while it asked Calendly leaves a lease of a minute.
PATIENCE_SECONDS = 150.0


def the_last_time_is_sold_once(stack: Stack) -> None:
    """Fifty have authorized their payment for one time when the workers begin: one is confirmed and charged, the others
    read why, are offered other times and are charged nothing. There is one invitee, and no refund.
    """
    start = _first_time(stack, days=9)
    before = stack.control("state")
    with ThreadPoolExecutor(AT_ONCE) as threads:
        bookings = list(threads.map(lambda _: _choose(Visitor(stack), start), range(PAYERS)))
        for name in stack.workers:
            stack.kill(name)
        list(threads.map(lambda found: found[0].pay_and_vanish(found[1]), bookings))
    for name in stack.workers:
        stack.spawn(name)
    undecided = sa.select(SlotRequest.id).where(SlotRequest.state.in_(("chosen", "asking")))
    eventually(lambda: stack.query(undecided), what="answers", seconds=90, good=lambda left: not left)
    until_quiet(stack)
    truths = [booking.visitor.truth(booking.ref) for booking, _ in bookings]
    seen = Counter((truth.status, truth.payment) for truth in truths)
    assert seen == {("confirmed", "paid"): 1, ("pending", "authorized"): PAYERS - 1}
    for (booking, _), truth in zip(bookings, truths, strict=True):
        if truth.payment == "authorized":
            _reads_why(booking)
    state = stack.control("state")
    mine = {_row(stack, booking).tracking_id for booking, _ in bookings}
    captured = [row["amount_captured"] for row in _charges(state, mine) if row["amount_captured"]]
    assert len(captured) == 1
    assert len(state["refunds"]) == len(before["refunds"])
    assert len(_active_at(state, start)) == 1
    stack.check_logs()


def kills_between_two_steps_lose_nothing(stack: Stack) -> None:
    """Workers and web processes are killed while clients choose on our list and pay; the providers are slow and lose
    answers. At the end everybody has the time that they paid for, once.
    """
    for method, seconds in (("GET", 0.4), ("POST", 0.6)):
        stack.fault("stripe", "latency", seconds=seconds, method=method)
    stack.fault("calendly", "latency", seconds=0.6, method="POST")
    stack.fault("calendly", "lost_answer", remaining=2, method="POST", path_prefix="/calendly-api/invitees")
    stack.fault("stripe", "lost_answer", remaining=2, method="POST", path_prefix="/v1/payment_intents")
    begin = _first_time(stack, days=16)
    with Killer(stack, SEED, times=KILLS), ThreadPoolExecutor(AT_ONCE) as threads:
        walked = list(threads.map(lambda number: _walk(stack, number, begin), range(WALKERS)))
    stack.clear_faults()
    until_quiet(stack)
    state = stack.control("state")
    for booking, start in walked:
        truth = booking.wait("confirmed", "paid", seconds=PATIENCE_SECONDS)
        assert truth.attention is None
        row = _row(stack, booking)
        assert row.starts_at == start
        invitees = [one for one in _active_at(state, start) if one["id"] in (row.invitee_uri or "")]
        assert len(invitees) == len(_active_at(state, start)) == 1
        charges = _charges(state, {row.tracking_id})
        assert [one["amount_captured"] for one in charges] == [row.price_minor]
    stack.check_logs()


def _walk(stack: Stack, number: int, begin: datetime) -> tuple[Booking, datetime]:
    rng = random.Random(f"{SEED}:{number}")
    start = begin + timedelta(days=number // 4 * 7 + number % 4)
    booking, checkout = _choose(Patient(stack, stack.urls[number % len(stack.urls)]), start)
    if rng.random() < 0.5:
        booking.pay_and_vanish(checkout)
    else:
        booking.pay_on_page(checkout)
    booking.wait("confirmed", "paid", seconds=PATIENCE_SECONDS)
    return booking, start


def _choose(client: Visitor, start: datetime) -> tuple[Booking, str]:
    """Choose that time on our list; the address of Stripe's page."""
    booking = client.book(BUILDER, HOUR)
    fields = {"start_time": start.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def press() -> str | None:
        page = client.post(f"/bookings/{booking.ref}/times", fields, allow_redirects=False)
        assert page.status == 303, page.response.text[:2000]
        where = str(page.response.headers["Location"])
        # Stripe may not have answered: then the booking's page has its Pay button.
        return where if "/c/pay/" in where else booking.open_checkout()

    return booking, eventually(press, what="Stripe's page")


def _reads_why(booking: Booking) -> None:
    page = booking.visitor.get(f"/bookings/{booking.ref}")
    words = page.soup.get_text(" ")
    assert "Your time was just taken" in words, " ".join(words.split())
    assert "Nothing was charged" in words
    assert page.soup.select("[data-slot-start]") or page.one("a[href*='/times'], a[href*='/schedule']")


def _first_time(stack: Stack, *, days: int) -> datetime:
    """The first time that the list offers, so many days from now."""
    client = Visitor(stack)
    booking = client.book(BUILDER, HOUR)
    earliest = datetime.now(UTC) + timedelta(days=days)
    months = {f"{earliest:%Y-%m}", f"{earliest + timedelta(days=7):%Y-%m}"}
    pages = [
        client.get(f"/bookings/{booking.ref}/times?month={month}&timezone=UTC") for month in sorted(months)
    ]
    return min(start for page in pages for start in _starts(page) if start > earliest)


def _row(stack: Stack, booking: Booking) -> Any:
    """The booking as our database has it."""
    columns = (Row.tracking_id, Row.starts_at, Row.invitee_uri, Row.price_minor)
    (row,) = stack.query(sa.select(*columns).where(Row.ref == booking.ref))
    return row


def _starts(page: Page) -> list[datetime]:
    found = [str(one["data-slot-start"]) for one in page.soup.select("[data-slot-start]")]
    return [datetime.fromisoformat(text) for text in found]


def _charges(state: dict[str, Any], tracking_ids: set[str]) -> list[dict[str, Any]]:
    return [row for row in state["charges"] if row["metadata"].get("booking") in tracking_ids]


def _active_at(state: dict[str, Any], start: datetime) -> list[dict[str, Any]]:
    """The active invitees of Ada's hour at that start."""
    events = {
        row["id"]
        for row in state["events"]
        if datetime.fromisoformat(str(row["start_time"])) == start
        and row["event_type"].endswith(HOUR)
        and row["status"] == "active"
    }
    return [row for row in state["invitees"] if row["event"] in events and row["status"] == "active"]
