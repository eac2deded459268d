"""Compares our tables with the sandbox's, which recorded what really happened."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import AttentionFlag, Booking, HistoryEntry
from bookingapp.bookings.states import TABLE
from bookingapp.core.queue import OPEN, Job, WorkState
from bookingapp.payments.models import EntryKind, LedgerEntry, Refund, RefundState
from bookingapp.webhooks.models import InboxEvent
from tests.e2e.stack import Stack
from tests.mailbox import Mailbox, text
from tests.waiting import eventually

from .crowd import Crowd, Walked

QUIET_SECONDS = 90.0


def until_quiet(stack: Stack, seconds: float = QUIET_SECONDS) -> None:
    """Until the providers have delivered everything and nothing is left to do but what waits for its time."""

    def unfinished() -> list[Any]:
        if stack.control("deliveries/retry", {})["due"]:
            return ["deliveries on their way"]
        begun = sa.or_(Job.run_at <= datetime.now(UTC), Job.attempts > 0)
        inbox = stack.query(sa.select(InboxEvent.id, InboxEvent.state).where(sa.text(OPEN)))
        jobs = sa.select(Job.name, Job.state, Job.attempts, Job.outcome).where(sa.text(OPEN), begun)
        return [*inbox, *stack.query(jobs)]

    eventually(unfinished, what="quiet", seconds=seconds, good=lambda left: not left)


def assert_books_agree(stack: Stack, crowd: Crowd) -> None:
    """Everything that must hold of the bookings of a crowd, and of whatever else came in."""
    state = stack.control("state")
    refs = {row.tracking_id: row.ref for row in stack.query(sa.select(Booking.tracking_id, Booking.ref))}
    for one in state["sessions"]:
        one["client_reference_id"] = refs.get(one["client_reference_id"])
    for intent in state["payment_intents"]:
        intent["metadata"]["booking"] = refs.get(intent["metadata"]["booking"])
    _money_is_stripes(stack, state)
    _refunds_are_as_promised(stack, state, crowd.walked)
    _statuses_follow(stack, state, crowd)
    _every_accepted_delivery_is_kept(stack, state)
    _histories_are_legal(stack)
    _each_decision_is_one_mail(stack)


def _money_is_stripes(stack: Stack, state: dict[str, Any]) -> None:
    """Every paid session is in our ledger exactly once, and nothing else; no booking was paid twice."""
    paid = [one for one in state["sessions"] if one["payment_status"] == "paid"]
    theirs = Counter((one["client_reference_id"], one["payment_intent"], one["amount_total"]) for one in paid)
    query = sa.select(Booking.ref, LedgerEntry.stripe_id, LedgerEntry.amount_minor)
    query = query.join(Booking, Booking.id == LedgerEntry.booking_id)
    ours = Counter(tuple(row) for row in stack.query(query.where(LedgerEntry.kind == EntryKind.CHARGE)))
    assert ours == theirs
    assert set(theirs.values()) <= {1}
    charged = Counter(
        intent["metadata"]["booking"] for intent in state["payment_intents"] if intent["amount_received"]
    )
    assert charged == Counter(ref for ref, *_ in theirs)
    twice = [ref for ref, count in charged.items() if count > 1]
    assert not twice, f"charged more than once: {twice}"


def _refunds_are_as_promised(stack: Stack, state: dict[str, Any], walked: list[Walked]) -> None:
    """Stripe has paid back exactly what the pages promised, once, and our ledger says so."""
    query = sa.select(Booking.ref, Refund.stripe_id, Refund.amount_minor, Refund.state)
    rows = stack.query(query.join(Booking, Booking.id == Refund.booking_id))
    assert {row.state for row in rows} <= {RefundState.SUCCEEDED}
    theirs = Counter((one["id"], one["amount"]) for one in state["refunds"])
    assert Counter((row.stripe_id, row.amount_minor) for row in rows) == theirs
    entered = sa.select(LedgerEntry.stripe_id, -LedgerEntry.amount_minor)
    entered = entered.where(LedgerEntry.kind == EntryKind.REFUND)
    assert Counter(tuple(row) for row in stack.query(entered)) == theirs
    promised = {one.ref: one.refund_minor for one in walked if one.refund_minor}
    assert {row.ref: row.amount_minor for row in rows if row.ref in {one.ref for one in walked}} == promised


def _statuses_follow(stack: Stack, state: dict[str, Any], crowd: Crowd) -> None:
    """Each booking is what its invitee and its payment make of it."""
    invitees = {one["id"]: one for one in state["invitees"]}
    events = {one["id"]: one for one in state["events"]}
    paid = {one["client_reference_id"] for one in state["sessions"] if one["payment_status"] == "paid"}
    # A crowd books over itself, which is flagged.
    is_open = AttentionFlag.resolved_at.is_(None) & (AttentionFlag.code != FlagCode.OVERLAP)
    columns = (Booking.ref, Booking.status, Booking.slot, Booking.invitee_uri)
    flagged = {row.ref for row in stack.query(sa.select(Booking.ref).where(Booking.flags.any(is_open)))}
    rows = {row.ref: row for row in stack.query(sa.select(*columns).where(crowd.is_of_this_crowd()))}
    for one in crowd.walked:
        row = rows[one.ref]
        invitee = invitees[one.invitee_uri.rsplit("/", 1)[-1]]
        is_active = invitee["status"] == "active" and events[invitee["event"]]["status"] == "active"
        settled = one.is_free or one.ref in paid
        expected = ("confirmed" if settled else "scheduled") if is_active else "canceled"
        assert row.status == expected, (one, row)
        assert is_active is not one.fate.endswith("cancel"), one
        assert (one.ref in paid) is one.fate.startswith("pay"), one
        assert row.invitee_uri.rsplit("/", 1)[-1] == invitee["id"]
        assert one.ref not in flagged, one
    # Bookings that were begun again because an answer was lost exist too, and hold no time.
    others = [row for ref, row in rows.items() if ref not in {one.ref for one in crowd.walked}]
    assert {row.status for row in others} <= {"pending"}, others


def _every_accepted_delivery_is_kept(stack: Stack, state: dict[str, Any]) -> None:
    """What was answered with 2xx is in the inbox, once, and done with."""
    accepted = {
        row["body"].encode()
        for row in state["deliveries"]
        if any(200 <= attempt["status"] < 300 for attempt in row["attempts"])
    }
    rows = stack.query(sa.select(InboxEvent.body, InboxEvent.state, InboxEvent.type, InboxEvent.outcome))
    kept = Counter(row.body for row in rows)
    assert accepted <= set(kept)
    assert {count for body, count in kept.items() if body in accepted} <= {1}
    unfinished = [row for row in rows if row.state not in (WorkState.DONE, WorkState.IGNORED)]
    assert not unfinished
    assert {row["state"] for row in state["deliveries"]} <= {"delivered"}


def _histories_are_legal(stack: Stack) -> None:
    """Each begins with pending, each step starts where the last one ended and is in the table, the end is now."""
    columns = (Booking.ref, Booking.status, HistoryEntry.from_status, HistoryEntry.to_status)
    query = sa.select(*columns, HistoryEntry.event).join(Booking, Booking.id == HistoryEntry.booking_id)
    histories: dict[str, list[Any]] = defaultdict(list)
    for row in stack.query(query.order_by(HistoryEntry.id)):
        histories[row.ref].append(row)
    for ref, steps in histories.items():
        first, *rest = steps
        assert (first.from_status, first.to_status) == (None, "pending"), ref
        before = first.to_status
        for step in rest:
            assert step.from_status == before, (ref, steps)
            assert TABLE[step.from_status][step.event] == step.to_status, (ref, step)
            before = step.to_status
        assert before == steps[0].status, (ref, steps)
    assert set(histories) == {row.ref for row in stack.query(sa.select(Booking.ref))}


def _each_decision_is_one_mail(stack: Stack) -> None:
    """One file with its own Message-ID for each mail; a mail for the status that each booking has now."""
    mails = Mailbox(stack.instance / "outbox").all()
    names = [str(mail["Message-ID"]) for mail in mails]
    assert len(names) == len(set(names))
    mails_about = Counter((_kind(name), _about(text(mail))) for name, mail in zip(names, mails, strict=True))
    assert set(mails_about.values()) <= {1}, [key for key, count in mails_about.items() if count > 1]
    for row in stack.query(sa.select(Booking.ref, Booking.tracking_id, Booking.status)):
        for reader, name in (("client", row.ref), ("builder", row.tracking_id)):
            if row.status in ("confirmed", "canceled"):
                assert mails_about[f"{row.status}-{reader}", name] == 1, (row, reader)
    decided = {row.key for row in stack.query(sa.select(Job.key).where(Job.name == "mail.booking"))}
    assert len(mails_about) <= len(decided)


def _kind(message_id: str) -> str:
    return message_id.strip("<>").split(".", 1)[0]


def _about(words: str) -> str:
    found = re.search(r"/bookings/([0-9a-f]{24,32})", words)
    assert found, words
    return found[1]
