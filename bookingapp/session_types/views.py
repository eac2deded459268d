"""The pages of session-type cards and of their free times; htmx gets the fragment of the same address."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template, request

from bookingapp.builders.policy import policy_sentences, policy_snapshot
from bookingapp.builders.service import get_by_slug
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import NotFound
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import is_htmx, vary_on_htmx
from bookingapp.core.i18n import gettext
from bookingapp.core.security import forbid_caching
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, CalendlyUnavailable
from bookingapp.session_types import service
from bookingapp.session_types.free_times import is_due, record_free_time
from bookingapp.session_types.times import FreeTimes, fetch_free_times, viewers_zone
from bookingapp.session_types.words import why_not_bookable

blueprint = Blueprint("session_types", __name__)
blueprint.add_app_template_filter(why_not_bookable)

RETRY_AFTER_SECONDS = 30
PREFETCH_SECONDS = 20


@blueprint.get("/builders/<slug>/session-types")
def cards(slug: str) -> Response:
    """A builder's session types as cards. 503 with a sentence where Calendly does not answer."""
    builder = get_by_slug(db.session(), slug)
    try:
        catalog = service.fetch_catalog(db.session(), services.get(CalendlyClient), builder)
    except CalendlyError as error:
        message = gettext(error.user_message)
        response = _render_cards(
            "session_types/_cards_unavailable.html", 503, builder=builder, message=message
        )
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return forbid_caching(response)
    response = _render_cards(
        "session_types/_cards.html",
        builder=builder,
        zone=builder.timezone,
        groups=catalog.groups,
        policy=policy_sentences(policy_snapshot(builder))
        if any(not c.is_free for c in catalog.cards)
        else (),
        as_of=catalog.as_of,
        why_closed=catalog.why_closed,
    )
    if is_htmx() and catalog.as_of is None and catalog.why_closed is None:
        # Long enough for a prefetch to serve the click that follows it; short enough for a new price.
        response.headers["Cache-Control"] = f"private, max-age={PREFETCH_SECONDS}"
    else:
        response.headers["Cache-Control"] = "no-cache"
    return response


def _render_cards(fragment: str, status: int = 200, **context: object) -> Response:
    template = fragment if is_htmx() else "session_types/list.html"
    return vary_on_htmx(make_response(render_template(template, fragment=fragment, **context), status))


@blueprint.get("/builders/<slug>/session-types/<event_type_id>/times")
@limiter.limit("120/minute")
def times(slug: str, event_type_id: str) -> Response:
    """The next free times of one session type as links to the booking form; 503 where Calendly does not answer."""
    builder = get_by_slug(db.session(), slug)
    zone = viewers_zone(request.args.get("tz"), builder.timezone)
    calendly, card, found, error, status = services.get(CalendlyClient), None, None, None, 200
    try:
        card = service.fetch_card(db.session(), calendly, builder, event_type_id)
        if card.direct_url:
            raise CalendlyUnavailable("the event types are outdated")
        if not card.bookable:
            raise NotFound(why_not_bookable(card.why_not))
        found = fetch_free_times(calendly, builder.tenant, card.event_type_uri, now=utcnow())
        _note_for_the_directory(card.session_type.id, found)
    except CalendlyError as problem:
        error, status = problem, 503
    template = "session_types/_times.html" if is_htmx() else "session_types/times.html"
    body = render_template(
        template,
        builder=builder,
        event_type_id=event_type_id,
        card=card,
        times=found,
        message=gettext(error.user_message) if error else None,
        zone=zone,
    )
    response = vary_on_htmx(make_response(body, status))
    response.headers["Cache-Control"] = "no-cache"
    if error is not None:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _note_for_the_directory(session_type_id: int, found: FreeTimes) -> None:
    now = utcnow()
    if is_due(db.session(), session_type_id, found, now=now):
        with transaction(db.session()) as session:
            record_free_time(session, session_type_id, found.next_start, now=now)
