"""What search engines and messengers read of public pages, and what they are told to leave alone."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

import sqlalchemy as sa
from flask import Flask

from bookingapp.builders.models import Availability, Builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.session_types.free_times import record_free_time
from bookingapp.session_types.models import SessionType
from tests.factories import make_builder
from tests.pages import Page, PageClient
from tests.web.conftest import Offer

HOME = "http://127.0.0.1:8000"


def change(app: Flask, offer: Offer, **values: Any) -> None:
    """Set columns of the builder."""
    with app.app_context(), transaction(db.session()) as session:
        builder = session.get_one(Builder, offer.builder.id)
        for name, value in values.items():
            setattr(builder, name, value)


def meta(page: Page) -> dict[str, str]:
    """The page's own words about itself."""
    found = page.select("meta[property], meta[name=description]")
    return {str(one.get("property") or one["name"]): str(one["content"]) for one in found}


def data(page: Page) -> dict[str, Any]:
    """Its data of schema.org."""
    found: dict[str, Any] = json.loads(str(page.one("script[type='application/ld+json']").string))
    return found


def test_robots_leave_people_alone(client: PageClient) -> None:
    answer = client.get("/robots.txt")
    assert answer.content_type.startswith("text/plain")
    lines = answer.text.splitlines()
    assert lines[0] == "user-agent: *"
    assert {"disallow: /bookings/", "disallow: /my-bookings", "disallow: /dashboard"} <= set(lines)
    assert lines[-1] == f"sitemap: {HOME}/sitemap.xml"
    assert not any("/builders/".startswith(line.removeprefix("disallow: ")) for line in lines[1:-1])


def test_the_sitemap_has_whom_the_directory_lists(app: Flask, client: PageClient, ada: Offer) -> None:
    with app.app_context():
        make_builder(db.session(), slug="hidden", listed=False)
    answer = client.get("/sitemap.xml")
    assert answer.content_type.startswith("application/xml")
    found = [one.text for one in ET.fromstring(answer.text).iter() if one.tag.endswith("}loc")]
    assert found == [f"{HOME}/", f"{HOME}{ada.path}"]


def test_a_builder(app: Flask, client: PageClient, ada: Offer) -> None:
    """As a person who offers sessions; with the picture, and nothing that is not so."""
    change(app, ada, headline="Apps </script><b>fast</b>", picture="abc", picture_alt="Ada at work")
    page = client.page(ada.path)
    said = meta(page)
    assert said["description"] == said["og:description"] == "Apps </script><b>fast</b>"
    assert (said["og:type"], said["og:title"], said["og:url"]) == (
        "profile",
        "Ada Okonkwo",
        f"{HOME}{ada.path}",
    )
    assert (said["og:image"], said["og:image:alt"]) == (f"{HOME}/pictures/page/abc.webp", "Ada at work")
    person = data(page)
    assert (person["@type"], person["name"], person["url"]) == ("Person", "Ada Okonkwo", f"{HOME}{ada.path}")
    assert person["description"] == "Apps </script><b>fast</b>"
    assert person["image"] == f"{HOME}/pictures/page/abc.webp"
    assert {"@type": "AggregateOffer", "priceCurrency": "GBP"}.items() <= person["makesOffer"].items()
    assert float(person["makesOffer"]["lowPrice"]) > 0
    assert not {"aggregateRating", "review"} & set(person)
    assert page.one("link[rel=canonical]")["href"] == f"{HOME}{ada.path}"


def test_a_session_and_the_directory(client: PageClient, ada: Offer) -> None:
    """A session is an offer with its price; every public page has a title and a description of its own."""
    form = client.page(ada.detail("PAID"))
    offer = data(form)
    assert (offer["@type"], offer["priceCurrency"]) == ("Offer", "GBP")
    assert (offer["url"], offer["seller"]["name"]) == (f"{HOME}{ada.detail('PAID')}", "Ada Okonkwo")
    assert "og:image" not in meta(form)
    pages = [client.page("/"), client.page("/privacy"), client.page(ada.path), form]
    assert len({page.one("title").text for page in pages}) == 4
    assert len({meta(page)["description"] for page in pages}) == 4


def test_nobody_is_fully_booked_above_free_times(app: Flask, client: PageClient, ada: Offer) -> None:
    """What Calendly said lately counts, not what the builder says; where it is not known, nothing is said."""
    change(app, ada, availability=Availability.UNAVAILABLE)
    now = utcnow()
    for next_at, checked_at, is_full in (
        (now + timedelta(days=1), now, False),
        (None, now, True),
        (None, now - timedelta(hours=4), False),
    ):
        with app.app_context(), transaction(db.session()) as session:
            for type_id in session.scalars(sa.select(SessionType.id)):
                record_free_time(session, type_id, next_at, now=checked_at)
        assert ("Fully booked" in client.page(ada.path).one("main").text) is is_full
        assert ("Fully booked" in client.page("/").one(".builder-card").text) is is_full
    assert "Fully booked" not in client.page(f"{ada.path}/session-types").one("main header").text
