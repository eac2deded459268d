"""A booking's own pages: status, schedule, pay, cancel. The link is the key to them."""

from __future__ import annotations

import structlog
from flask import (
    Blueprint,
    Response,
    flash,
    g,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.bookings import addresses, lookup
from bookingapp.bookings import service as bookings
from bookingapp.bookings.calendar_file import calendar_file, has_calendar_file
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.mail_triggers import enqueue_mail_with_link
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.bookings.slot import find_seats
from bookingapp.bookings.slot_requests import find_request
from bookingapp.bookings.states import Status
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.bookings.views import MINE
from bookingapp.bookings.withdrawn_types import was_withdrawn
from bookingapp.builders.models import Way
from bookingapp.checkout import calendly_slot, cancellation, embedding
from bookingapp.checkout.pay import (
    find_open_checkout,
    is_checking_payment,
    record_return_from_stripe,
    start_payment,
)
from bookingapp.checkout.presenter import BookingView, present_booking
from bookingapp.checkout.schedule_page import load_schedule_page
from bookingapp.checkout.stripe_check import fetch_missed_money
from bookingapp.core import quotas, services
from bookingapp.core.addresses import absolute_url
from bookingapp.core.clock import iso, utcnow
from bookingapp.core.db import DATABASE_DOWN, db, end_request_read, transaction
from bookingapp.core.errors import Conflict, Invalid, NotFound, Unavailable
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import is_htmx, see_other, vary_on_htmx
from bookingapp.core.i18n import asked, gettext, speaking
from bookingapp.core.languages import hide_query
from bookingapp.core.security import checkout_origins, forbid_caching_and_indexing, origin
from bookingapp.core.settings import Settings
from bookingapp.core.visitors import visitor_address
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, CalendlyRejected
from bookingapp.integrations.calendly import CalendlyNotFound as UnknownToCalendly
from bookingapp.integrations.stripe_gateway import StripeGateway, StripeGatewayError
from bookingapp.payments.models import PaymentStatus
from bookingapp.payments.service import summarize_money
from bookingapp.session_types.times import parse_time

log = structlog.get_logger(__name__)
blueprint = Blueprint("checkout", __name__)
# A booking's address is its key.
blueprint.after_request(forbid_caching_and_indexing)

# Counted by the booking once it is found, never by what the address says: that would be kept at any length.
CHECKS = limiter.shared_limit(
    "6/minute;60/hour", scope="checkout.check", key_func=lambda: str(g.checked_booking)
)
MOST_LOOKS = 1000


@blueprint.before_request
def keep_language() -> None:
    """Write to the client in the language that they choose on one of the booking's pages, from now on."""
    code, ref = asked(), (request.view_args or {}).get("ref")
    if code and ref and request.method == "GET":
        with transaction(db.session()) as database:
            bookings.keep_language(database, Booking.ref == ref, code)


def booking_and_visitor() -> str:
    """What requests for a booking are counted by: many visitors share one address. An unknown reference counts for
    the address alone, so that no text of a stranger becomes a key.
    """
    try:
        booking_id = lookup.find_id_by_name(db.session(), str((request.view_args or {}).get("ref")))
    except DATABASE_DOWN:
        # The limiter goes on without counting, and the view asks the database again: in a transaction of its own.
        end_request_read()
        raise
    return visitor_address() if booking_id is None else f"{booking_id}/{visitor_address()}"


@blueprint.get("/bookings/<ref>")
def show(ref: str) -> Response:
    """A booking's page: its status, its money and the next step, as the database has them."""
    booking = bookings.get_by_ref(db.session(), ref)
    return make_response(render_template("checkout/show.html", b=present(booking)))


@blueprint.get("/bookings/<ref>/status")
@limiter.limit("120/minute", key_func=booking_and_visitor)
@limiter.limit("3000/minute")
def status(ref: str) -> Response | BaseResponse:
    """The status part of a booking's page as a fragment, for a page that looks again. For the schedule page (``on``):
    nothing while there is no time, then the way on.
    """
    booking = bookings.get_by_ref(db.session(), ref)
    if request.args.get("on") == "schedule":
        is_waiting = booking.status is Status.PENDING
        return Response(status=204) if is_waiting else see_other(url_for(".show", ref=ref))
    looks = min(max(request.args.get("n", 0, type=int), 0), MOST_LOOKS)
    return vary_on_htmx(make_response(render_template("checkout/_status.html", b=present(booking, looks))))


@blueprint.get("/bookings/<ref>/schedule")
def schedule(ref: str) -> Response | BaseResponse:
    """The Calendly widget and the plain link to Calendly, both at ``time`` where the client has picked one already; or
    a redirect to our list of times, where that comes first or ``by`` asks for it. ``silent`` says that the widget did
    not answer.
    """
    booking = bookings.get_by_ref(db.session(), ref)
    if booking.status is not Status.PENDING or booking.is_closed:
        return redirect(url_for(".show", ref=ref), code=303)
    settings, seen, picked = services.get(Settings), present(booking), parse_time(request.args.get("time"))
    page = load_schedule_page(
        db.session(),
        services.get(CalendlyClient),
        services.get(TrackingSigner),
        booking,
        default_first=Way(settings.scheduling_first),
        wanted=request.args.get("by"),
        picked=picked,
        booking_url=settings.calendly_booking_url,
        now=utcnow(),
    )
    times_url = url_for("times.index", ref=ref, time=iso(picked) if picked else None)
    if page is None:
        if "silent" in request.args:
            flash(gettext("Calendly's calendar did not answer, so here is our list of times."), "info")
        return redirect(times_url, code=303)
    consent = embedding.read_consent(settings)
    if consent != "asked":
        embedding.allow_embedding(settings)
    body = render_template(
        "checkout/schedule.html",
        b=seen,
        picked=picked,
        page=page,
        times_url=times_url,
        consent=consent,
        widget_js=f"{settings.calendly_assets_url}/assets/external/widget.js",
        widget_css=f"{settings.calendly_assets_url}/assets/external/widget.css",
        booking_origin=origin(settings.calendly_booking_url),
    )
    return make_response(body)


@blueprint.post("/bookings/<ref>/schedule/consent")
@limiter.limit("60/minute")
def consent_to_calendar(ref: str) -> BaseResponse:
    """Remember whether this browser may load Calendly's calendar (``answer`` is ``yes`` or ``no``)."""
    bookings.get_by_ref(db.session(), ref)
    answer, picked = request.form.get("answer"), parse_time(request.form.get("time"))
    if answer not in ("yes", "no"):
        raise Invalid(gettext("Please choose whether to show the calendar."))
    time = iso(picked) if picked else None
    response = see_other(url_for(".schedule", ref=ref, by=Way.WIDGET.value, time=time))
    embedding.store_consent(response, agreed=answer == "yes")
    return response


@blueprint.post("/bookings/<ref>/scheduled")
@limiter.limit("60/minute")
def scheduled(ref: str) -> BaseResponse:
    """Record the time that the browser reports; it is fetched from Calendly, a false one once in a while only."""
    booking_id = str(bookings.get_by_ref(db.session(), ref).id)
    event_uri, invitee_uri = (request.form.get(name, "")[:500] for name in ("event_uri", "invitee_uri"))
    if quotas.seconds_until_left(quotas.FALSE_CLAIM, booking_id, invitee_uri):
        raise calendly_slot.not_this_bookings()
    if quotas.seconds_until_left(quotas.UNKNOWN_CLAIM, booking_id, invitee_uri):
        raise calendly_slot.not_known_yet()
    quotas.spend(quotas.CLAIMS, booking_id)
    try:
        calendly_slot.verify_claim(
            db.session(),
            services.get(CalendlyClient),
            services.get(TrackingSigner),
            ref=ref,
            event_uri=event_uri,
            invitee_uri=invitee_uri,
            mine=session.get(MINE, []),
            timers=services.get(calendly_slot.Timers),
            now=utcnow(),
        )
    except UnknownToCalendly as error:
        quotas.try_spend(quotas.UNKNOWN_CLAIM, booking_id, invitee_uri)
        raise calendly_slot.not_known_yet() from error
    except (Conflict, CalendlyRejected) as error:
        quotas.try_spend(quotas.FALSE_CLAIM, booking_id, invitee_uri)
        raise calendly_slot.not_this_bookings() from error
    except CalendlyError as error:
        # Calendly has the time even if it does not answer now; its webhook reports it.
        log.info("claim_unverified", booking=booking_id, category=error.category)
    return see_other(url_for(".show", ref=ref))


@blueprint.get("/bookings/scheduled")
def landed() -> Response | BaseResponse:
    """Where Calendly's redirect lands. Its values prove nothing: only a browser whose cookie knows the booking is sent
    to it.
    """
    hide_query()
    tracking_id = services.get(TrackingSigner).read(request.args.get("utm_content"))
    booking_id = lookup.find_id_by_tracking(db.session(), tracking_id) if tracking_id else None
    if booking_id is not None:
        booking = db.session().get_one(Booking, booking_id)
        if booking.ref in session.get(MINE, []):
            return redirect(url_for(".show", ref=booking.ref), code=303)
    message = gettext("Your time is recorded. Please go back to your booking page to see it confirmed.")
    return make_response(render_template("checkout/landed.html", message=message))


@blueprint.post("/bookings/<ref>/pay")
@limiter.limit("30/minute", key_func=booking_and_visitor)
def pay(ref: str) -> BaseResponse:
    """Redirect to Stripe Checkout."""
    try:
        return redirect_to_checkout(ref)
    except StripeGatewayError as error:
        raise Unavailable(gettext(error.user_message)) from error


@blueprint.get("/bookings/<ref>/pay")
def to_checkout(ref: str) -> Response | BaseResponse:
    """The way to the Checkout page that is open for this booking, as a link that opens by itself."""
    address = find_open_checkout(db.session(), ref=ref, now=utcnow())
    if address is None:
        return redirect(url_for(".show", ref=ref), code=303)
    return make_response(render_template("checkout/to_checkout.html", ref=ref, address=address))


@blueprint.post("/bookings/<ref>/check")
def check(ref: str) -> Response | BaseResponse:
    """Fetch this booking's money from Stripe now; then show the booking's page, or for htmx its status part."""
    booking_id = g.checked_booking = bookings.get_by_ref(db.session(), ref).id
    try:
        with CHECKS:
            fetch_missed_money(
                db.session(),
                services.get(StripeGateway),
                booking_id=booking_id,
                timers=services.get(calendly_slot.Timers),
                now=utcnow(),
            )
    except StripeGatewayError as error:
        raise Unavailable(gettext(error.user_message)) from error
    if not is_htmx():
        return see_other(url_for(".show", ref=ref))
    return vary_on_htmx(
        make_response(
            render_template("checkout/_status.html", b=present(bookings.get_by_ref(db.session(), ref)))
        )
    )


@blueprint.post("/bookings/<ref>/address")
@limiter.limit("30/minute")
def choose_address(ref: str) -> BaseResponse:
    """Record which of two e-mail addresses is the client's (``calendly`` or ``ours``)."""
    with transaction(db.session()) as database:
        booking = bookings.lock_booking(database, bookings.get_by_ref(database, ref).id)
        theirs = {"calendly": True, "ours": False}.get(request.form.get("address", ""))
        if theirs is None:
            raise Invalid(gettext("Please choose one of the two addresses."))
        if addresses.choose_address(booking, theirs=theirs):
            enqueue_mail_with_link(database, booking, now=utcnow())
    return see_other(url_for(".show", ref=ref))


@blueprint.get("/bookings/<ref>/paid")
def paid(ref: str) -> BaseResponse:
    """Where Stripe's success redirect lands; redirects to the booking's page."""
    record_return_from_stripe(db.session(), ref=ref, now=utcnow())
    return redirect(url_for(".show", ref=ref), code=303)


@blueprint.get("/bookings/<ref>/cancel")
def cancel(ref: str) -> Response:
    """The preview of a cancellation, with the exact refund."""
    booking = bookings.get_by_ref(db.session(), ref)
    shown = cancellation.preview_cancellation(db.session(), booking, now=utcnow())
    seen = present(booking)
    body = render_template(
        "checkout/cancel.html",
        b=seen,
        refund_minor=shown.refund_minor,
        currency=shown.currency,
        sentence=shown.sentence,
        policy=seen.policy,
    )
    return make_response(body)


@blueprint.post("/bookings/<ref>/cancel")
@limiter.limit("30/minute", key_func=booking_and_visitor)
def confirm_cancel(ref: str) -> BaseResponse:
    """Cancel; the refund and Calendly's cancellation are enqueued."""
    cause = Cause(Actor.CLIENT, CauseCode.CANCELED_ON_PAGE)
    booking_id = bookings.get_by_ref(db.session(), ref).id
    cancellation.cancel_booking(db.session(), booking_id, cause=cause, by_builder=False, now=utcnow())
    return see_other(url_for(".show", ref=ref))


@blueprint.get("/bookings/<ref>/session.ics")
def session_file(ref: str) -> Response:
    """The calendar file of a confirmed session; of a canceled one, the file that takes it out of a calendar."""
    booking = bookings.get_by_ref(db.session(), ref)
    if not has_calendar_file(booking):
        raise NotFound(gettext("There is no calendar file yet: this booking is not confirmed."))
    if booking.moving_since is not None:
        raise NotFound(gettext("There is no calendar file right now: this session is being rescheduled."))
    organizer = lookup.find_builder_email(db.session(), booking)
    # A calendar that fetches it has no cookie of the client's.
    with speaking(booking.language):
        content = calendar_file(
            booking, address=absolute_url("checkout.show", ref=ref), organizer=organizer, now=utcnow()
        )
    response = make_response(content)
    response.headers["Content-Type"] = "text/calendar; charset=utf-8"
    response.headers["Content-Disposition"] = 'attachment; filename="session.ics"'
    return response


def redirect_to_checkout(ref: str) -> BaseResponse:
    """The redirect to the Checkout page of a booking. Raises :class:`Conflict` where nothing can be paid, and the
    gateway's errors.

    Where that page is on a host that our policy does not list, a browser would stop there and show nothing: it goes by
    way of a page of ours, which no policy stops.
    """
    address = start_payment(
        db.session(), services.get(StripeGateway), ref=ref, return_to=_return_addresses, now=utcnow()
    )
    if is_htmx() or origin(address) in checkout_origins(services.get(Settings)):
        return see_other(address)
    log.warning("checkout_on_another_host", origin=origin(address), setting="STRIPE_CHECKOUT_DOMAIN")
    return see_other(url_for("checkout.to_checkout", ref=ref))


def present(booking: Booking, looks: int = 0) -> BookingView:
    """The booking as its pages show it."""
    database = db.session()
    money = summarize_money(database, booking)
    is_unpaid = booking.status in (Status.PENDING, Status.SCHEDULED)
    is_unpaid = is_unpaid and money.status is not PaymentStatus.AUTHORIZED
    checking = is_unpaid and is_checking_payment(database, booking.id)
    return present_booking(
        booking,
        money,
        now=utcnow(),
        looks=looks,
        look_url=url_for("checkout.status", ref=booking.ref, n=looks + 1),
        checking=checking,
        withdrawn=was_withdrawn(database, booking),
        seats=find_seats(database, booking),
        request=find_request(database, booking.id) if booking.status is Status.PENDING else None,
    )


def _return_addresses(ref: str) -> tuple[str, str]:
    # Stripe fills in the braces itself, so they must not be percent-encoded.
    success = absolute_url("checkout.paid", ref=ref) + "?session_id={CHECKOUT_SESSION_ID}"
    return success, absolute_url("checkout.show", ref=ref)
