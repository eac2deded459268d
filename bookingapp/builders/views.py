"""The directory and the public profile: two pages from the database alone."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template, request

from bookingapp.builders import service
from bookingapp.builders.models import Availability, Tier
from bookingapp.core.db import db
from bookingapp.core.htmx import is_htmx, vary_on_htmx

blueprint = Blueprint("builders", __name__)


@blueprint.get("/")
def index() -> Response:
    """The directory, with search and filters; the results alone where htmx asks."""
    filters = service.Filters(
        **{name: request.args.get(name, "").strip()[:100] for name in ("q", "skill", "tier", "availability")}
    )
    everyone = service.list_directory(db.session())
    found = service.filter_builders(everyone, filters)
    template = "builders/_results.html" if is_htmx() else "builders/index.html"
    body = render_template(
        template,
        builders=found,
        filters=filters,
        skills=service.list_skills(everyone),
        tiers=[(tier.value, tier.label) for tier in Tier],
        availabilities=[(choice.value, choice.label) for choice in Availability],
        total=len(found),
    )
    return vary_on_htmx(make_response(body))


@blueprint.get("/builders/<slug>")
def profile(slug: str) -> str:
    """One builder. The session types come after it, as a fragment, so no provider is asked here."""
    return render_template("builders/profile.html", builder=service.get_by_slug(db.session(), slug))
