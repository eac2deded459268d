"""What the session-type cards cost when they are warm, and who keeps them so."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis
import sqlalchemy as sa
from flask import Flask

from bookingapp.builders.models import Builder
from bookingapp.core import services
from bookingapp.core.db import db, transaction
from bookingapp.core.jobs import Collaborators
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.session_types import warming
from tests import fakes
from tests.pages import HTMX, PageClient
from tests.web.conftest import Offer


def test_a_warm_fragment_costs_two_statements_and_no_call(
    client: PageClient, ada: Offer, calendly_wire: fakes.Calendly, statements: list[str]
) -> None:
    """The builder and the price list; Calendly's part comes from memory."""
    client.get(f"{ada.path}/session-types", headers=HTMX)
    asked = len(calendly_wire.seen)
    assert asked
    statements.clear()
    answer = client.get(f"{ada.path}/session-types", headers=HTMX)
    assert "data-session-type" in answer.text
    assert len(statements) <= 2, statements
    assert len(calendly_wire.seen) == asked


def test_the_fragment_may_be_kept_for_a_moment_and_the_page_may_not(client: PageClient, ada: Offer) -> None:
    fragment = client.get(f"{ada.path}/session-types", headers=HTMX)
    assert fragment.headers["Cache-Control"] == "private, max-age=20"
    assert "HX-Request" in fragment.headers["Vary"]
    # A browser that has chosen another language meanwhile has to ask again.
    assert "Cookie" in fragment.headers["Vary"]
    assert "Set-Cookie" not in fragment.headers
    assert client.get(f"{ada.path}/session-types").headers["Cache-Control"] == "no-cache"
    cards = client.page("/").select("[data-prefetch]")
    assert f"{ada.path}/session-types" in [str(card["data-prefetch"]) for card in cards]


def test_the_worker_has_more_patience(app: Flask) -> None:
    with app.app_context():
        page, worker = services.get(CalendlyClient), services.get(Collaborators).get(CalendlyClient)
    assert worker is not page
    assert worker._transport.page_deadline().remaining() > 20
    assert page._transport.page_deadline().remaining() <= 3
    assert worker._transport._breaker is page._transport._breaker
    assert worker._transport.places is None
    assert page._transport.places is not None


@pytest.fixture
def shared_app(app_with: Callable[..., Flask], redis_url: str) -> Iterator[Flask]:
    """The application with a Redis."""
    app = app_with(redis_url=redis_url)
    yield app
    with app.app_context():
        link = services.get(CalendlyClient)._views._link
    assert link is not None
    with redis.Redis.from_url(redis_url) as one:
        for key in one.scan_iter(match=f"{link.prefix}:*"):
            one.delete(key)


def test_the_worker_renews_what_people_look_at(
    shared_app: Flask, ada: Offer, kenji: Offer, calendly_wire: fakes.Calendly
) -> None:
    """Only that, only when it is due, and not where Calendly's limit is half spent or Calendly is in trouble."""
    browser = shared_app.test_client()
    browser.get(f"{ada.path}/session-types", headers=HTMX)
    with shared_app.app_context():
        calendly = services.get(Collaborators).get(CalendlyClient)
        asked = len(calendly_wire.seen)
        assert warming.refresh_popular_cards(db.session(), calendly) == 1
        assert len(calendly_wire.seen) == asked
        with transaction(db.session()) as session:
            session.execute(sa.update(Builder).values(catalog_version=Builder.catalog_version + 1))
        assert warming.refresh_popular_cards(db.session(), calendly) == 1
        assert len(calendly_wire.seen) == asked + 1
    browser.get(f"{ada.path}/session-types", headers=HTMX)
    assert len(calendly_wire.seen) == asked + 1
    with shared_app.app_context(), transaction(db.session()) as session:
        session.execute(sa.update(Builder).values(catalog_version=Builder.catalog_version + 1))
    limits = {"X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "200", "X-RateLimit-Reset": "60"}
    with shared_app.app_context():
        calendly = services.get(Collaborators).get(CalendlyClient)
        calendly._transport._limits.record("token-of-the-tests", limits)
        assert calendly.budget_left(ada.builder.tenant) == pytest.approx(0.4)
        assert warming.refresh_popular_cards(db.session(), calendly) == 0
    assert len(calendly_wire.seen) == asked + 1


@pytest.mark.parametrize("redis_url", [None, "redis://127.0.0.1:1/7"], ids=["none", "away"])
def test_without_a_redis_pages_work_and_the_worker_has_nothing_to_warm(
    app_with: Callable[..., Flask], ada: Offer, redis_url: str | None
) -> None:
    """The worker cannot reach the memory of the web process."""
    alone = app_with(redis_url=redis_url)
    for _ in range(2):
        answer = alone.test_client().get(f"{ada.path}/session-types", headers=HTMX)
        assert answer.status_code == 200
        assert "data-session-type" in answer.text
    with alone.app_context():
        worker = services.get(Collaborators).get(CalendlyClient)
        assert warming.refresh_popular_cards(db.session(), worker) == 0
