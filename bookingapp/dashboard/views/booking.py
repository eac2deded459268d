"""The page of one booking, its evidence for a dispute, and what the builder does with it. The list: ``bookings``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Response, flash, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.bookings import attendance
from bookingapp.bookings import service as bookings_service
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.bookings.slot import find_seats
from bookingapp.builders.guard import current_builder
from bookingapp.checkout import booking_mail, cancellation
from bookingapp.core.addresses import absolute_url
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.htmx import see_other
from bookingapp.core.i18n import gettext
from bookingapp.dashboard import service
from bookingapp.dashboard.booking_details import load_details
from bookingapp.dashboard.evidence import build_evidence
from bookingapp.dashboard.views.blueprint import blueprint
from bookingapp.payments import fraud_warnings


def _own_booking(tracking_id: str) -> Booking:
    return service.get_booking(db.session(), current_builder(), tracking_id)


@contextmanager
def _locked(tracking_id: str) -> Iterator[Booking]:
    """A transaction that changes one of the builder's own bookings, which is locked in it."""
    found = _own_booking(tracking_id)
    with transaction(db.session()) as session:
        yield bookings_service.lock_booking(session, found.id)


def _to_booking(tracking_id: str) -> BaseResponse:
    return see_other(url_for(".booking", tracking_id=tracking_id))


@blueprint.get("/bookings/<tracking_id>")
def booking(tracking_id: str) -> str:
    """One booking with its money and its history."""
    details = load_details(db.session(), _own_booking(tracking_id), now=utcnow())
    return render_template("dashboard/booking.html", builder=current_builder(), **vars(details))


@blueprint.get("/bookings/<tracking_id>/evidence")
def evidence(tracking_id: str) -> Response:
    """A ZIP file of what is known of one booking, to answer a dispute with."""
    found = _own_booking(tracking_id)
    # The calendar entry does not name the booking's own page, because anyone with that address can act as the client.
    address = absolute_url("builders.profile", slug=found.builder.slug)
    response = make_response(build_evidence(db.session(), found, address=address, now=utcnow()))
    response.headers["Content-Type"] = "application/zip"
    response.headers["Content-Disposition"] = f'attachment; filename="evidence-{found.id}.zip"'
    return response


@blueprint.get("/bookings/<tracking_id>/cancel")
def cancel(tracking_id: str) -> str:
    """What the client would get back if the builder canceled now, and the button that cancels."""
    found = _own_booking(tracking_id)
    preview = cancellation.preview_cancellation(db.session(), found, now=utcnow(), by_builder=True)
    return render_template(
        "dashboard/cancel.html",
        builder=current_builder(),
        booking=found,
        refund_minor=preview.refund_minor,
        currency=preview.currency,
        sentence=preview.sentence,
        seats=find_seats(db.session(), found),
    )


@blueprint.post("/bookings/<tracking_id>/cancel")
def confirm_cancel(tracking_id: str) -> BaseResponse:
    """Cancel for the builder. Jobs refund, send the mails and cancel in Calendly."""
    found = _own_booking(tracking_id)
    cause = Cause(Actor.BUILDER, CauseCode.CANCELED_ON_DASHBOARD)
    cancellation.cancel_booking(db.session(), found.id, cause=cause, by_builder=True, now=utcnow())
    flash(gettext("Canceled. We have sent your client an e-mail."), "ok")
    return _to_booking(tracking_id)


@blueprint.post("/bookings/<tracking_id>/cancel-event")
def cancel_event(tracking_id: str) -> BaseResponse:
    """Cancel a group event for everybody in it."""
    cause = Cause(Actor.BUILDER, CauseCode.CANCELED_ON_DASHBOARD)
    cancellation.cancel_group_event(db.session(), _own_booking(tracking_id), cause=cause, now=utcnow())
    flash(gettext("The group session is canceled. We have sent everybody who booked here an e-mail."), "ok")
    return _to_booking(tracking_id)


@blueprint.post("/bookings/<tracking_id>/no-show")
def no_show(tracking_id: str) -> BaseResponse:
    """Mark that the client did not come, or (``came=1``) that they did. A job marks it in Calendly."""
    came = request.form.get("came") == "1"
    cause = Cause(Actor.BUILDER, CauseCode.ATTENDANCE_MARKED if came else CauseCode.NO_SHOW_MARKED)
    with _locked(tracking_id) as locked:
        attendance.mark_attendance(db.session(), locked, cause, came=came, now=utcnow())
    flash(gettext("Saved. We are marking it in Calendly too."), "ok")
    return _to_booking(tracking_id)


@blueprint.post("/bookings/<tracking_id>/refund")
def refund_warned(tracking_id: str) -> BaseResponse:
    """Refund a payment in full that an early fraud warning is about."""
    with _locked(tracking_id) as locked:
        fraud_warnings.refund_after_warning(db.session(), locked, now=utcnow())
    flash(gettext("We are refunding the payment in full."), "ok")
    return _to_booking(tracking_id)


@blueprint.post("/bookings/<tracking_id>/send-again")
def send_again(tracking_id: str) -> BaseResponse:
    """Send the mails about the booking that were given up once more."""
    with _locked(tracking_id) as locked:
        again = booking_mail.send_again(db.session(), locked, now=utcnow())
    if again:
        flash(gettext("We are sending it again. If it fails once more, it appears here again."), "ok")
    return _to_booking(tracking_id)


@blueprint.post("/bookings/<tracking_id>/seen")
def seen(tracking_id: str) -> BaseResponse:
    """Resolve every attention flag of the booking."""
    with _locked(tracking_id) as locked:
        bookings_service.resolve_flags(db.session(), locked, Actor.BUILDER, now=utcnow())
    return _to_booking(tracking_id)
