"""What has to be true when everything has come to rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import product

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.codes import AbsenceClaim, FlagCode, RefundReason
from bookingapp.bookings.mail_triggers import Mail
from bookingapp.bookings.models import Actor, Booking, HistoryEntry, Slot
from bookingapp.bookings.states import Status
from bookingapp.core.queue import Job
from bookingapp.payments.models import EntryKind, LedgerEntry, Payment, PaymentState, Refund, RefundState
from bookingapp.payments.service import summarize_money
from bookingapp.webhooks.models import InboxEvent
from tests.simulation.calendly import Object, SimulatedCalendly
from tests.simulation.faults import Faults
from tests.simulation.machines import Machines, dead_rows, open_rows
from tests.simulation.mail import REMINDERS, Mailbox
from tests.simulation.people import People, Visit
from tests.simulation.refund_policy import possible_shares
from tests.simulation.stripe import SimulatedStripe
from tests.simulation.world import World

HELD = (Status.CONFIRMED, Status.COMPLETED)
HOLD, SWEEP = timedelta(minutes=30), timedelta(minutes=2)
SAME_MOMENT = timedelta(seconds=2)
FAILED = ("failed", "canceled")
ASYNC_FAILED = "checkout.session.async_payment_failed"


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
        of_one = [
            *_history(scene, booking),
            *_money(scene, booking, visit),
            *_refunds(scene, booking, visit),
            *_slot(scene, booking),
            *_unanswered(scene, booking),
            *_expired_late(scene, booking),
            *(_list_way(scene, booking, visit) if visit else ()),
        ]
        client = f" (client-{visit.number})" if visit else ""
        found.extend(f"booking {booking.id}{client}, {booking.status.value}: {one}" for one in of_one)
    return found


def untrue(
    stripe: SimulatedStripe,
    calendly: SimulatedCalendly,
    people: People,
    machines: Machines,
    kind: str,
    title: str,
) -> str | None:
    """What a mail that is being sent says and Stripe or Calendly does not."""
    visit = next((one for one in people.by_ref.values() if one.title == title), None)
    if visit is None:
        return None
    held = machines.world.now - visit.booked_at
    if kind == Mail.EXPIRED_CLIENT and held < HOLD - SAME_MOMENT:
        return f"that the hold has ended, after {held}"
    if kind in REMINDERS:
        return _untrue_reminder(calendly, machines, visit, REMINDERS[Mail(kind)])
    return _untrue_money(stripe, visit, kind)


def _untrue_money(stripe: SimulatedStripe, visit: Visit, kind: str) -> str | None:
    kept = sum(one["amount"] - one["amount_refunded"] for one in stripe.books.received(visit.tracking_id))
    if kind in (Mail.EXPIRED_CLIENT, Mail.TIME_GONE, Mail.PAYMENT_RELEASED) and kept:
        return f"that nothing was charged, and Stripe has {kept}"
    said = {
        one["status"]
        for charge in stripe.books.received(visit.tracking_id)
        for one in stripe.books.refunds_of(charge)
    }
    if kind in (Mail.REFUND_FAILED, Mail.REFUND_FAILED_BUILDER) and not said.intersection(FAILED):
        return f"that a refund has failed, and Stripe says {said}"
    if kind == Mail.AMOUNT_REFUNDED and not said - set(FAILED):
        return f"that an amount is refunded, and Stripe says {said}"
    is_promise = kind in (Mail.CONFIRMED_CLIENT, Mail.CONFIRMED_BUILDER)
    if is_promise and visit.price_minor and not stripe.books.received(visit.tracking_id):
        return "that it is confirmed, and it is not paid"
    return None


def _untrue_reminder(
    calendly: SimulatedCalendly, machines: Machines, visit: Visit, before: timedelta
) -> str | None:
    """A reminder is of a session that is about to start, as far as we can know."""
    now = machines.world.now
    heard = now - SWEEP - machines.faults.patience
    for one in (calendly.people[uri] for uri in visit.invitees):
        is_over = one["status"] == "canceled"
        is_over = is_over and datetime.fromisoformat(one["cancellation"]["created_at"]) <= heard
        if not is_over and now < calendly.start_of(one) <= now + before:
            return None
    return f"that it starts within {before}, and Calendly has no such time"


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
        *(
            f"{intent['id']} is still authorized"
            for intent in scene.stripe.books.intents.values()
            if intent["status"] == "requires_capture"
        ),
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
    moved = [sum(amounts) for amounts in zip(*map(scene.stripe.books.moved, charges), strict=True)] or [0, 0]
    ours = [sum(entered.values()) - entered[EntryKind.FEE], -entered[EntryKind.FEE]]
    if moved != ours:
        found.append(
            f"Stripe's balance has {moved[0]} less {moved[1]} of fees, the ledger {ours[0]} less {ours[1]}"
        )
    taken = sum(scene.stripe.books.disputed(one) for one in charges)
    if -entered[EntryKind.DISPUTE] != taken:
        found.append(f"banks have taken {taken}, the ledger says {-entered[EntryKind.DISPUTE]}")
    true_status = summarize_money(scene.session, booking).status
    if booking.payment_status is not true_status:
        found.append(f"lists say {booking.payment_status}, and its money is {true_status}")
    if (booking.paid_at is None) != (not charges):
        found.append(f"paid_at is {booking.paid_at}, and Stripe has {len(charges)} charges")
    found.extend(
        f"{one['id']}: {returned[one['id']]} of {one['amount']} returned"
        for one in charges
        if returned[one["id"]] > one["amount"]
    )
    found.extend(_given_back(scene, booking, visit))
    kept = [one for one in charges if returned[one["id"]] == 0]
    if not _needs_a_person(booking):
        whole = [one for one in charges if returned[one["id"]] < one["amount"]]
        if len(kept) > 1 or len(whole) > 1:
            found.append(f"charged {len(charges)} times, and {len(whole)} of them were not paid back")
        found.extend(_owed(scene, booking, visit, charged, sum(returned.values())))
    return found


def _given_back(scene: Scene, booking: Booking, visit: Visit | None) -> list[str]:
    """Each form that a builder sent made one refund at most, and a mail says each that Stripe has."""
    chosen = sa.select(Refund.token).where(
        Refund.booking_id == booking.id, Refund.reason == RefundReason.COURTESY
    )
    tokens = set(scene.session.scalars(chosen))
    made = [one for one in scene.stripe.books.refunds.values() if one["metadata"].get("refund") in tokens]
    forms = visit.given_back if visit else []
    found = []
    # What bank and dispute leave of one may be sent again, so the amounts count and not their number.
    kept = sum(one["amount"] for one in made if one["status"] not in FAILED)
    if kept > sum(forms):
        found.append(f"{kept} were given back, by forms for {forms}")
    sent = scene.mailbox.number(Mail.AMOUNT_REFUNDED, visit.title if visit else "")
    failed = sum(one["status"] in FAILED for one in made)
    if not len(made) - failed <= sent <= len(made):
        found.append(f"{len(made)} amounts were given back ({failed} failed), and {sent} mails say so")
    return found


def _unanswered(scene: Scene, booking: Booking) -> list[str]:
    """A builder who was asked whether they came has answered, or everything went back a day later."""
    if booking.absence_claim is not AbsenceClaim.ASKED or booking.absence_claimed_at is None:
        return []
    if booking.status in HELD:
        return ["its builder was asked whether they came, and nothing followed"]
    if booking.builder_absent_at is None or booking.canceled_by is not Actor.SYSTEM:
        return []
    waited = booking.builder_absent_at - booking.absence_claimed_at
    day = timedelta(days=1)
    is_right = day <= waited <= day + SWEEP + scene.faults.patience + timedelta(hours=1)
    return [] if is_right else [f"its builder had {waited} to answer"]


def _needs_a_person(booking: Booking) -> bool:
    """Whether the booking is flagged. Two sessions at the same time are for their builder, and excuse nothing."""
    return any(flag.code is not FlagCode.OVERLAP for flag in booking.open_flags)


def _refunds(scene: Scene, booking: Booking, visit: Visit | None) -> list[str]:
    """Nobody who owes is silent: a failed refund is flagged and mailed, unless all is paid back by others, and a
    question to the client is flagged for as long as Stripe waits.
    """
    books = scene.stripe.books
    charges = books.received(booking.tracking_id)
    refunds = [one for charge in charges for one in books.refunds_of(charge)]
    failed = [one for one in refunds if one["status"] in FAILED]
    is_open = {flag.code for flag in booking.open_flags}
    found = []
    if any(books.returned(one) < one["amount"] for one in charges) and failed:
        if FlagCode.REFUND_UNDELIVERED not in is_open:
            found.append(f"{len(failed)} refunds have failed, and the booking is not flagged")
        for kind in (Mail.REFUND_FAILED, Mail.REFUND_FAILED_BUILDER):
            sent = scene.mailbox.number(kind, visit.title if visit else "")
            if sent != len(failed):
                found.append(f"{len(failed)} refunds have failed, and {sent} mails {kind} say so")
    elif FlagCode.REFUND_UNDELIVERED in is_open:
        found.append("it is flagged for a refund that failed, and everything is paid back")
    if FlagCode.REFUND_WAITS_FOR_CLIENT in is_open:
        found.append("it is flagged for a question of Stripe's that is over")
    return found + _questions(scene, booking, visit, refunds)


def _questions(scene: Scene, booking: Booking, visit: Visit | None, refunds: list[Object]) -> list[str]:
    """Each question to the client is mailed, and flagged until Stripe has its answer."""
    patience, found, asked = SWEEP + scene.faults.patience, [], 0
    raised = [flag for flag in booking.flags if flag.code is FlagCode.REFUND_WAITS_FOR_CLIENT]
    for refund in refunds:
        until, told = refund.get("_asked_until"), scene.stripe.told_at(refund["id"], "refund.created")
        due = max(told, booking.paid_at or told) + patience if told else None
        if until is None or due is None or due >= until:
            continue
        asked += 1
        if not any(one.raised_at <= due and (one.resolved_at or until) >= until for one in raised):
            found.append(f"Stripe waited for the client until {until}, unsaid")
    sent = scene.mailbox.number(Mail.REFUND_WAITS, visit.title if visit else "")
    return (
        [*found, f"Stripe asked the client {asked} times, and {sent} mails say so"] if sent < asked else found
    )


def _expired_late(scene: Scene, booking: Booking) -> list[str]:
    """What is not paid ends with its start, also where a voucher or a debit is under way."""
    if booking.status is not Status.EXPIRED or booking.starts_at is None:
        return []
    known = scene.calendly.known_at.get(booking.invitee_uri or "", booking.starts_at)
    due = max(booking.starts_at, known) + SWEEP + scene.faults.patience
    query = sa.select(sa.func.max(HistoryEntry.at)).where(
        HistoryEntry.booking_id == booking.id, HistoryEntry.to_status == Status.EXPIRED
    )
    at = scene.session.scalar(query)
    return [f"it has expired {at - due} after its start"] if at is not None and at > due else []


def _owed(scene: Scene, booking: Booking, visit: Visit | None, charged: int, returned: int) -> list[str]:
    if not charged or booking.status in HELD:
        return []
    if booking.status is Status.EXPIRED:
        return [] if returned == charged else [f"expired, and {charged - returned} were not paid back"]
    if booking.status is not Status.CANCELED:
        return [f"paid, and neither confirmed nor refunded: {charged} taken, {returned} returned"]
    if visit is None or not visit.called_off:
        return ["canceled, and no person has canceled it"]
    paid = sa.select(Payment.created_at).where(
        Payment.booking_id == booking.id, Payment.state == PaymentState.PAID
    )
    since = scene.session.scalars(paid).all()
    shares = set[int]().union(
        *(possible_shares(*each, visit.terms) for each in product(visit.called_off, [visit.moves], since))
    )
    # A second charge goes back whole; of the first, what the policy says at least.
    price = booking.price_minor
    least = charged - price + min(_share(price, one) for one in shares)
    most = charged - price + max(_share(price, one) for one in shares) + visit.by_hand + sum(visit.given_back)
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
    if _needs_a_person(booking):
        return []
    is_kept = booking.status in HELD or (booking.status is Status.PAID and booking.slot is Slot.ACTIVE)
    found = [] if booking.status.is_final else ["it has come to rest in a state that is not an end"]
    if booking.status in HELD and booking.invitee_uri not in active:
        found.append("it is promised, and Calendly has no active time for it")
    wrong = [uri for uri in active if not (is_kept and uri == booking.invitee_uri)]
    found.extend(
        f"it keeps {uri}"
        for uri in wrong
        if _could_be_canceled(scene, booking, uri) and not _builder_was_asked(scene, booking, uri)
    )
    return [*found, *_held_too_long(scene, booking, mine)]


def _list_way(scene: Scene, booking: Booking, visit: Visit) -> list[str]:
    """What our own list of times promises: one invitee at most, at the start that was chosen last; who has lost a race
    is not charged, and soon released.
    """
    people, books = scene.calendly.people, scene.stripe.books
    found = []
    active = [uri for uri in visit.invited if people[uri]["status"] == "active"]
    if len(active) > 1:
        found.append(f"we made several invitees for it: {active}")
    if not visit.chosen:
        return found
    if booking.status in HELD and not visit.took_by_itself:
        starts = _last_choices(visit)
        if booking.starts_at not in starts:
            found.append(f"it is at {booking.starts_at}, and the client chose {starts}")
    charges = books.charges_of(booking.tracking_id)
    if not visit.invitees and any(one["captured"] or books.refunds_of(one) for one in charges):
        found.append("it never had a time, and was charged")
    return found + _released_late(scene, booking, visit)


def _last_choices(visit: Visit) -> list[datetime]:
    """The start that was chosen last; several where that is not certain."""
    sure = max((one.at for one in visit.chosen if one.sure), default=visit.chosen[0].at)
    return [one.start for one in visit.chosen if one.at >= sure - SAME_MOMENT]


def _released_late(scene: Scene, booking: Booking, visit: Visit) -> list[str]:
    """Money of a client without a time is released half an hour after the time was lost, or after they chose again."""
    if visit.invitees:
        return []
    found = []
    for charge in scene.stripe.books.charges_of(booking.tracking_id):
        intent = scene.stripe.books.intents[charge["payment_intent"]]
        by, at = intent.get("_released", ("", None))
        told = scene.stripe.told_at(intent["_session"], "checkout.session.completed")
        if by != "ours" or told is None:
            continue
        lost = scene.calendly.refused_at.get(visit.tracking, told)
        due = max(told, lost, visit.chosen[-1].at) + HOLD + SWEEP + scene.faults.patience
        if at > due:
            found.append(f"{intent['id']} was released {at - due} too late")
    return found


def _held_too_long(scene: Scene, booking: Booking, mine: list[Object]) -> list[str]:
    of_booking = scene.stripe.books.charges_of(booking.tracking_id)
    if booking.is_free or booking.paid_in_calendly:
        return []
    # A declined card is no payment; a delayed one, that came to nothing in the end, has kept the time until then.
    failures = [
        _failure_told(scene, one)
        for one in of_booking
        if one["payment_method"] != "card" or one["status"] == "succeeded"
    ]
    if None in failures:
        return []
    if any(one["captured"] for one in of_booking):
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
        known = max(known, *(at for at in failures if at is not None), known)
        if left > known + HOLD + SWEEP + scene.faults.patience:
            late.append(f"Calendly got {person['uri']} back {left - known} after we knew of it")
    return late


def _failure_told(scene: Scene, charge: Object) -> datetime | None:
    """When we were told that a delayed payment has failed, or an authorization is over; None where it has not, or
    nobody told us.
    """
    intent = scene.stripe.books.intents[charge["payment_intent"]]
    if intent["capture_method"] == "manual":
        return scene.stripe.told_at(intent["id"], "payment_intent.canceled")
    return scene.stripe.told_at(intent["_session"], ASYNC_FAILED)


def _builder_was_asked(scene: Scene, booking: Booking, invitee_uri: str) -> bool:
    """Whether we asked the builder, until the session was over, to remove this seat of a group with others in it."""
    ends_at = scene.calendly.end_of(scene.calendly.people[invitee_uri])
    return any(
        flag.code is FlagCode.SEAT_NOT_RELEASED
        and datetime.fromisoformat(str(flag.facts["until"])) == ends_at
        for flag in booking.flags
    )


def _could_be_canceled(scene: Scene, booking: Booking, invitee_uri: str) -> bool:
    """Whether there was time to cancel: Calendly cancels nothing that has begun."""
    start = scene.calendly.start_of(scene.calendly.people[invitee_uri])
    known = scene.calendly.known_at.get(invitee_uri)
    if known is None:
        # No delivery and no check of ours has found it: it may not still be to come.
        return start > scene.world.now
    due = max(known, booking.updated_at)
    return start > due + HOLD + scene.faults.patience
