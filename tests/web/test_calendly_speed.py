"""What the session-type cards cost when they are warm, and who keeps them so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
import sqlalchemy as sa
from flask import Flask

from bookingapp.builders.models import Builder
from bookingapp.core import services
from bookingapp.core.db import db, transaction
from bookingapp.core.jobs import Collaborators
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.session_types import warming
from tests import fakes
from tests.conftest import close, make_app, make_settings
from tests.pages import HTMX, PageClient
from tests.web.conftest import Offer


@pytest.fixture
def statements(app: Flask) -> Iterator[list[str]]:
    """Every SQL statement but the beginnings of transactions."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(engine, "before_cursor_execute", note)


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


def test_the_fragment_may_be_kept_for_a_moment_and_the_page_may_not(
    client: PageClient, ada: Offer, calendly_wire: fakes.Calendly
) -> None:
    """By this browser alone, and only what is as it should be."""
    fragment = client.get(f"{ada.path}/session-types", headers=HTMX)
    assert fragment.headers["Cache-Control"] == "private, max-age=20"
    assert "HX-Request" in fragment.headers["Vary"]
    assert "Cookie" not in fragment.headers["Vary"]
    assert client.get(f"{ada.path}/session-types").headers["Cache-Control"] == "no-cache"
    cards = client.page("/").select("[data-prefetch]")
    assert f"{ada.path}/session-types" in [str(card["data-prefetch"]) for card in cards]


def test_a_failure_is_kept_by_nobody(client: PageClient, ada: Offer, calendly_wire: fakes.Calendly) -> None:
    """Otherwise "Try again" would show it again."""
    calendly_wire.down = True
    answer = client.get(f"{ada.path}/session-types", headers=HTMX)
    assert answer.status_code == 503
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_worker_has_more_patience(app: Flask) -> None:
    """It shares what is known with the pages, and not their hurry."""
    with app.app_context():
        page, worker = services.get(CalendlyClient), services.get(Collaborators).get(CalendlyClient)
    assert worker is not page
    assert worker._transport.page_deadline().remaining() > 20
    assert page._transport.page_deadline().remaining() <= 3
    assert worker._transport._breaker is page._transport._breaker
    assert worker._transport.places is None
    assert page._transport.places is not None


@pytest.fixture
def shared_app(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Flask]:
    """The application with a Redis."""
    settings: Settings = make_settings(tmp_path, database_url=database_url, redis_url=redis_url)
    app = make_app(settings)
    yield app
    prefix = services_prefix(app)
    with redis.Redis.from_url(redis_url) as one:
        for key in one.scan_iter(match=f"{prefix}:*"):
            one.delete(key)
    close(app)


def services_prefix(app: Flask) -> str:
    with app.app_context():
        link = services.get(CalendlyClient)._views._link
    assert link is not None
    return link.prefix


def test_the_worker_renews_what_people_look_at(
    shared_app: Flask, app: Flask, ada: Offer, kenji: Offer, calendly_wire: fakes.Calendly
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


def test_without_a_redis_the_worker_has_nothing_to_warm(
    app: Flask, client: PageClient, ada: Offer, calendly_wire: fakes.Calendly
) -> None:
    """The memory of the web process is out of its reach."""
    client.get(f"{ada.path}/session-types", headers=HTMX)
    with app.app_context():
        assert (
            warming.refresh_popular_cards(db.session(), services.get(Collaborators).get(CalendlyClient)) == 0
        )


def test_a_redis_that_is_not_there_changes_no_page(
    tmp_path: Path, database_url: str, app: Flask, ada: Offer, calendly_wire: fakes.Calendly
) -> None:
    """The cards, the booking form and the worker's round are what they are without one."""
    url = f"redis://127.0.0.1:1/{uuid4().int % 16}"
    alone = make_app(make_settings(tmp_path, database_url=database_url, redis_url=url))
    try:
        browser = alone.test_client()
        for _ in range(2):
            answer = browser.get(f"{ada.path}/session-types", headers=HTMX)
            assert answer.status_code == 200
            assert "data-session-type" in answer.text
        with alone.app_context():
            assert (
                warming.refresh_popular_cards(db.session(), services.get(Collaborators).get(CalendlyClient))
                == 0
            )
    finally:
        close(alone)
