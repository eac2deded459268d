"""What a person does with one booking: an amount back, a builder who did not come, a mail again, a note, a check."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import attendance, notes
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode, FlagCode, RefundReason
from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB, Mail
from bookingapp.bookings.models import Actor, Booking, HistoryEntry, Note
from bookingapp.bookings.service import Cause
from bookingapp.bookings.states import Status
from bookingapp.checkout import booking_mail, cancellation
from bookingapp.core.db import end_read, transaction
from bookingapp.core.errors import Conflict, Invalid, NotFound
from bookingapp.core.queue import Job, WorkState
from bookingapp.integrations.stripe_gateway import Refund as StripeRefund
from bookingapp.notifications.service import is_still_true
from bookingapp.payments import chosen_refunds
from bookingapp.payments.models import Payment, Refund, RefundState
from bookingapp.payments.refunds import METADATA_KEY, record_refunds, reissue_refused_refunds
from bookingapp.sync import booking_checks
from tests.factories import NOW, START, reread
from tests.service.conftest import Checkout

pytestmark = pytest.mark.any_database

ABSENT = Cause(Actor.BUILDER, CauseCode.ABSENCE_REPORTED)
BEGUN = START + timedelta(minutes=5)


@pytest.fixture
def paid(checkout: Checkout) -> Booking:
    """A confirmed booking of £60.00."""
    booking, session_id = checkout.opened()
    return checkout.record(booking, checkout.stripe.pay(session_id))


@pytest.fixture
def give(session: Session, paid: Booking) -> Callable[..., Refund]:
    """Refunds an amount of it, as the form does."""

    def do(minor: int, edition: int, reason: RefundReason = RefundReason.COURTESY) -> Refund:
        with transaction(session):
            return chosen_refunds.refund_amount(
                session,
                bookings.lock_booking(session, paid.id),
                amount_minor=minor,
                reason=reason,
                edition=edition,
                actor=Actor.BUILDER,
                now=NOW,
            )

    return do


def mails(session: Session, kind: Mail) -> list[Job]:
    """The jobs of that mail."""
    found = session.scalars(sa.select(Job).where(Job.name == SEND_MAIL_JOB).order_by(Job.id))
    return [job for job in found if job.args["mail"] == kind]


def refunds(session: Session) -> list[tuple[int, RefundState, RefundReason]]:
    found = session.scalars(sa.select(Refund).order_by(Refund.id))
    return [(one.amount_minor, one.state, one.reason) for one in found]


def left(session: Session, booking: Booking) -> tuple[int, int]:
    """What can be refunded, and the edition that a form would carry."""
    found = chosen_refunds.find_refundable(session, booking)
    end_read(session)
    assert found is not None
    return found.left_minor, found.edition


class TestAnAmount:
    def test_two_clicks_are_one_refund(
        self, session: Session, paid: Booking, give: Callable[..., Refund]
    ) -> None:
        assert left(session, paid) == (6000, 0)
        first, again = give(4050, 0), give(4050, 0)
        assert first.id == again.id
        assert refunds(session) == [(4050, RefundState.ENQUEUED, RefundReason.COURTESY)]
        assert left(session, paid) == (1950, 1)

    @pytest.mark.parametrize(
        ("minor", "reason"), [(1000, RefundReason.COURTESY), (4050, RefundReason.TROUBLE)]
    )
    def test_another_form_of_the_same_moment_is_refused(
        self, give: Callable[..., Refund], session: Session, minor: int, reason: RefundReason
    ) -> None:
        """A second tab that wants something else: its person has not seen the first refund."""
        give(4050, 0)
        with pytest.raises(Conflict, match="since you opened this page"):
            give(minor, 0, reason)
        assert len(refunds(session)) == 1

    def test_the_rest_and_no_more(self, session: Session, paid: Booking, give: Callable[..., Refund]) -> None:
        give(4050, 0)
        with pytest.raises(Invalid, match=r"at most £19\.50"):
            give(1951, 1)
        give(1950, 1)
        assert left(session, paid) == (0, 2)
        assert give(1950, 1).amount_minor == 1950
        with pytest.raises(Conflict, match="nothing left"):
            give(1, 2)
        assert sum(minor for minor, *_ in refunds(session)) == 6000

    def test_a_refund_that_stripe_refused_is_not_made_again_beside_it(
        self, session: Session, paid: Booking, give: Callable[..., Refund]
    ) -> None:
        """Stripe refused half of the price, somebody refunded that by hand, and later a dispute ends in our favor."""
        give(3000, 0)
        end_read(session)
        with transaction(session):
            refused = session.scalars(sa.select(Refund)).one()
            refused.state, refused.cause = RefundState.FAILED, CauseCode.REFUSED_BY_STRIPE
        give(2000, 1)
        end_read(session)
        with transaction(session):
            payment = session.scalars(sa.select(Payment)).one()
            reissue_refused_refunds(session, session.get_one(Booking, paid.id), payment, now=NOW)
        assert [(minor, state) for minor, state, _ in refunds(session)] == [
            (3000, RefundState.DROPPED),
            (2000, RefundState.ENQUEUED),
            (1000, RefundState.ENQUEUED),
        ]

    @pytest.mark.parametrize("minor", [0, -1])
    def test_no_amount_is_none(self, give: Callable[..., Refund], minor: int) -> None:
        with pytest.raises(Invalid, match="above zero"):
            give(minor, 0)

    def test_the_mail_is_enqueued_when_stripe_has_it(
        self, session: Session, paid: Booking, give: Callable[..., Refund]
    ) -> None:
        """Once, with the amount that Stripe accepted and the reason."""
        refund = give(4050, 0, RefundReason.SHORTER_SESSION)
        assert mails(session, Mail.AMOUNT_REFUNDED) == []
        end_read(session)
        intent = session.scalars(sa.select(Payment.payment_intent_id)).one() or ""
        for status in ("pending", "pending", "succeeded"):
            theirs = StripeRefund(
                "re_1", status, 4050, "GBP", intent, None, None, {METADATA_KEY: refund.token}, NOW
            )
            with transaction(session):
                record_refunds(session, intent, [theirs], now=NOW)
        (mail,) = mails(session, Mail.AMOUNT_REFUNDED)
        assert mail.args["refund_minor"] == 4050
        assert mail.args["reason"] == "shorter_session"
        assert mail.booking_id == paid.id

    def test_the_mail_is_true_beside_an_earlier_refund_that_failed(
        self, session: Session, paid: Booking, give: Callable[..., Refund]
    ) -> None:
        """The bank returned the first refund; the second arrives, and only its mail is sent."""
        intent = session.scalars(sa.select(Payment.payment_intent_id)).one() or ""
        for edition, minor, status in ((0, 1000, "pending"), (0, 1000, "failed"), (1, 2000, "succeeded")):
            end_read(session)
            token = give(minor, edition).token
            end_read(session)
            theirs = StripeRefund(
                f"re_{minor}", status, minor, "GBP", intent, None, None, {METADATA_KEY: token}, NOW
            )
            with transaction(session):
                record_refunds(session, intent, [theirs], now=NOW)
        booking = reread(session, paid)
        jobs = mails(session, Mail.AMOUNT_REFUNDED)
        assert [job.args["refund_minor"] for job in jobs] == [1000, 2000]
        assert [is_still_true(booking, job.args, now=NOW) for job in jobs] == [False, True]

    def test_the_history_says_who(self, session: Session, give: Callable[..., Refund]) -> None:
        give(4050, 0)
        query = sa.select(HistoryEntry).where(HistoryEntry.cause == CauseCode.REFUND_DECIDED)
        entry = session.scalars(query).one()
        assert entry.actor is Actor.BUILDER
        assert entry.from_status is entry.to_status is Status.CONFIRMED
        assert entry.cause_facts["amount_minor"] == 4050

    def test_a_cancellation_refunds_what_is_left(
        self, session: Session, paid: Booking, give: Callable[..., Refund]
    ) -> None:
        give(4050, 0)
        preview = cancellation.preview_cancellation(session, reread(session, paid), now=NOW, by_builder=True)
        end_read(session)
        assert preview.refund_minor == 1950
        cause = Cause(Actor.BUILDER, CauseCode.CANCELED_ON_DASHBOARD)
        cancellation.cancel_booking(session, paid.id, cause=cause, by_builder=True, now=NOW)
        assert [minor for minor, *_ in refunds(session)] == [4050, 1950]

    def test_a_reason_of_the_program_is_no_choice(self, give: Callable[..., Refund]) -> None:
        with pytest.raises(ValueError, match="no reason"):
            give(1, 0, RefundReason.PAID_TWICE)


def test_who_cancels_for_the_builder_refunds_everything(session: Session, paid: Booking) -> None:
    """Whatever the policy of the booking gives, also shortly before the start."""
    with transaction(session):
        booking = bookings.lock_booking(session, paid.id)
        booking.policy = {**booking.policy, "builder_cancels_percent": 30}
    cause = Cause(Actor.OPERATOR, CauseCode.CANCELED_ON_DASHBOARD)
    soon = START - timedelta(minutes=1)
    preview = cancellation.preview_cancellation(session, reread(session, paid), now=soon, by_builder=True)
    end_read(session)
    cancellation.cancel_booking(session, paid.id, cause=cause, by_builder=True, now=soon)
    assert preview.refund_minor == 6000
    assert [minor for minor, *_ in refunds(session)] == [6000]
    (mail,) = mails(session, Mail.CANCELED_CLIENT)
    assert mail.args["by_operator"] is True


class TestAbsence:
    def test_everything_goes_back_once(self, session: Session, paid: Booking) -> None:
        for is_new in (True, False):
            assert cancellation.report_absence(session, paid.id, cause=ABSENT, now=BEGUN) is is_new
        booking = reread(session, paid)
        assert (booking.status, booking.builder_absent_at) == (Status.CANCELED, BEGUN)
        assert refunds(session) == [(6000, RefundState.ENQUEUED, RefundReason.BUILDER_ABSENT)]
        (mail,) = mails(session, Mail.CANCELED_CLIENT)
        assert mail.args["builder_absent"] is True

    def test_also_after_its_end(self, session: Session, paid: Booking) -> None:
        with transaction(session):
            session.execute(sa.update(Booking).values(status=Status.COMPLETED))
        assert cancellation.report_absence(session, paid.id, cause=ABSENT, now=START + timedelta(days=3))
        assert reread(session, paid).status is Status.CANCELED

    def test_not_before_the_start(self, session: Session, paid: Booking) -> None:
        with pytest.raises(Conflict, match="has not started yet"):
            cancellation.report_absence(session, paid.id, cause=ABSENT, now=START - timedelta(seconds=1))
        assert reread(session, paid).status is Status.CONFIRMED
        assert refunds(session) == []

    def test_a_canceled_booking_stays(self, session: Session, paid: Booking) -> None:
        cause = Cause(Actor.CLIENT, CauseCode.CANCELED_ON_PAGE)
        cancellation.cancel_booking(
            session, paid.id, cause=cause, by_builder=False, now=START - timedelta(hours=1)
        )
        with pytest.raises(Conflict, match="has ended already"):
            cancellation.report_absence(session, paid.id, cause=ABSENT, now=BEGUN)
        assert refunds(session) == []

    def test_an_unpaid_time_is_nothing_to_refund(self, session: Session, checkout: Checkout) -> None:
        booking = checkout.scheduled()
        with pytest.raises(Conflict, match="not confirmed"):
            cancellation.report_absence(session, booking.id, cause=ABSENT, now=BEGUN)

    def test_it_removes_the_clients_mark(self, session: Session, paid: Booking) -> None:
        """A client cannot miss a session that had no host; Calendly's mark is deleted by a job."""
        marked = Cause(Actor.BUILDER, CauseCode.NO_SHOW_MARKED)
        with transaction(session):
            booking = bookings.lock_booking(session, paid.id)
            attendance.mark_attendance(session, booking, marked, came=False, now=BEGUN)
            booking.no_show_uri = "https://api.calendly.com/invitee_no_shows/1"
        cancellation.report_absence(session, paid.id, cause=ABSENT, now=BEGUN + timedelta(hours=1))
        booking = reread(session, paid)
        assert (booking.status, booking.no_show_at) == (Status.CANCELED, None)
        jobs = session.scalars(sa.select(Job).where(Job.name == attendance.NO_SHOW_JOB)).all()
        assert len(jobs) == 2
        # The webhook about our own mark, which only arrives now, is no news.
        with transaction(session):
            booking = bookings.lock_booking(session, paid.id)
            assert not attendance.record_no_show(
                session,
                booking,
                Cause(Actor.CALENDLY, CauseCode.WEBHOOK, facts={"type": "invitee_no_show.created"}),
                invitee_uri=booking.invitee_uri or "",
                uri="https://api.calendly.com/invitee_no_shows/1",
                at=BEGUN,
                now=BEGUN + timedelta(hours=2),
            )
        assert FlagCode.NO_SHOW_WITHOUT_TIME not in {flag.code for flag in reread(session, paid).open_flags}

    def test_then_the_client_cannot_be_marked(self, session: Session, paid: Booking) -> None:
        cancellation.report_absence(session, paid.id, cause=ABSENT, now=BEGUN)
        marked = Cause(Actor.BUILDER, CauseCode.NO_SHOW_MARKED)
        with transaction(session):
            booking = bookings.lock_booking(session, paid.id)
            with pytest.raises(Conflict):
                attendance.mark_attendance(session, booking, marked, came=False, now=BEGUN)


class TestMailsAgain:
    @pytest.fixture
    def confirmed(self, session: Session, paid: Booking) -> Booking:
        """Its mails were sent."""
        with transaction(session):
            is_mail = Job.name == SEND_MAIL_JOB
            session.execute(sa.update(Job).where(is_mail).values(state=WorkState.DONE, finished_at=NOW))
        return paid

    def again(self, session: Session, booking: Booking, mail: Mail) -> None:
        with transaction(session):
            locked = bookings.lock_booking(session, booking.id)
            booking_mail.repeat_mail(session, locked, mail, actor=Actor.BUILDER, now=NOW)

    def test_it_is_another_mail(self, session: Session, confirmed: Booking) -> None:
        self.again(session, confirmed, Mail.CONFIRMED_CLIENT)
        first, second = mails(session, Mail.CONFIRMED_CLIENT)
        assert second.key == f"{first.key}:again-1"
        assert second.args == {**first.args, "again": 1}
        assert second.state is WorkState.RECEIVED

    def test_not_while_it_is_on_its_way(self, session: Session, confirmed: Booking) -> None:
        self.again(session, confirmed, Mail.CONFIRMED_CLIENT)
        with pytest.raises(Conflict, match="on its way"):
            self.again(session, confirmed, Mail.CONFIRMED_CLIENT)

    def test_only_what_is_still_true(self, session: Session, confirmed: Booking) -> None:
        cause = Cause(Actor.BUILDER, CauseCode.CANCELED_ON_DASHBOARD)
        cancellation.cancel_booking(session, confirmed.id, cause=cause, by_builder=True, now=NOW)
        with pytest.raises(Conflict, match="no longer true"):
            self.again(session, confirmed, Mail.CONFIRMED_CLIENT)

    def test_never_one_that_was_not_sent(self, session: Session, confirmed: Booking) -> None:
        with pytest.raises(Conflict):
            self.again(session, confirmed, Mail.EXPIRED_CLIENT)


class TestNotes:
    def add(self, session: Session, booking: Booking, text: str, by: Actor, **how: Any) -> Note:
        with transaction(session):
            return notes.add_note(session, bookings.lock_booking(session, booking.id), text, by=by, **how)

    def test_who_reads_which(self, session: Session, paid: Booking) -> None:
        self.add(session, paid, "mine", Actor.BUILDER, now=NOW)
        self.add(session, paid, "theirs", Actor.OPERATOR, now=NOW)
        self.add(session, paid, "for both", Actor.OPERATOR, is_shared=True, now=NOW)
        readers = {
            who: [n.text for n in notes.list_notes(session, paid, who)]
            for who in (Actor.BUILDER, Actor.OPERATOR)
        }
        assert readers == {
            Actor.BUILDER: ["mine", "for both"],
            Actor.OPERATOR: ["mine", "theirs", "for both"],
        }

    def test_each_side_changes_its_own(self, session: Session, paid: Booking) -> None:
        shared = self.add(session, paid, "for both", Actor.OPERATOR, is_shared=True, now=NOW)
        with transaction(session), pytest.raises(NotFound):
            notes.edit_note(session, paid, shared.id, "x", by=Actor.BUILDER, now=NOW)
        with transaction(session), pytest.raises(NotFound):
            notes.delete_note(session, paid, shared.id, by=Actor.BUILDER)
        with transaction(session):
            notes.edit_note(session, paid, shared.id, " better \r\n\u202eline ", by=Actor.OPERATOR, now=NOW)
        (note,) = notes.list_notes(session, paid, Actor.OPERATOR)
        assert (note.text, note.is_shared, note.edited_at) == ("better\nline", False, NOW)

    def test_a_double_click_is_one_note(self, session: Session, paid: Booking) -> None:
        for _ in range(2):
            self.add(session, paid, "once", Actor.BUILDER, now=NOW)
        self.add(session, paid, "once", Actor.BUILDER, now=NOW + timedelta(minutes=2))
        assert len(notes.list_notes(session, paid, Actor.BUILDER)) == 2

    def test_the_same_text_for_the_builder_too(self, session: Session, paid: Booking) -> None:
        """An operator who forgot to tick that the builder may read it writes it again."""
        for is_shared in (False, True):
            self.add(session, paid, "once", Actor.OPERATOR, is_shared=is_shared, now=NOW)
        assert [note.text for note in notes.list_notes(session, paid, Actor.BUILDER)] == ["once"]

    @pytest.mark.parametrize("text", ["", " \n\u200b ", "x" * 2001])
    def test_what_is_no_note(self, session: Session, paid: Booking, text: str) -> None:
        with transaction(session), pytest.raises(Invalid):
            notes.add_note(session, paid, text, by=Actor.BUILDER, now=NOW)


def test_one_check_at_a_time(session: Session, paid: Booking) -> None:
    def request(now: datetime) -> bool:
        with transaction(session):
            locked = bookings.lock_booking(session, paid.id)
            return booking_checks.request_check(session, locked, actor=Actor.BUILDER, now=now)

    assert [request(NOW), request(NOW + timedelta(seconds=1))] == [True, False]
    found = booking_checks.find_check(session, paid)
    assert found is not None and found.job.state.is_open and found.report is None
