"""What has to be true when everything has come to rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.mail_triggers import Mail
from bookingapp.bookings.models import Booking, HistoryEntry, Slot
from bookingapp.bookings.states import Status
from bookingapp.core.queue import Job
from bookingapp.payments.models import EntryKind, LedgerEntry, Payment, PaymentState, Refund, RefundState
from bookingapp.webhooks.models import InboxEvent
from tests.simulation.calendly import Object, SimulatedCalendly
from tests.simulation.faults import Faults
from tests.simulation.machines import dead_rows, open_rows
from tests.simulation.mail import Mailbox
from tests.simulation.people import People, Visit
from tests.simulation.refund_policy import possible_shares
from tests.simulation.stripe import SimulatedStripe
from tests.simulation.world import World

HELD = (Status.CONFIRMED, Status.COMPLETED)
HOLD, SWEEP = timedelta(minutes=30), timedelta(minutes=2)


@dataclass(frozen=True)
class Scene:
    world: World
    faults: Faults
    session: Session
    people: People
    stripe: SimulatedStripe
    calendly: SimulatedCalendly
    mailbox: Mailbox


def problems(scene: Scene) -> list[str]:
    """Everything that is wrong at the end, in words; empty where nothing is."""
    found = [*_in_flight(scene), *scene.mailbox.problems()]
    for booking in scene.session.scalars(sa.select(Booking).order_by(Booking.id)):
        visit = scene.people.by_ref.get(booking.ref)
        of_one = [*_history(scene, booking), *_money(scene, booking, visit), *_slot(scene, booking)]
        client = f" (client-{visit.number})" if visit else ""
        found.extend(f"booking {booking.id}{client}, {booking.status.value}: {one}" for one in of_one)
    return found


def untrue(stripe: SimulatedStripe, people: People, kind: str, title: str) -> str | None:
    """What a mail that is being sent says and Stripe does not."""
    visit = next((one for one in people.by_ref.values() if one.title == title), None)
    if visit is None:
        return None
    kept = sum(one["amount"] - one["amount_refunded"] for one in stripe.books.received(visit.tracking_id))
    if kind == Mail.EXPIRED_CLIENT and kept:
        return f"that nothing was charged, and Stripe has {kept}"
    is_promise = kind in (Mail.CONFIRMED_CLIENT, Mail.CONFIRMED_BUILDER)
    if is_promise and visit.price_minor and not stripe.books.received(visit.tracking_id):
        return "that it is confirmed, and it is not paid"
    return None


def _in_flight(scene: Scene) -> list[str]:
    connection = scene.session.connection()
    live = [state for state in PaymentState if state.is_live]
    attempts = scene.session.scalars(sa.select(Payment).where(Payment.state.in_(live)))
    moving = (RefundState.ENQUEUED, RefundState.PENDING)
    refunds = scene.session.scalars(sa.select(Refund).where(Refund.state.in_(moving)))
    return [
        *(
            f"{model.__name__} {row['id']} was given up: {row['outcome']}"
            for model in (InboxEvent, Job)
            for row in dead_rows(connection, model)
        ),
        *(
            f"inbox row {row['id']} is open: {row['type']}, {row['outcome']}"
            for row in open_rows(connection, InboxEvent)
        ),
        *(
            f"outbox row {row['id']} is open: {row['name']} {row['args']}, {row['outcome']}"
            for row in open_rows(connection, Job)
        ),
        *(f"booking {one.booking_id}: attempt {one.attempt} is still {one.state.value}" for one in attempts),
        *(f"booking {one.booking_id}: a refund is still {one.state.value}" for one in refunds),
    ]


def _history(scene: Scene, booking: Booking) -> list[str]:
    query = sa.select(HistoryEntry).where(HistoryEntry.booking_id == booking.id).order_by(HistoryEntry.id)
    status = None
    for entry in scene.session.scalars(query):
        if entry.from_status is not status:
            return [f"the history jumps from {status} to {entry.from_status}"]
        status = entry.to_status
    return [] if status is booking.status else [f"the history ends at {status}"]


def _money(scene: Scene, booking: Booking, visit: Visit | None) -> list[str]:
    charges = scene.stripe.books.received(booking.tracking_id)
    charged = sum(one["amount"] for one in charges)
    returned = {one["id"]: scene.stripe.books.returned(one) for one in charges}
    entered = _entered(scene, booking)
    found = []
    if entered[EntryKind.CHARGE] != charged:
        found.append(f"Stripe took {charged}, the ledger says {entered[EntryKind.CHARGE]}")
    if -entered[EntryKind.REFUND] != sum(returned.values()):
        found.append(
            f"Stripe returned {sum(returned.values())}, the ledger says {-entered[EntryKind.REFUND]}"
        )
    taken = sum(scene.stripe.books.disputed(one) for one in charges)
    if -entered[EntryKind.DISPUTE] != taken:
        found.append(f"banks have taken {taken}, the ledger says {-entered[EntryKind.DISPUTE]}")
    if (booking.paid_at is None) != (not charges):
        found.append(f"paid_at is {booking.paid_at}, and Stripe has {len(charges)} charges")
    kept = [one for one in charges if returned[one["id"]] == 0]
    if booking.attention is None:
        whole = [one for one in charges if returned[one["id"]] < one["amount"]]
        if len(kept) > 1 or len(whole) > 1:
            found.append(f"charged {len(charges)} times, and {len(whole)} of them were not paid back")
        found.extend(_owed(booking, visit, charged, sum(returned.values())))
    return found


def _owed(booking: Booking, visit: Visit | None, charged: int, returned: int) -> list[str]:
    if not charged or booking.status in HELD:
        return []
    if booking.status is Status.EXPIRED:
        return [] if returned == charged else [f"expired, and {charged - returned} were not paid back"]
    if booking.status is not Status.CANCELED:
        return [f"paid, and neither confirmed nor refunded: {charged} taken, {returned} returned"]
    if visit is None or not visit.called_off:
        return ["canceled, and no person has canceled it"]
    shares = set[int]().union(
        *(possible_shares(one, visit.moves, booking.paid_at) for one in visit.called_off)
    )
    # A second charge goes back whole; of the first, what the policy says at least.
    price = booking.price_minor
    least = charged - price + min(_share(price, one) for one in shares)
    most = charged - price + max(_share(price, one) for one in shares) + visit.by_hand
    # Paid after it was canceled: everything goes back.
    if returned == charged or least <= returned <= most:
        return []
    return [f"canceled, {returned} of {charged} returned, which should be {least} to {most}"]


def _share(minor: int, percent: int) -> int:
    return int((Decimal(minor) * percent / 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _entered(scene: Scene, booking: Booking) -> Counter[EntryKind]:
    query = sa.select(LedgerEntry.kind, LedgerEntry.amount_minor).where(LedgerEntry.booking_id == booking.id)
    sums: Counter[EntryKind] = Counter()
    for kind, amount in scene.session.execute(query):
        sums[kind] += amount
    return sums


def _slot(scene: Scene, booking: Booking) -> list[str]:
    visit = scene.people.by_ref.get(booking.ref)
    mine = [scene.calendly.people[uri] for uri in (visit.invitees if visit else [])]
    active = [one["uri"] for one in mine if one["status"] == "active"]
    if booking.attention is not None:
        return []
    is_kept = booking.status in HELD or (booking.status is Status.PAID and booking.slot is Slot.ACTIVE)
    found = [] if booking.status.is_final else ["it has come to rest in a state that is not an end"]
    if booking.status in HELD and booking.invitee_uri not in active:
        found.append("it is promised, and Calendly has no active time for it")
    wrong = [uri for uri in active if not (is_kept and uri == booking.invitee_uri)]
    found.extend(f"it keeps {uri}" for uri in wrong if _could_be_canceled(scene, booking, uri))
    return [*found, *_held_too_long(scene, booking, mine)]


def _held_too_long(scene: Scene, booking: Booking, mine: list[Object]) -> list[str]:
    of_booking = [
        one
        for one in scene.stripe.books.charges.values()
        if one["metadata"].get("booking") == booking.tracking_id
    ]
    # A declined card is no payment; a delayed one, that came to nothing in the end, has extended the hold.
    if (
        booking.is_free
        or booking.paid_in_calendly
        or any(one["payment_method"] != "card" for one in of_booking)
    ):
        return []
    if any(one["status"] == "succeeded" for one in of_booking):
        return []
    # A seat that the builder was asked to remove lasts as long as they take.
    if any(flag.code is FlagCode.SEAT_NOT_RELEASED for flag in booking.flags):
        return []
    late = []
    for person in mine:
        known = scene.calendly.known_at.get(person["uri"])
        if person["status"] != "canceled" or known is None:
            continue
        left = datetime.fromisoformat(person["cancellation"]["created_at"])
        if left > known + HOLD + SWEEP + scene.faults.patience:
            late.append(f"Calendly got {person['uri']} back {left - known} after we knew of it")
    return late


def _could_be_canceled(scene: Scene, booking: Booking, invitee_uri: str) -> bool:
    """Whether there was time to cancel: Calendly cancels nothing that has begun."""
    start = scene.calendly.start_of(scene.calendly.people[invitee_uri])
    known = scene.calendly.known_at.get(invitee_uri)
    if known is None:
        # No delivery and no check of ours has found it: it may not still be to come.
        return start > scene.world.now
    due = max(known, booking.updated_at)
    return start > due + HOLD + scene.faults.patience
