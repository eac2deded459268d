"""What a builder does with one of their own bookings: call it off, note who came, say that a flag is seen to."""

from __future__ import annotations

from flask import Blueprint, Response, flash, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts.guard import current_account, require_account
from bookingapp.bookings import attendance
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.builders.models import Builder
from bookingapp.builders.service import get_by_account
from bookingapp.checkout import cancellation
from bookingapp.checkout.presenter import present_booking
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import NotFound
from bookingapp.core.htmx import see_other
from bookingapp.core.security import forbid_caching
from bookingapp.dashboard import service
from bookingapp.payments.service import summarize_money

blueprint = Blueprint("booking_actions", __name__, url_prefix="/dashboard/bookings/<ref>")
blueprint.before_request(require_account)
blueprint.after_request(forbid_caching)


def _mine(ref: str) -> tuple[Builder, Booking]:
    """The builder who is logged in, and that booking of theirs. Raises :class:`NotFound`, also for another's."""
    account = current_account()
    if account is None:
        raise NotFound
    builder = get_by_account(db.session(), account.id)
    return builder, service.get_booking(db.session(), builder, ref)


def _back(ref: str) -> BaseResponse:
    return see_other(url_for("dashboard.booking", ref=ref))


@blueprint.get("/cancel")
def cancel(ref: str) -> Response:
    """What calling it off would mean, to the last minor unit: the client gets everything back."""
    builder, booking = _mine(ref)
    session, now = db.session(), utcnow()
    shown = cancellation.preview_cancellation(session, booking, now=now, by_builder=True)
    booking.builder = builder
    body = render_template(
        "dashboard/cancel.html",
        builder=builder,
        row=service.booking_rows(session, [booking])[0],
        b=present_booking(booking, summarize_money(session, booking), now=now),
        refund_minor=shown.refund_minor,
        currency=shown.currency,
        sentence=shown.sentence,
    )
    return make_response(body)


@blueprint.post("/cancel")
def confirm_cancel(ref: str) -> BaseResponse:
    """Call it off. Refund, mails and Calendly follow by themselves."""
    _mine(ref)
    cause = Cause(Actor.BUILDER, CauseCode.CANCELED_ON_DASHBOARD)
    cancellation.cancel_booking(db.session(), ref=ref, cause=cause, by_builder=True, now=utcnow())
    flash("The booking is canceled, and your client is told.", "ok")
    return _back(ref)


@blueprint.post("/no-show")
def no_show(ref: str) -> BaseResponse:
    """Note that the client did not come, or (``came``) that they did. Calendly is told by itself."""
    _, booking = _mine(ref)
    came = request.form.get("came") == "1"
    cause = Cause(Actor.BUILDER, CauseCode.ATTENDANCE_MARKED if came else CauseCode.NO_SHOW_MARKED)
    with transaction(db.session()) as session:
        attendance.mark_attendance(
            session, bookings.lock_booking(session, booking.id), cause, came=came, now=utcnow()
        )
    flash("Noted. Calendly is told as well.", "ok")
    return _back(ref)


@blueprint.post("/seen")
def seen(ref: str) -> BaseResponse:
    """What the booking was flagged for is seen to."""
    _, booking = _mine(ref)
    with transaction(db.session()) as session:
        locked = bookings.lock_booking(session, booking.id)
        bookings.resolve_flags(session, locked, Actor.BUILDER, now=utcnow())
    return _back(ref)
