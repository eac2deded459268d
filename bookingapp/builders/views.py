"""The pages of the directory and of a builder's profile. They ask no provider."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template, request

from bookingapp.builders import service
from bookingapp.builders.models import Availability, Tier
from bookingapp.core.db import db
from bookingapp.core.htmx import is_htmx, vary_on_htmx

blueprint = Blueprint("builders", __name__)


@blueprint.get("/")
def index() -> Response:
    """The directory with search and filters; htmx gets the results alone."""
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
        tiers=Tier,
        availabilities=Availability,
        total=len(found),
    )
    return vary_on_htmx(make_response(body))


@blueprint.get("/builders/<slug>")
def profile(slug: str) -> str:
    """One builder's profile. It loads the session types as a fragment of their own."""
    return render_template("builders/profile.html", builder=service.get_by_slug(db.session(), slug))
