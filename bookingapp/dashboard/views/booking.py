"""The page of one booking, its evidence for a dispute, and what is done with it at once. Refunds, mails, checks and
notes are in ``booking_actions`` and ``booking_notes``; the list is in ``bookings``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Response, flash, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.bookings import attendance
from bookingapp.bookings import service as bookings_service
from bookingapp.bookings.codes import OPERATORS_FLAGS, CauseCode, FlagCode
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
from bookingapp.dashboard.booking_details import load_details
from bookingapp.dashboard.booking_forms import NoteForm
from bookingapp.dashboard.evidence import build_evidence
from bookingapp.dashboard.forms import page_number
from bookingapp.dashboard.timeline import Kind
from bookingapp.dashboard.views.blueprint import blueprint
from bookingapp.dashboard.words import timeline as timeline_words
from bookingapp.dashboard.words.erasure import evidence_left
from bookingapp.payments import fraud_warnings
from bookingapp.sync.booking_checks import Check
from bookingapp.text import read_code

MOST_LOOKS = 30
"""How often a page asks for the result of a check, every two seconds."""


def own_booking(tracking_id: str) -> Booking:
    """One of the builder's own bookings. Raises NotFound for any other."""
    return bookings_service.get_by_tracking_id(db.session(), tracking_id, builder_id=current_builder().id)


@contextmanager
def locked(tracking_id: str) -> Iterator[Booking]:
    """A transaction that changes one of the builder's own bookings, which is locked in it."""
    found = own_booking(tracking_id)
    with transaction(db.session()) as session:
        yield bookings_service.lock_booking(session, found.id)


def to_booking(tracking_id: str, anchor: str | None = None) -> BaseResponse:
    """Redirect to the page of a booking."""
    return see_other(url_for(".booking", tracking_id=tracking_id, _anchor=anchor))


@blueprint.get("/bookings/<tracking_id>")
def booking(tracking_id: str) -> str:
    """One booking with its money and its timeline; ``show`` narrows that to one kind, ``page`` 1 is the newest."""
    show = request.args.get("show", "")
    kind = read_code(Kind, show)
    return render_booking(tracking_id, NoteForm(formdata=None), kind=kind, page=page_number())


def render_booking(
    tracking_id: str,
    note_form: NoteForm,
    *,
    kind: Kind | None = None,
    page: int = 1,
    renewed: str | None = None,
) -> str:
    """The page of one of the builder's own bookings, with a form for a note. Of it htmx takes ``renewed`` alone."""
    details = load_details(
        db.session(), own_booking(tracking_id), reader=Actor.BUILDER, kind=kind, page=page, now=utcnow()
    )
    return render_template(
        "dashboard/booking.html",
        builder=current_builder(),
        note_form=note_form,
        renewed=renewed,
        kinds=timeline_words.kind_labels(),
        evidence_left=evidence_left(details.booking, current_builder().timezone),
        **vars(details),
        **check_values(details.check),
    )


def check_values(check: Check | None, looks: int = 0) -> dict[str, Any]:
    """What the part about the check with both providers shows; ``looks`` is how often the page has asked for it."""
    found = timeline_words.describe_check(check, current_builder().timezone) if check is not None else None
    is_open = check is not None and check.job.state.is_open
    return {
        "check_words": found,
        "is_checking": is_open,
        "looks": looks,
        "is_polling": is_open and looks < MOST_LOOKS,
    }


@blueprint.get("/bookings/<tracking_id>/evidence")
def evidence(tracking_id: str) -> Response:
    """A ZIP file of what is known of one booking, to answer a dispute with."""
    found = own_booking(tracking_id)
    # The calendar entry does not name the booking's own page, because anyone with that address can act as the client.
    address = absolute_url("builders.profile", slug=found.builder.slug)
    response = make_response(build_evidence(db.session(), found, address=address, now=utcnow()))
    response.headers["Content-Type"] = "application/zip"
    response.headers["Content-Disposition"] = f'attachment; filename="evidence-{found.id}.zip"'
    return response


@blueprint.get("/bookings/<tracking_id>/cancel")
def cancel(tracking_id: str) -> str:
    """What the client would get back if the builder canceled now, and the button that cancels."""
    found = own_booking(tracking_id)
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
    found = own_booking(tracking_id)
    cause = Cause(Actor.BUILDER, CauseCode.CANCELED_ON_DASHBOARD)
    cancellation.cancel_booking(db.session(), found.id, cause=cause, by_builder=True, now=utcnow())
    flash(gettext("Canceled. We are sending your client an e-mail."), "ok")
    return to_booking(tracking_id)


@blueprint.post("/bookings/<tracking_id>/cancel-event")
def cancel_event(tracking_id: str) -> BaseResponse:
    """Cancel a group event for everybody in it."""
    cause = Cause(Actor.BUILDER, CauseCode.CANCELED_ON_DASHBOARD)
    cancellation.cancel_group_event(db.session(), own_booking(tracking_id), cause=cause, now=utcnow())
    flash(gettext("The group session is canceled. We have sent everybody who booked here an e-mail."), "ok")
    return to_booking(tracking_id)


@blueprint.post("/bookings/<tracking_id>/no-show")
def no_show(tracking_id: str) -> BaseResponse:
    """Mark that the client did not come, or (``came=1``) that they did. A job marks it in Calendly."""
    came = request.form.get("came") == "1"
    cause = Cause(Actor.BUILDER, CauseCode.ATTENDANCE_MARKED if came else CauseCode.NO_SHOW_MARKED)
    with locked(tracking_id) as found:
        attendance.mark_attendance(db.session(), found, cause, came=came, now=utcnow())
    flash(gettext("Saved. We are marking it in Calendly too."), "ok")
    return to_booking(tracking_id)


@blueprint.post("/bookings/<tracking_id>/fraud-refund")
def refund_warned(tracking_id: str) -> BaseResponse:
    """Refund a payment in full that an early fraud warning is about."""
    with locked(tracking_id) as found:
        fraud_warnings.refund_after_warning(db.session(), found, now=utcnow())
    flash(gettext("We are refunding the payment in full."), "ok")
    return to_booking(tracking_id)


@blueprint.post("/bookings/<tracking_id>/send-again")
def send_again(tracking_id: str) -> BaseResponse:
    """Send the mails about the booking that were given up once more."""
    with locked(tracking_id) as found:
        again = booking_mail.send_again(db.session(), found, now=utcnow())
    if again:
        flash(gettext("We are sending it again. If it fails once more, it appears here again."), "ok")
    return to_booking(tracking_id)


@blueprint.post("/bookings/<tracking_id>/seen")
def seen(tracking_id: str) -> BaseResponse:
    """Resolve the attention flag with the code ``flag``; without one, every flag that the builder sees.
    ``on=home`` leads back to the dashboard's first page.
    """
    code = read_code(FlagCode, request.form.get("flag", ""))
    with locked(tracking_id) as found:
        wanted = [one.code for one in found.open_flags if code in (None, one.code)]
        if codes := [one for one in wanted if one not in OPERATORS_FLAGS]:
            bookings_service.resolve_flags(db.session(), found, Actor.BUILDER, *codes, now=utcnow())
    flash(gettext("Marked as resolved.") if codes else gettext("It is resolved already."), "ok")
    return see_other(url_for(".index")) if request.form.get("on") == "home" else to_booking(tracking_id)
