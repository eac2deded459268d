"""The session-type cards: a fragment for htmx, a whole page at the same address otherwise."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template

from bookingapp.builders.service import by_slug
from bookingapp.core import services
from bookingapp.core.db import db
from bookingapp.core.htmx import is_htmx, vary_on_htmx
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError
from bookingapp.session_types import service

blueprint = Blueprint("session_types", __name__)

RETRY_AFTER_SECONDS = 30


@blueprint.get("/builders/<slug>/session-types")
def cards(slug: str) -> Response:
    """What this builder offers, as Calendly and the price list say. 503 with words where Calendly is silent."""
    builder = by_slug(db.session(), slug)
    context = {"builder": builder, "zone": builder.timezone}
    try:
        catalog = service.catalog(db.session(), services.get(CalendlyClient), builder)
    except CalendlyError as error:
        return _unavailable(context, error)
    template = "session_types/_cards.html" if is_htmx() else "session_types/list.html"
    body = render_template(template, groups=catalog.groups, as_of=catalog.as_of, unavailable=None, **context)
    return vary_on_htmx(make_response(body))


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
    return response
