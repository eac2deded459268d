"""From a session type to a pending booking."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, flash, make_response, render_template, request, session, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.bookings import service
from bookingapp.bookings.forms import BookingForm
from bookingapp.bookings.holds import AddressUnverified, Booker, check_holds, limit_unverified
from bookingapp.builders.models import Builder
from bookingapp.builders.policy import policy_sentences, policy_snapshot
from bookingapp.builders.service import get_by_slug
from bookingapp.clients.forms import AddressForm
from bookingapp.clients.guard import verified_address
from bookingapp.clients.views import REFUSED_KEY
from bookingapp.core import services
from bookingapp.core.addresses import absolute_url
from bookingapp.core.clock import is_zone, iso, utcnow
from bookingapp.core.db import db, reading, transaction
from bookingapp.core.errors import Conflict, NotFound, Unavailable
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import see_other
from bookingapp.core.i18n import gettext, language
from bookingapp.core.security import forbid_caching, forbid_caching_and_indexing
from bookingapp.core.settings import Settings
from bookingapp.core.visitors import current_visitor
from bookingapp.directory.structured import describe_offer
from bookingapp.directory.views import picture_address
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError
from bookingapp.session_types.models import asks_for_pathway
from bookingapp.session_types.service import Card
from bookingapp.session_types.service import fetch_card as find_card
from bookingapp.session_types.times import parse_time, viewers_zone
from bookingapp.session_types.words import why_not_bookable

blueprint = Blueprint("bookings", __name__)

MINE = "bookings"  # The references of this browser's bookings, newest last, in its signed cookie.
REMEMBERED = 20


@blueprint.get("/builders/<slug>/session-types/<event_type_id>")
def new(slug: str, event_type_id: str) -> Response:
    """One session type with the booking form. ``time`` is one of its free times, picked on its card; ``tz`` the
    zone in which it was shown.
    """
    builder, card = _fetch_offered_card(slug, event_type_id)
    zone = viewers_zone(request.args.get("tz"), builder.timezone)
    form = _booking_form(card, data={"timezone": zone, "email": verified_address()})
    return _booking_form_page(builder, card, form, address=_address(card), is_public=True)


@blueprint.get("/bookings/<ref>/again")
def again(ref: str) -> Response | BaseResponse:
    """The form for the session type of a booking once more, filled with what that booking has; the builder's page where
    the type is not offered any more.
    """
    before = service.get_by_ref(db.session(), ref)
    try:
        builder, card = _fetch_offered_card(before.builder.slug, before.event_type_uri.rpartition("/")[2])
    except NotFound:
        flash(gettext("This session is no longer offered. Here are the others."), "info")
        return see_other(url_for("builders.profile", slug=before.builder.slug))
    email = verified_address() or before.client_email
    kept = {
        "name": before.client_name,
        "email": email,
        "timezone": before.client_timezone,
        "pathway": before.pathway,
    }
    response = _booking_form_page(builder, card, _booking_form(card, data=kept), address=_address(card))
    return forbid_caching_and_indexing(response)


@blueprint.post("/builders/<slug>/session-types/<event_type_id>/book")
@limiter.limit("60/minute")
def create(slug: str, event_type_id: str) -> Response | BaseResponse:
    """Create a pending booking and redirect to its schedule page; 503 with a link where Calendly does not answer, 429
    with the form of the sign-in where the address has to be verified first.
    """
    builder, card = _fetch_offered_card(slug, event_type_id, deciding=True)
    if card.direct_url:
        response = _booking_form_page(builder, card, _booking_form(card), 503, address=None)
        response.headers["Retry-After"] = "60"
        return response
    if not card.bookable:
        raise Conflict(why_not_bookable(card.why_not))
    address = _address(card)
    if card.requires_sign_in and address is None:
        # The page explains that the address has to be verified first.
        return see_other(
            url_for(".new", slug=slug, event_type_id=event_type_id, time=request.args.get("time"))
        )
    form = _booking_form(card)
    if address is not None:
        form.fix_address(address)
    if not form.validate_on_submit():
        return _booking_form_page(builder, card, form, 422, address=address)
    zone = form.timezone.data if is_zone(form.timezone.data) else builder.timezone
    email = form.email.data or ""
    client = service.Client(
        form.name.data or "", email, zone, language(), is_verified=email == verified_address()
    )
    booker = Booker.of(client.email, current_visitor(), verified_address=verified_address())
    try:
        if not booker.is_verified:
            # A request that is refused spends no quota.
            with reading(db.session()) as database:
                check_holds(
                    database, builder, booker, is_free=card.session_type.price_minor == 0, now=utcnow()
                )
        limit_unverified(booker)
        with transaction(db.session()) as database:
            booking = service.create_booking(
                database,
                builder=builder,
                session_type=card.session_type,
                offer=service.Offer(card.title, card.duration_minutes, card.scheduling_url),
                client=client,
                pending=timedelta(minutes=services.get(Settings).pending_minutes),
                booker=booker,
                pathway=form.chosen_pathway,
                now=utcnow(),
            )
    except AddressUnverified as refusal:
        return _booking_form_page(builder, card, form, refusal.status, address=None, refusal=refusal)
    session[MINE] = [*session.get(MINE, []), booking.ref][-REMEMBERED:]
    session.permanent = True
    picked = parse_time(request.args.get("time"))
    return see_other(url_for("checkout.schedule", ref=booking.ref, time=iso(picked) if picked else None))


def _fetch_offered_card(slug: str, event_type_id: str, *, deciding: bool = False) -> tuple[Builder, Card]:
    builder = get_by_slug(db.session(), slug)
    try:
        return builder, find_card(
            db.session(), services.get(CalendlyClient), builder, event_type_id, deciding=deciding
        )
    except CalendlyError as error:
        raise Unavailable(gettext(error.user_message)) from error


def _booking_form(card: Card, **how: Any) -> BookingForm:
    return BookingForm(asks_for_pathway=asks_for_pathway(card.category), **how)


def _address(card: Card) -> str | None:
    """The verified address that the booking must use, where its session type requires one."""
    return verified_address() if card.requires_sign_in else None


def _booking_form_page(
    builder: Builder,
    card: Card,
    form: BookingForm,
    status: int = 200,
    *,
    address: str | None,
    refusal: AddressUnverified | None = None,
    is_public: bool = False,
) -> Response:
    """``is_public`` says that this address may be passed on: in that of a booking is its key."""
    asks_to_verify = refusal is not None or (card.requires_sign_in and address is None)
    body = render_template(
        "bookings/new.html",
        builder=builder,
        card=card,
        form=form,
        address=address,
        sign_in_form=_sign_in_form(form.email.data, builder, card) if asks_to_verify else None,
        why_sign_in=refusal.message if refusal else None,
        is_public=is_public,
        picture=picture_address(builder),
        offer=describe_offer(
            builder,
            card.title,
            card.price_minor,
            card.currency,
            address=absolute_url(".new", slug=builder.slug, event_type_id=card.id),
            seller=absolute_url("builders.profile", slug=builder.slug),
        ),
        picked=parse_time(request.args.get("time")),
        zone=form.timezone.data if is_zone(form.timezone.data) else builder.timezone,
        policy=policy_sentences(policy_snapshot(builder), is_free=card.is_free),
        hold_minutes=services.get(Settings).hold_minutes,
    )
    response = make_response(body, status)
    if refusal is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    if request.method == "POST" or verified_address() is not None:
        return forbid_caching(response)
    response.headers["Cache-Control"] = "no-cache"
    return response


def _sign_in_form(email: str | None, builder: Builder, card: Card) -> AddressForm:
    """The form that asks for a link back to this session type, and to the time that is picked."""
    picked = parse_time(request.args.get("time"))
    back = url_for(
        ".new",
        slug=builder.slug,
        event_type_id=card.id,
        time=iso(picked) if picked else None,
        tz=request.args.get("tz"),
    )
    if REFUSED_KEY not in session:
        return AddressForm(formdata=None, data={"return_to": back, "email": email})
    typed = MultiDict({"return_to": back, "email": session.pop(REFUSED_KEY)})
    form = AddressForm(formdata=typed, meta={"csrf": False})
    form.validate()
    return form
