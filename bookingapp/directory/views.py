"""The pages of the directory and of a builder's profile. They ask no provider."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, Response, make_response, render_template, request, url_for

from bookingapp.builders.models import Availability, PictureSize, Tier
from bookingapp.builders.pictures import MIMETYPE, find_picture
from bookingapp.builders.service import get_by_slug
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.errors import NotFound
from bookingapp.core.htmx import is_htmx, vary_on_htmx
from bookingapp.directory import service
from bookingapp.directory.options import OptionsCache

blueprint = Blueprint("builders", __name__)


@blueprint.get("/")
def index() -> Response:
    """The directory with search and filters; htmx gets the results alone."""
    now = utcnow()
    page = service.find_page(db.session(), request.args, services.get(OptionsCache), now=now)
    links = {"previous": page.before, "next": page.after}
    body = render_template(
        "directory/_results.html" if is_htmx() else "directory/index.html",
        page=page,
        filters=page.filters,
        links={name: _address(page.filters.at(one)) for name, one in links.items() if one},
        first_page=_address(page.filters.address),
        tiers=Tier,
        availabilities=Availability,
        most_counted=service.COUNTED,
        now=now,
    )
    response = vary_on_htmx(make_response(body))
    if is_htmx():
        # Without the form's empty fields, so that the address can be shared.
        response.headers["HX-Push-Url"] = _address(page.filters.address)
    return response


@blueprint.get("/builders/<slug>")
def profile(slug: str) -> str:
    """One builder's profile. It loads the session types as a fragment of their own."""
    return render_template("directory/profile.html", builder=get_by_slug(db.session(), slug))


@blueprint.get("/pictures/<size>/<digest>.webp")
def picture(size: str, digest: str) -> Response:
    """A builder's picture. Its address changes with its content, so that it is kept for a year."""
    content = find_picture(db.session(), digest, PictureSize(size)) if size in set(PictureSize) else None
    if content is None:
        raise NotFound
    response = Response(content, mimetype=MIMETYPE)
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    response.set_etag(f"{size}-{digest}")
    response.make_conditional(request)
    return response


def _address(parameters: dict[str, str]) -> str:
    return "?".join((url_for(".index"), *([urlencode(parameters)] if parameters else [])))
