"""The client says that the builder did not come, or that they were there themselves: every answer, in every order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import permutations

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import absence_claims, attendance
from bookingapp.bookings import service as bookings
from bookingapp.bookings.absence_claims import DEADLINE_JOB
from bookingapp.bookings.codes import AbsenceClaim, CauseCode, FlagCode, RefundReason
from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB, Mail
from bookingapp.bookings.models import Actor, Booking, HistoryEntry
from bookingapp.bookings.service import Cause, StaleBooking
from bookingapp.bookings.slot import record_slot
from bookingapp.bookings.states import Event, Status
from bookingapp.checkout import cancellation
from bookingapp.checkout.absence_deadline import refund_unanswered
from bookingapp.core.db import transaction
from bookingapp.core.errors import Conflict
from bookingapp.core.queue import Job
from bookingapp.payments import chosen_refunds
from bookingapp.payments.models import EntryKind, LedgerEntry, Payment, Refund, RefundState
from tests.factories import END, HOLD, START, WEBHOOK, facts, reread
from tests.service.conftest import Checkout

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SAID = START + 10 * MINUTE
DUE = SAID + DAY
BY_BUILDER = Cause(Actor.BUILDER, CauseCode.ABSENCE_REPORTED)


@pytest.fixture
def paid(checkout: Checkout) -> Booking:
    """A confirmed booking of £60.00."""
    booking, session_id = checkout.opened()
    return checkout.record(booking, checkout.stripe.pay(session_id))


Act = Callable[[Session, Booking], object]


def act(session: Session, booking: Booking, do: Act) -> object:
    """Act on the booking, in a transaction that has locked it."""
    with transaction(session):
        answer = do(session, bookings.lock_booking(session, booking.id))
    session.expunge_all()
    return answer


def claim(session: Session, booking: Booking, *, now: datetime = SAID) -> object:
    return act(session, booking, lambda s, b: absence_claims.claim_absence(s, b, now=now))


def deny(session: Session, booking: Booking, *, now: datetime = SAID + HOUR) -> object:
    return act(session, booking, lambda s, b: absence_claims.deny_claim(s, b, by=Actor.BUILDER, now=now))


def complete(session: Session, booking: Booking) -> None:
    act(session, booking, lambda s, b: bookings.transition(s, b, Event.COMPLETE, WEBHOOK, now=END))


def time_out(session: Session, *, now: datetime = DUE) -> None:
    """Run every timer of a claim that is due."""
    query = sa.select(Job.args).where(Job.name == DEADLINE_JOB, Job.run_at <= now)
    for args in session.scalars(query).all():
        session.rollback()
        refund_unanswered(session, **args, now=now)
    session.expunge_all()


def flags(session: Session, booking: Booking) -> str | None:
    return reread(session, booking).attention


def refunds(session: Session) -> list[tuple[int, RefundState, RefundReason]]:
    session.rollback()
    query = sa.select(Refund.amount_minor, Refund.state, Refund.reason).order_by(Refund.id)
    return [(minor, state, reason) for minor, state, reason in session.execute(query)]


def mails(session: Session) -> list[str]:
    """What is mailed about who came, and about the end of the booking."""
    session.rollback()
    kinds = [
        job.args["mail"]
        for job in session.scalars(sa.select(Job).where(Job.name == SEND_MAIL_JOB).order_by(Job.id))
    ]
    return [kind for kind in kinds if kind.startswith(("absence", "no-show", "canceled"))]


def causes(session: Session, booking: Booking) -> list[CauseCode]:
    session.rollback()
    query = sa.select(HistoryEntry.cause).where(
        HistoryEntry.booking_id == booking.id, HistoryEntry.at >= SAID
    )
    return list(session.scalars(query.order_by(HistoryEntry.id)))


@pytest.mark.any_database
def test_scenario_65_the_builder_is_silent_for_a_day(session: Session, paid: Booking) -> None:
    """Everything goes back, once; the session has completed meanwhile, which changes nothing."""
    assert claim(session, paid) is True
    assert claim(session, paid) is False
    booking = reread(session, paid)
    assert (booking.status, booking.absence_claim) == (Status.CONFIRMED, AbsenceClaim.ASKED)
    assert booking.attention == FlagCode.ABSENCE_CLAIMED
    assert mails(session) == [Mail.ABSENCE_ASKED_BUILDER]
    complete(session, paid)
    time_out(session, now=DUE - MINUTE)
    assert refunds(session) == []
    for _ in range(2):
        time_out(session)
    booking = reread(session, paid)
    assert (booking.status, booking.builder_absent_at, booking.attention) == (Status.CANCELED, DUE, None)
    assert refunds(session) == [(6000, RefundState.ENQUEUED, RefundReason.BUILDER_ABSENT)]
    assert mails(session)[1:] == [Mail.CANCELED_CLIENT, Mail.CANCELED_BUILDER]
    assert causes(session, paid)[0] is CauseCode.ABSENCE_CLAIMED
    assert causes(session, paid)[-1] is CauseCode.ABSENCE_UNANSWERED


def test_the_builder_could_not_come(session: Session, paid: Booking) -> None:
    """Everything goes back at once, and the day's end changes nothing."""
    claim(session, paid)
    assert cancellation.report_absence(session, paid.id, cause=BY_BUILDER, now=SAID + HOUR)
    time_out(session)
    assert flags(session, paid) is None
    assert [minor for minor, *_ in refunds(session)] == [6000]
    with pytest.raises(Conflict):
        deny(session, paid)


def test_the_builder_was_there(session: Session, paid: Booking) -> None:
    """Then a person decides, and the money stays; both are told, once."""
    claim(session, paid)
    assert [deny(session, paid) for _ in range(2)] == [True, False]
    assert flags(session, paid) == FlagCode.ABSENCE_DENIED
    time_out(session)
    assert refunds(session) == []
    assert mails(session) == [Mail.ABSENCE_ASKED_BUILDER, Mail.ABSENCE_DENIED, Mail.ABSENCE_DENIED_BUILDER]
    assert reread(session, paid).status is Status.CONFIRMED


def test_an_answer_after_the_day_is_none(session: Session, paid: Booking) -> None:
    """However late our timer runs: the client was promised the money. What Calendly reports late was said in time."""
    claim(session, paid)
    with pytest.raises(Conflict, match="over"):
        deny(session, paid, now=DUE)
    late = Cause(Actor.BUILDER, CauseCode.NO_SHOW_MARKED)
    act(session, paid, lambda s, b: attendance.mark_attendance(s, b, late, came=False, now=DUE))
    assert reread(session, paid).absence_claim is AbsenceClaim.ASKED
    time_out(session, now=DUE + MINUTE)
    assert [minor for minor, *_ in refunds(session)] == [6000]
    assert reread(session, paid).no_show_at is None


def test_an_answer_in_calendly_counts_from_when_it_was_given(session: Session, paid: Booking) -> None:
    """Its webhook arrives after the day, and before our timer."""
    claim(session, paid)
    act(
        session,
        paid,
        lambda s, b: attendance.record_no_show(
            s,
            b,
            WEBHOOK,
            invitee_uri=b.invitee_uri or "",
            uri="https://x/1",
            at=DUE - MINUTE,
            now=DUE + MINUTE,
        ),
    )
    time_out(session, now=DUE + HOUR)
    assert refunds(session) == []
    assert flags(session, paid) == FlagCode.ABSENCE_DENIED


@pytest.mark.parametrize("refunded", [False, True])
def test_a_person_decides(session: Session, paid: Booking, *, refunded: bool) -> None:
    """For the client, by the operator's own act; or for the builder, which both are told, and which ends it."""
    claim(session, paid)
    deny(session, paid)
    if refunded:
        cause = Cause(Actor.OPERATOR, CauseCode.ABSENCE_REPORTED)
        cancellation.report_absence(session, paid.id, cause=cause, now=DUE)
    else:
        act(session, paid, lambda s, b: absence_claims.dismiss_claim(s, b, now=DUE))
        assert mails(session)[-2:] == [Mail.ABSENCE_DISMISSED, Mail.ABSENCE_DISMISSED_BUILDER]
        with pytest.raises(Conflict, match="already"):
            claim(session, paid, now=SAID + 2 * HOUR)
        with pytest.raises(Conflict, match="nothing to decide"):
            act(session, paid, lambda s, b: absence_claims.dismiss_claim(s, b, now=DUE))
    assert flags(session, paid) is None
    assert [minor for minor, *_ in refunds(session)] == ([6000] if refunded else [])


def test_the_builder_came_after_all(session: Session, paid: Booking) -> None:
    """The client takes it back, and may say it again; the first day's end does not count for the second."""
    claim(session, paid)

    def withdraw() -> object:
        return act(session, paid, lambda s, b: absence_claims.withdraw_claim(s, b, now=SAID + 2 * MINUTE))

    assert [withdraw(), withdraw()] == [True, False]
    assert flags(session, paid) is None
    assert claim(session, paid, now=SAID + HOUR) is True
    time_out(session, now=DUE)
    assert refunds(session) == []
    time_out(session, now=DUE + HOUR)
    assert [minor for minor, *_ in refunds(session)] == [6000]


@pytest.mark.parametrize(
    ("now", "why"),
    [(SAID - timedelta(seconds=1), "ten minutes"), (END + DAY + timedelta(seconds=1), "a day after the end")],
)
def test_when_it_can_be_said(session: Session, paid: Booking, now: datetime, why: str) -> None:
    with pytest.raises(Conflict, match=why):
        claim(session, paid, now=now)
    assert flags(session, paid) is None


def test_until_a_day_after_the_end(session: Session, paid: Booking) -> None:
    complete(session, paid)
    assert claim(session, paid, now=END + DAY) is True


def test_who_marked_the_client_was_there(session: Session, paid: Booking) -> None:
    """A no-show is the builder's answer, before the question or after it: a person decides at once."""
    marked = Cause(Actor.CALENDLY, CauseCode.WEBHOOK, facts={"type": "invitee_no_show.created"})

    def mark(s: Session, b: Booking) -> object:
        return attendance.record_no_show(
            s, b, marked, invitee_uri=b.invitee_uri or "", uri="https://x/1", at=SAID, now=SAID + MINUTE
        )

    steps: tuple[Act, Act] = (claim, lambda s, b: act(s, b, mark))
    for order in permutations(steps):
        for step in order:
            step(session, paid)
        booking = reread(session, paid)
        assert (booking.absence_claim, booking.attention) == (AbsenceClaim.DENIED, FlagCode.ABSENCE_DENIED)
        time_out(session)
        assert refunds(session) == []
        act(session, paid, lambda s, b: absence_claims.withdraw_claim(s, b, now=SAID))
        act(
            session,
            paid,
            lambda s, b: attendance.record_no_show_undone(
                s, b, marked, invitee_uri=b.invitee_uri or "", uri="https://x/1", now=SAID
            ),
        )
        act(session, paid, lambda _s, b: setattr(b, "no_show_undone_uri", None))


def refund_all(session: Session, booking: Booking) -> None:
    """The builder gives everything back by hand, and Stripe has it."""

    def give(s: Session, b: Booking) -> object:
        return chosen_refunds.refund_amount(
            s, b, amount_minor=6000, reason=RefundReason.COURTESY, edition=0, actor=Actor.BUILDER, now=SAID
        )

    act(session, booking, give)


def dispute(session: Session, booking: Booking) -> None:
    """The client's bank takes the money back."""
    with transaction(session):
        payment = session.scalars(sa.select(Payment).where(Payment.booking_id == booking.id)).one()
        session.add(
            LedgerEntry(
                booking_id=booking.id,
                payment_id=payment.id,
                kind=EntryKind.DISPUTE,
                amount_minor=-6000,
                currency="GBP",
                stripe_id="txn_dispute",
                at=SAID,
            )
        )
    session.expunge_all()


def cancel_in_calendly(session: Session, booking: Booking) -> None:
    act(
        session,
        booking,
        lambda s, b: cancellation.record_calendly_cancellation(
            s, b, b.invitee_uri or "", WEBHOOK, by_host=True, at=SAID, now=SAID + MINUTE
        ),
    )


EVENTS: dict[str, Act] = {
    "refund": refund_all,
    "dispute": dispute,
    "canceled in Calendly": cancel_in_calendly,
    "completed": complete,
    "denied": deny,
}


@pytest.mark.parametrize(
    ("order", "status", "sums"),
    [
        (("refund",), Status.CANCELED, 6000),
        (("completed", "refund"), Status.CANCELED, 6000),
        (("dispute",), Status.CANCELED, 0),
        (("refund", "completed", "dispute"), Status.CANCELED, 6000),
        (("canceled in Calendly",), Status.CANCELED, 6000),
        (("refund", "canceled in Calendly"), Status.CANCELED, 6000),
        (("completed", "canceled in Calendly"), Status.CANCELED, 6000),
        (("denied", "refund", "completed"), Status.COMPLETED, 6000),
        (("denied", "canceled in Calendly"), Status.CANCELED, 6000),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_whatever_else_happens_to_the_money(
    session: Session, paid: Booking, order: tuple[str, ...], status: Status, sums: int
) -> None:
    """Never more than was paid goes back; what is with the bank waits for it."""
    claim(session, paid)
    for name in order:
        EVENTS[name](session, paid)
    for _ in range(2):
        time_out(session)
    booking = reread(session, paid)
    assert booking.status is status
    assert sum(minor for minor, state, _ in refunds(session) if state.counts) == sums
    left = {FlagCode.ABSENCE_DENIED} if status is Status.COMPLETED else set()
    assert {flag.code for flag in booking.open_flags} - {FlagCode.TIME_CANCELED_LATE} == left


def test_a_new_time_is_another_session(session: Session, paid: Booking) -> None:
    """Reported after the claim: what was said of the old time is gone."""
    claim(session, paid)
    later = facts(
        paid,
        replaces=reread(session, paid).invitee_uri,
        since=SAID,
        starts_at=START + 7 * DAY,
        ends_at=END + 7 * DAY,
    )
    act(session, paid, lambda s, b: record_slot(s, b, later, WEBHOOK, hold=HOLD, now=SAID + MINUTE))
    booking = reread(session, paid)
    assert (booking.absence_claim, booking.absence_claimed_at, booking.attention) == (None, None, None)
    time_out(session)
    assert refunds(session) == []


def test_while_it_is_being_rescheduled_the_day_goes_on(session: Session, paid: Booking) -> None:
    """Calendly says later that the old time stays: then the builder's silence counts."""
    claim(session, paid)
    act(session, paid, lambda _s, b: setattr(b, "moving_since", DUE - HOUR))
    time_out(session)
    assert refunds(session) == []
    act(session, paid, lambda _s, b: setattr(b, "moving_since", None))
    time_out(session, now=DUE + HOUR)
    assert [minor for minor, *_ in refunds(session)] == [6000]


@pytest.mark.any_database
def test_of_two_answers_one_counts(
    session: Session, paid: Booking, new_session: Callable[[], Session]
) -> None:
    """The compare-and-set holds without the lock too."""
    claim(session, paid)
    seen = reread(session, paid)
    other = new_session()
    with transaction(other):
        absence_claims.deny_claim(
            other, bookings.lock_booking(other, paid.id), by=Actor.BUILDER, now=SAID + MINUTE
        )
    with pytest.raises(StaleBooking), transaction(session):  # noqa: PT012
        session.add(seen)
        absence_claims.dismiss_claim(session, seen, now=SAID + HOUR)


class TestNoShow:
    @pytest.fixture
    def marked(self, session: Session, paid: Booking) -> Booking:
        """The builder says that the client did not come."""
        cause = Cause(Actor.BUILDER, CauseCode.NO_SHOW_MARKED)
        act(session, paid, lambda s, b: attendance.mark_attendance(s, b, cause, came=False, now=SAID))
        return paid

    def say(self, session: Session, booking: Booking) -> object:
        return act(session, booking, lambda s, b: attendance.deny_no_show(s, b, now=SAID + HOUR))

    def test_the_client_says_once_that_they_were_there(self, session: Session, marked: Booking) -> None:
        assert mails(session) == [Mail.NO_SHOW]
        assert [self.say(session, marked) for _ in range(2)] == [True, False]
        assert flags(session, marked) == FlagCode.NO_SHOW_DENIED
        assert mails(session) == [Mail.NO_SHOW, Mail.NO_SHOW_DENIED_BUILDER]
        assert refunds(session) == []

    def test_the_mark_stays(self, session: Session, marked: Booking) -> None:
        self.say(session, marked)
        act(session, marked, lambda s, b: attendance.keep_no_show(s, b, now=DUE))
        assert flags(session, marked) is None
        assert mails(session)[-2:] == [Mail.NO_SHOW_KEPT, Mail.NO_SHOW_KEPT_BUILDER]
        assert self.say(session, marked) is False
        with pytest.raises(Conflict):
            act(session, marked, lambda s, b: attendance.keep_no_show(s, b, now=DUE))

    def test_the_mark_is_removed(self, session: Session, marked: Booking) -> None:
        self.say(session, marked)
        cause = Cause(Actor.OPERATOR, CauseCode.ATTENDANCE_MARKED)
        act(session, marked, lambda s, b: attendance.mark_attendance(s, b, cause, came=True, now=DUE))
        booking = reread(session, marked)
        assert (booking.no_show_at, booking.no_show_denied_at, booking.attention) == (None, None, None)
        assert mails(session)[-1] == Mail.NO_SHOW_REMOVED
        with pytest.raises(Conflict, match="not marked"):
            self.say(session, marked)


def test_nobody_just_marks_it_as_resolved(session: Session, paid: Booking) -> None:
    claim(session, paid)
    act(session, paid, lambda s, b: bookings.resolve_flags(s, b, Actor.BUILDER, now=SAID))
    act(session, paid, lambda s, b: bookings.resolve_flags(s, b, Actor.OPERATOR, now=SAID))
    assert flags(session, paid) == FlagCode.ABSENCE_CLAIMED
