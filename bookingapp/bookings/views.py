"""From a session type to a pending booking."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, make_response, render_template, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.bookings import policy, service
from bookingapp.bookings.forms import BookingForm
from bookingapp.builders.models import Builder
from bookingapp.builders.service import by_slug
from bookingapp.core import services
from bookingapp.core.clock import is_zone, utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import Conflict, Unavailable
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import see_other
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError
from bookingapp.session_types.service import Card
from bookingapp.session_types.service import card as find_card

blueprint = Blueprint("bookings", __name__)

MINE = "bookings"  # The references that this browser made, newest last, in its signed cookie.
REMEMBERED = 20


@blueprint.get("/builders/<slug>/session-types/<event_type_id>")
def new(slug: str, event_type_id: str) -> Response:
    """One session type with the booking form."""
    builder, card = _offer(slug, event_type_id)
    return _page(builder, card, BookingForm(data={"timezone": builder.timezone}))


@blueprint.post("/builders/<slug>/session-types/<event_type_id>/book")
@limiter.limit("60/minute")
def create(slug: str, event_type_id: str) -> Response | BaseResponse:
    """Make a pending booking and go on to its schedule page."""
    builder, card = _offer(slug, event_type_id)
    if card.session_type is None or not card.bookable:
        raise Conflict(card.why_not or "This session cannot be booked just now.")
    form = BookingForm()
    if not form.validate_on_submit():
        return _page(builder, card, form, 422)
    zone = form.timezone.data if is_zone(form.timezone.data) else builder.timezone
    with transaction(db.session()) as database:
        booking = service.create(
            database,
            builder=builder,
            session_type=card.session_type,
            offer=service.Offer(card.title, card.duration_minutes, card.scheduling_url),
            client=service.Client(form.name.data or "", form.email.data or "", zone),
            pending=timedelta(minutes=services.get(Settings).pending_minutes),
            now=utcnow(),
        )
    session[MINE] = [*session.get(MINE, []), booking.ref][-REMEMBERED:]
    session.permanent = True
    return see_other(url_for("checkout.schedule", ref=booking.ref))


def _offer(slug: str, event_type_id: str) -> tuple[Builder, Card]:
    builder = by_slug(db.session(), slug)
    try:
        return builder, find_card(db.session(), services.get(CalendlyClient), builder, event_type_id)
    except CalendlyError as error:
        raise Unavailable(error.user_message) from error


def _page(builder: Builder, card: Card, form: BookingForm, status: int = 200) -> Response:
    body = render_template(
        "session_types/detail.html",
        builder=builder,
        card=card,
        form=form,
        policy=policy.sentences(policy.snapshot(), is_free=card.is_free),
        hold_minutes=services.get(Settings).hold_minutes,
    )
    response = make_response(body, status)
    response.headers["Cache-Control"] = "no-store" if request.method == "POST" else "no-cache"
    return response
