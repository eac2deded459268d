"""The page of our own list of times: a month of them, and choosing one. htmx gets the fragment of the same address."""

from __future__ import annotations

import structlog
from flask import Blueprint, Response, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.bookings import service as bookings
from bookingapp.bookings.models import Booking
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.builders.models import Way
from bookingapp.checkout.calendly_slot import Timers
from bookingapp.checkout.presenter import BookingView
from bookingapp.checkout.time_list import Next, Step, TimeList, TimesPage
from bookingapp.checkout.views import booking_and_visitor, keep_language, present, redirect_to_checkout
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import is_htmx, see_other, vary_on_htmx
from bookingapp.core.security import forbid_caching_and_indexing
from bookingapp.core.zones import zone_options
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.integrations.stripe_gateway import StripeGatewayError
from bookingapp.session_types.times import parse_time

log = structlog.get_logger(__name__)
blueprint = Blueprint("times", __name__)
# A booking's address is its key.
blueprint.after_request(forbid_caching_and_indexing)
blueprint.before_request(keep_language)


@blueprint.get("/bookings/<ref>/times")
@limiter.limit("120/minute", key_func=booking_and_visitor)
def index(ref: str) -> Response | BaseResponse:
    """A ``month`` of free times in a ``timezone``. ``time`` is one of them, picked on the session type's card;
    ``start_time`` is one for which the details are asked.
    """
    booking = bookings.get_by_ref(db.session(), ref)
    seen = present(booking)
    if not seen.can_schedule:
        return see_other(url_for("checkout.show", ref=ref))
    found = _list(booking, request.args.get("timezone"))
    start = parse_time(request.args.get("start_time"))
    if start is not None:
        return _respond(seen, found.show_details(start))
    return _respond(seen, found.show(request.args.get("month"), picked=parse_time(request.args.get("time"))))


@blueprint.post("/bookings/<ref>/times")
@limiter.limit("30/minute", key_func=booking_and_visitor)
def choose(ref: str) -> Response | BaseResponse:
    """Choose ``start_time``; then on to Stripe, or to the booking's page. 409 with fresh times where it is gone, 422
    with a form where something is missing. ``show`` shows another month, and keeps what was typed. From the list, a
    person gets the form at an address of its own, to which a browser can go back.
    """
    booking = bookings.get_by_ref(db.session(), ref)
    seen = present(booking)
    chosen = _list(booking, request.form.get("timezone")).choose(
        services.get(TrackingSigner), request.form.to_dict(flat=False), timers=services.get(Timers)
    )
    return _respond(seen, chosen)


def _list(booking: Booking, timezone: str | None) -> TimeList:
    return TimeList(db.session(), services.get(CalendlyClient), booking, timezone=timezone, now=utcnow())


def _respond(seen: BookingView, found: TimesPage | Next) -> Response | BaseResponse:
    if found is Next.CALENDAR:
        return see_other(url_for("checkout.schedule", ref=seen.ref, by=Way.WIDGET.value))
    if found is Next.DETAILS:
        start, timezone = request.form.get("start_time"), request.form.get("timezone")
        return see_other(url_for("times.index", ref=seen.ref, start_time=start, timezone=timezone))
    if found is Next.PAYMENT:
        try:
            return redirect_to_checkout(seen.ref)
        except StripeGatewayError as error:
            # The choice is kept, and the booking's page has the button to pay.
            log.warning("checkout_not_opened", category=error.category)
    if isinstance(found, Next):
        return see_other(url_for("checkout.show", ref=seen.ref))
    fragment = "checkout/_time_details.html" if found.form else "checkout/_times.html"
    body = render_template(
        fragment if is_htmx() else "checkout/times.html",
        b=seen,
        page=found,
        fragment=fragment,
        is_fragment=is_htmx(),
        step=Step,
        zone_options=zone_options(found.timezone),
    )
    return vary_on_htmx(make_response(body, found.status))
