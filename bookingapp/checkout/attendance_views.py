"""What the client says about who came: that the builder did not, and that they were there themselves."""

from __future__ import annotations

from flask import Blueprint, flash, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.bookings import absence_claims, attendance
from bookingapp.bookings import service as bookings
from bookingapp.checkout.views import booking_and_visitor
from bookingapp.core import quotas
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import Invalid
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import see_other
from bookingapp.core.i18n import gettext
from bookingapp.core.security import forbid_caching_and_indexing

blueprint = Blueprint("attendance", __name__)
# A booking's address is its key.
blueprint.after_request(forbid_caching_and_indexing)


@blueprint.post("/bookings/<ref>/absence")
@limiter.limit("30/minute", key_func=booking_and_visitor)
def report_builder(ref: str) -> BaseResponse:
    """Say that the builder did not come (``came=0``), or came after all (``came=1``)."""
    booking_id = bookings.get_by_ref(db.session(), ref).id
    came = {"0": False, "1": True}.get(request.form.get("came", ""))
    if came is None:
        raise Invalid(gettext("Please say whether your builder came."))
    quotas.spend(quotas.ATTENDANCE, str(booking_id))
    with transaction(db.session()) as database:
        booking, now = bookings.lock_booking(database, booking_id), utcnow()
        if came:
            absence_claims.withdraw_claim(database, booking, now=now)
        else:
            absence_claims.claim_absence(database, booking, now=now)
    flash(
        gettext("Good to know. There is nothing more to do.") if came else gettext("Thank you. We're on it."),
        "ok",
    )
    return see_other(url_for("checkout.show", ref=ref))


@blueprint.post("/bookings/<ref>/attendance")
@limiter.limit("30/minute", key_func=booking_and_visitor)
def answer_no_show(ref: str) -> BaseResponse:
    """Say that the client was there, although they were marked as a no-show."""
    booking_id = bookings.get_by_ref(db.session(), ref).id
    quotas.spend(quotas.ATTENDANCE, str(booking_id))
    with transaction(db.session()) as database:
        attendance.deny_no_show(database, bookings.lock_booking(database, booking_id), now=utcnow())
    flash(gettext("Thank you. A person of our team looks at it."), "ok")
    return see_other(url_for("checkout.show", ref=ref))
