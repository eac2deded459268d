"""What we still owe and when: the registered jobs of the outbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy.orm import Session

from bookingapp.bookings.attendance import NO_SHOW_JOB
from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB, Mail
from bookingapp.bookings.models import Actor
from bookingapp.bookings.reschedule import FOLLOW_MOVE_JOB
from bookingapp.bookings.service import CANCEL_EVENT_JOB, COMPLETE_JOB, EXPIRE_JOB, Cause
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.checkout import (
    calendly_failures,
    close_checkout,
    completion,
    expiry,
    incoming_payments,
    late_payments,
    no_show,
    pay,
    release_time,
    reschedule,
    send_refund,
)
from bookingapp.checkout.calendly_slot import CLOSE_CHECKOUT_JOB, CLOSE_FOR_BOOKING_JOB, Timers
from bookingapp.clients.service import SEND_LINK_JOB
from bookingapp.connections import revocations
from bookingapp.connections.refusals import ASK_AGAIN_JOB
from bookingapp.connections.tasks import check_refused_token
from bookingapp.core.claims import Batch, Claim, finish, work_next
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job as JobRow
from bookingapp.core.queue import WorkState
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, OAuthClient
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.notifications import service as notifications
from bookingapp.payments import refunds


@dataclass(frozen=True)
class Context:
    """The collaborators of the jobs."""

    calendly: CalendlyClient
    stripe: StripeGateway
    timers: Timers
    post: notifications.Mailer
    oauth: OAuthClient
    signer: TrackingSigner


Job = Callable[[Session, Context, Mapping[str, Any], datetime], None]
OtherJob = Callable[[Session, Mapping[str, Any], datetime], None]


def _expire(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    expiry.expire_booking(
        session,
        context.stripe,
        context.calendly,
        booking_id=args["booking_id"],
        timers=context.timers,
        now=now,
    )


def _cancel_event(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    release_time.cancel_calendly_event(
        session,
        context.calendly,
        booking_id=args["booking_id"],
        event_uri=args["event_uri"],
        invitee_uri=args["invitee_uri"],
        reason="This booking does not keep the time.",
    )


def _follow_move(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    reschedule.follow_reschedule(
        session,
        context.calendly,
        booking_id=args["booking_id"],
        old=args["old"],
        new=args["new"],
        timers=context.timers,
        now=now,
    )


def _no_show(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    no_show.sync_no_show(session, context.calendly, booking_id=args["booking_id"])


def _late_money(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    late_payments.settle_late_payment(
        session,
        context.calendly,
        context.signer,
        booking_id=args["booking_id"],
        payment_id=args["payment_id"],
        now=now,
    )


def _check_payment(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    incoming_payments.check_payment(
        session, context.stripe, payment_id=args["payment_id"], timers=context.timers, now=now
    )


def _complete(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    completion.complete_booking(
        session, context.calendly, booking_id=args["booking_id"], timers=context.timers, now=now
    )


def _close_checkout(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    close_checkout.close_payment(session, context.stripe, payment_id=args["payment_id"], now=now)


def _close_for_booking(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    close_checkout.close_for_booking(session, context.stripe, booking_id=args["booking_id"], now=now)


def _end_orphans(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    cause = Cause(Actor.STRIPE, "found a checkout session that nobody was given, and ended it")
    close_checkout.expire_orphans(
        session, context.stripe, payment_id=args["payment_id"], cause=cause, now=now
    )


def _refund(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    send_refund.send_refund(session, context.stripe, refund_id=args["refund_id"], now=now)


def _send_mail(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    # Whose money is on its way is not reminded of paying.
    if args["mail"] == Mail.PAY_REMINDER and pay.is_payment_under_way(session, args["booking_id"]):
        return
    notifications.send_booking_mail(session, context.post, args, now=now)


def _send_link(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    notifications.send_link(session, context.post, sign_in_id=args["sign_in_id"], now=now)


def _revoke_token(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    revocations.revoke_token(session, context.oauth, revocation_id=args["revocation_id"])


def _ask_again(session: Session, context: Context, args: Mapping[str, Any], now: datetime) -> None:
    check_refused_token(session, context.calendly, number=args["number"], now=now)


JOBS: Mapping[str, Job] = {
    EXPIRE_JOB: _expire,
    CANCEL_EVENT_JOB: _cancel_event,
    FOLLOW_MOVE_JOB: _follow_move,
    late_payments.LATE_MONEY_JOB: _late_money,
    NO_SHOW_JOB: _no_show,
    COMPLETE_JOB: _complete,
    pay.CHECK_PAYMENT_JOB: _check_payment,
    pay.ORPHAN_JOB: _end_orphans,
    CLOSE_CHECKOUT_JOB: _close_checkout,
    CLOSE_FOR_BOOKING_JOB: _close_for_booking,
    refunds.REFUND_JOB: _refund,
    SEND_MAIL_JOB: _send_mail,
    SEND_LINK_JOB: _send_link,
    revocations.REVOKE_JOB: _revoke_token,
    ASK_AGAIN_JOB: _ask_again,
}
"""The functions that a row of the outbox may name."""


def run_next(
    session: Session,
    context: Context,
    hand: Batch[JobRow],
    *,
    clock: Callable[[], datetime],
    others: Mapping[str, OtherJob] = MappingProxyType({}),
) -> bool:
    """Do the job that is longest due. Returns whether there was one. ``others`` are the functions of those who
    stand above this module; they bring their collaborators along.
    """

    def do(job: JobRow, held: Claim) -> None:
        if job.name in others:
            others[job.name](session, job.args, clock())
        else:
            try:
                JOBS[job.name](session, context, job.args, clock())
            except CalendlyError as error:
                calendly_failures.flag_failure(session, job, held, error, now=clock())
                raise
            calendly_failures.resolve_failure(session, job, held)
        with transaction(session):
            finish(session, JobRow, held, state=WorkState.DONE, now=clock())

    return work_next(session, hand, do, clock=clock)
