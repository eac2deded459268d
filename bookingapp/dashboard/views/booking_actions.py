"""What a builder does with one booking on a page of its own: refund an amount, say that they could not come, send a
mail again, ask both providers.
"""

from __future__ import annotations

from flask import Response, flash, make_response, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.bookings import absence_claims
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.mail_triggers import Mail
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.bookings.slot import find_seats
from bookingapp.builders.guard import current_builder
from bookingapp.checkout import booking_mail, cancellation
from bookingapp.core import quotas
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.errors import Conflict, Invalid
from bookingapp.core.htmx import is_htmx, vary_on_htmx
from bookingapp.core.i18n import gettext
from bookingapp.core.money import format_money
from bookingapp.dashboard.booking_forms import NoteForm, RefundForm
from bookingapp.dashboard.views.blueprint import blueprint
from bookingapp.dashboard.views.booking import (
    MOST_LOOKS,
    check_values,
    locked,
    own_booking,
    render_booking,
    to_booking,
)
from bookingapp.dashboard.words.mails import given_up_line
from bookingapp.payments import chosen_refunds
from bookingapp.payments.chosen_refunds import Refundable
from bookingapp.payments.refunds import NothingLeft
from bookingapp.sync import booking_checks


def _refund_page(
    booking: Booking, found: Refundable, form: RefundForm, *, problem: str | None = None, status: int = 200
) -> Response:
    body = render_template(
        "dashboard/refund.html",
        builder=current_builder(),
        booking=booking,
        found=found,
        form=form,
        problem=problem,
    )
    return make_response(body, status)


@blueprint.get("/bookings/<tracking_id>/refund")
def refund(tracking_id: str) -> Response:
    """The form for an amount; with ``amount`` and ``reason``, what would be refunded, and the button that does it."""
    booking = own_booking(tracking_id)
    found = chosen_refunds.get_refundable(db.session(), booking)
    if "amount" not in request.args:
        return _refund_page(booking, found, RefundForm(found, formdata=None, data={"edition": found.edition}))
    form = RefundForm(found, formdata=request.args, meta={"csrf": False})
    if not form.validate():
        return _refund_page(booking, found, form, status=422)
    body = render_template(
        "dashboard/refund_confirm.html", builder=current_builder(), booking=booking, found=found, form=form
    )
    return make_response(body)


@blueprint.post("/bookings/<tracking_id>/refund")
def confirm_refund(tracking_id: str) -> BaseResponse:
    """Refund the amount. Sent twice, it is one refund."""
    booking = own_booking(tracking_id)
    found = chosen_refunds.find_refundable(db.session(), booking)
    if found is None:
        raise NothingLeft
    form = RefundForm(found, is_limited=False)
    if not form.validate_on_submit():
        return _refund_page(booking, found, form, status=422)
    try:
        with locked(tracking_id) as mine:
            made = chosen_refunds.refund_amount(
                db.session(),
                mine,
                amount_minor=form.minor,
                reason=form.chosen_reason,
                edition=form.edition.data or 0,
                actor=Actor.BUILDER,
                now=utcnow(),
            )
            amount = format_money(made.amount_minor, made.currency)
    except Invalid as error:
        form.amount.errors = [error.message]
        return _refund_page(booking, found, form, status=422)
    except Conflict as error:
        found = chosen_refunds.get_refundable(db.session(), own_booking(tracking_id))
        typed = {"amount": form.amount.data, "reason": form.reason.data, "edition": found.edition}
        fresh = RefundForm(found, formdata=None, data=typed)
        return _refund_page(booking, found, fresh, problem=error.message, status=409)
    flash(gettext("We are refunding %(amount)s. Your client gets an e-mail.", amount=amount), "ok")
    return to_booking(tracking_id)


@blueprint.get("/bookings/<tracking_id>/absence")
def absence(tracking_id: str) -> str:
    """What the client gets back if the builder says that they could not come, and the button that says so."""
    booking = own_booking(tracking_id)
    preview = cancellation.preview_absence(db.session(), booking, now=utcnow())
    return render_template(
        "dashboard/absence.html",
        builder=current_builder(),
        booking=booking,
        refund_minor=preview.refund_minor,
        currency=preview.currency,
        sentence=preview.sentence,
        seats=find_seats(db.session(), booking),
    )


@blueprint.post("/bookings/<tracking_id>/absence")
def confirm_absence(tracking_id: str) -> BaseResponse:
    """The builder could not come: everybody who booked the session gets everything back, and an apology."""
    cause = Cause(Actor.BUILDER, CauseCode.ABSENCE_REPORTED)
    cancellation.report_absence_of_event(db.session(), own_booking(tracking_id), cause=cause, now=utcnow())
    flash(gettext("Saved. We are sending your client an apology."), "ok")
    return to_booking(tracking_id)


@blueprint.post("/bookings/<tracking_id>/was-there")
def was_there(tracking_id: str) -> BaseResponse:
    """The builder says that they were there, although the client says that they were not: a person decides."""
    with locked(tracking_id) as found:
        absence_claims.deny_claim(db.session(), found, by=Actor.BUILDER, now=utcnow())
    flash(gettext("Thank you. A person of our team looks at it and writes to you both."), "ok")
    return to_booking(tracking_id)


@blueprint.get("/bookings/<tracking_id>/mails")
def mails(tracking_id: str) -> str:
    """The e-mails about a booking that can be sent once more."""
    booking = own_booking(tracking_id)
    found = booking_mail.list_repeatable(db.session(), booking, now=utcnow())
    return render_template(
        "dashboard/mails.html",
        builder=current_builder(),
        booking=booking,
        mails=[(mail, given_up_line(mail, booking.client_name), job.finished_at) for mail, job in found],
    )


@blueprint.post("/bookings/<tracking_id>/mails")
def send_mail_again(tracking_id: str) -> BaseResponse:
    """Send one of them (``mail``) once more."""
    booking, name = own_booking(tracking_id), request.form.get("mail", "")
    if name not in set(Mail):
        raise Invalid(gettext("Please choose an e-mail."))
    quotas.spend(quotas.REPEATED_MAILS, str(booking.id))
    with locked(tracking_id) as mine:
        booking_mail.repeat_mail(db.session(), mine, Mail(name), actor=Actor.BUILDER, now=utcnow())
    flash(gettext("We are sending it again."), "ok")
    return to_booking(tracking_id)


@blueprint.post("/bookings/<tracking_id>/check")
def check_now(tracking_id: str) -> BaseResponse:
    """Ask Stripe and Calendly about the booking; a job does it, and the page shows its result."""
    quotas.spend(quotas.CHECKS_OF_BOOKING, str(own_booking(tracking_id).id))
    with locked(tracking_id) as mine:
        booking_checks.request_check(db.session(), mine, actor=Actor.BUILDER, now=utcnow())
    return _renewed(tracking_id, "#check") if is_htmx() else to_booking(tracking_id, "check")


@blueprint.get("/bookings/<tracking_id>/check")
def check_result(tracking_id: str) -> Response | BaseResponse:
    """How far the newest check is, as a fragment that asks again until it is done."""
    booking = own_booking(tracking_id)
    if not is_htmx():
        return to_booking(tracking_id, "check")
    found = booking_checks.find_check(db.session(), booking)
    looks = min(max(request.args.get("n", 0, type=int), 0), MOST_LOOKS)
    if found is not None and found.report is not None and found.report.missing:
        # What was missing is on the rest of the page.
        return _renewed(tracking_id, ".dashboard")
    values = {"tracking_id": tracking_id, "is_fragment": True, **check_values(found, looks)}
    body = render_template("dashboard/_check.html", **values)
    body += render_template("dashboard/_check_button.html", **values)
    return vary_on_htmx(make_response(body))


def _renewed(tracking_id: str, part: str) -> Response:
    """A part of the booking's page as it is now, for htmx: a note that is being written stays."""
    body = render_booking(tracking_id, NoteForm(formdata=None), renewed=part)
    response = vary_on_htmx(make_response(body))
    response.headers["HX-Retarget"] = response.headers["HX-Reselect"] = part
    return response
