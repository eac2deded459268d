"""The pages of the directory and of a builder's profile. They ask no provider."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, Response, make_response, render_template, request, url_for

from bookingapp.builders.models import Availability, Builder, PictureSize, Tier
from bookingapp.builders.pictures import MIMETYPE, find_picture
from bookingapp.builders.service import get_by_slug
from bookingapp.core import services
from bookingapp.core.addresses import absolute_url
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.errors import NotFound
from bookingapp.core.htmx import is_htmx, vary_on_htmx
from bookingapp.directory import service, structured
from bookingapp.directory.options import OptionsCache

blueprint = Blueprint("builders", __name__)

PRIVATE = ("/account", "/bookings/", "/dashboard", "/login", "/my-bookings", "/operator")


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
    builder = get_by_slug(db.session(), slug)
    offer = service.find_offer(db.session(), builder, now=utcnow())
    person = structured.describe_person(
        builder, offer, address=absolute_url(".profile", slug=slug), picture=picture_address(builder)
    )
    return render_template(
        "directory/profile.html",
        builder=builder,
        person=person,
        picture=picture_address(builder),
        is_known_full=offer.is_known_full,
    )


@blueprint.get("/robots.txt")
def robots() -> Response:
    """What search engines leave alone: pages about a person, and pages for people who are logged in (RFC 9309)."""
    lines = [
        "user-agent: *",
        *(f"disallow: {path}" for path in PRIVATE),
        f"sitemap: {absolute_url('.sitemap')}",
    ]
    return _cached("\n".join([*lines, ""]), "text/plain")


@blueprint.get("/sitemap.xml")
def sitemap() -> Response:
    """The public pages, with a profile for each builder whom the directory lists."""
    profiles = (absolute_url(".profile", slug=slug) for slug in structured.list_slugs(db.session()))
    body = render_template("directory/sitemap.xml", addresses=[absolute_url(".index"), *profiles])
    return _cached(body, "application/xml")


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


def picture_address(builder: Builder) -> str | None:
    """The absolute address of a builder's picture, for other sites."""
    if builder.picture is None:
        return None
    return absolute_url("builders.picture", size=PictureSize.PAGE.value, digest=builder.picture)


def _cached(body: str, mimetype: str) -> Response:
    response = Response(body, mimetype=mimetype)
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response


def _address(parameters: dict[str, str]) -> str:
    return "?".join((url_for(".index"), *([urlencode(parameters)] if parameters else [])))
