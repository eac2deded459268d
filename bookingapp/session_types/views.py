"""The session-type cards and their free times: fragments for htmx, whole pages at the same addresses otherwise."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template, request

from bookingapp.builders.service import get_by_slug
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.errors import NotFound
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import is_htmx, vary_on_htmx
from bookingapp.core.security import forbid_caching
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, CalendlyUnavailable
from bookingapp.session_types import service
from bookingapp.session_types.times import fetch_free_times, viewers_zone

blueprint = Blueprint("session_types", __name__)

RETRY_AFTER_SECONDS = 30
PREFETCH_SECONDS = 20


@blueprint.get("/builders/<slug>/session-types")
def cards(slug: str) -> Response:
    """What this builder offers, as Calendly and the price list say. 503 with words where Calendly is silent."""
    builder = get_by_slug(db.session(), slug)
    context = {"builder": builder, "zone": builder.timezone}
    try:
        catalog = service.fetch_catalog(db.session(), services.get(CalendlyClient), builder)
    except CalendlyError as error:
        return _unavailable(context, error)
    template = "session_types/_cards.html" if is_htmx() else "session_types/list.html"
    body = render_template(
        template,
        groups=catalog.groups,
        as_of=catalog.as_of,
        paused=catalog.paused,
        unavailable=None,
        **context,
    )
    response = vary_on_htmx(make_response(body))
    if is_htmx() and catalog.as_of is None and not catalog.paused:
        # Long enough for what a hover has fetched to be there at the click; short enough for a new price.
        response.headers["Cache-Control"] = f"private, max-age={PREFETCH_SECONDS}"
    else:
        response.headers["Cache-Control"] = "no-cache"
    return response


def _unavailable(context: dict[str, object], error: CalendlyError) -> Response:
    template = "session_types/_cards_unavailable.html" if is_htmx() else "session_types/list.html"
    booking_url = services.get(Settings).calendly_booking_url
    body = render_template(
        template,
        groups=[],
        as_of=None,
        unavailable=True,
        message=error.user_message,
        fallback_url=None,
        booking_url=booking_url,
        **context,
    )
    response = vary_on_htmx(make_response(body, 503))
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return forbid_caching(response)


@blueprint.get("/builders/<slug>/session-types/<event_type_id>/times")
@limiter.limit("120/minute")
def times(slug: str, event_type_id: str) -> Response:
    """The next free times of one session type, in the zone that ``tz`` proposes, else in the builder's; each
    leads on to the booking form. 503 with words where Calendly is silent.
    """
    builder = get_by_slug(db.session(), slug)
    zone = viewers_zone(request.args.get("tz"), builder.timezone)
    calendly, card, found, error, status = services.get(CalendlyClient), None, None, None, 200
    try:
        card = service.fetch_card(db.session(), calendly, builder, event_type_id)
        if card.direct_url:
            raise CalendlyUnavailable("Calendly is in trouble")
        if not card.bookable:
            raise NotFound("This session cannot be booked just now.")
        found = fetch_free_times(calendly, builder.tenant, card.event_type_uri, now=utcnow())
    except CalendlyError as trouble:
        error, status = trouble, 503
    template = "session_types/_times.html" if is_htmx() else "session_types/times.html"
    body = render_template(
        template,
        builder=builder,
        event_type_id=event_type_id,
        card=card,
        times=found,
        message=error.user_message if error else None,
        zone=zone,
    )
    response = vary_on_htmx(make_response(body, status))
    response.headers["Cache-Control"] = "no-cache"
    if error is not None:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
