"""A machine whose clock is hours ahead ends no hold before its time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import responses
import time_machine
from flask import Flask

from bookingapp import worker
from bookingapp.bookings.states import Status
from bookingapp.core import services
from bookingapp.core.clock import TIME_SOURCES, utcnow
from bookingapp.core.db import db, transaction
from bookingapp.integrations.calendly import CalendlyClient, CalendlyNotFound
from bookingapp.integrations.stripe_gateway import StripeGateway, StripeNotFound
from tests.factories import API, make_booking, reread
from tests.unit.integrations.stub_server import StubServer, running
from tests.waiting import eventually

HOUR = timedelta(hours=1)


@pytest.fixture
def provider() -> Iterator[StubServer]:
    """A server whose clock is two hours behind ours."""
    with running() as stub:
        stub.answer(b"{}", status=404, Date=format_datetime(datetime.now(UTC) - 2 * HOUR, usegmt=True))
        yield stub


@pytest.mark.any_database
def test_a_worker_that_starts_with_a_wrong_clock(
    app_with: Callable[..., Flask], provider: StubServer
) -> None:
    """It asks both providers before its first job: what had ended by its own clock alone goes on."""
    app = app_with(calendly_api_url=provider.url, stripe_api_url=provider.url)
    now = datetime.now(UTC)
    with app.app_context(), transaction(db.session()) as session:
        ended, lasting = (make_booking(session, now=now - hours * HOUR) for hours in (5, 3))
    stop = threading.Event()
    thread = threading.Thread(target=worker.Worker(app, threads=1).run, args=(stop,))
    thread.start()
    eventually(TIME_SOURCES.is_known, "an answer that says the time")
    stop.set()
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert provider.seen[0].method == "HEAD"
    assert abs(utcnow() - (now - 2 * HOUR)) < timedelta(minutes=1)
    worker.run_due(app)
    with app.app_context():
        assert reread(db.session(), ended).status is Status.EXPIRED
        assert reread(db.session(), lasting).status is Status.PENDING


def test_a_machine_that_was_paused(app_with: Callable[..., Flask]) -> None:
    """Its clock was set since, and what the providers said before the pause is late: they are asked again."""
    with running() as stub:
        stub.answer(b"{}", status=404, Date=format_datetime(datetime.now(UTC), usegmt=True))
        app = app_with(calendly_api_url=stub.url, stripe_api_url=stub.url)
        for provider in ("calendly", "stripe"):
            TIME_SOURCES.note(provider, datetime.now(UTC) - 2 * HOUR)
        assert TIME_SOURCES.error()
        stop = threading.Event()
        thread = threading.Thread(target=worker.Worker(app, threads=1).run, args=(stop,))
        thread.start()
        eventually(lambda: not TIME_SOURCES.error(), "the right time")
        stop.set()
        thread.join(timeout=30)
        assert not thread.is_alive()


def test_jobs_wait_for_the_time_and_deliveries_do_not(
    app_with: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No provider answers, as on a machine whose network is not there yet: after a while its own clock has to do."""
    monkeypatch.setattr(worker, "TIME_PATIENCE_SECONDS", 0.5)
    with running() as stub:
        gone = stub.url
    app = app_with(calendly_api_url=gone, stripe_api_url=gone)
    with app.app_context(), transaction(db.session()) as session:
        booking = make_booking(session, now=datetime.now(UTC) - 3 * HOUR)
    stop = threading.Event()
    thread = threading.Thread(target=worker.Worker(app, threads=1).run, args=(stop,))
    thread.start()
    try:
        with app.app_context():
            eventually(lambda: reread(db.session(), booking).status is Status.EXPIRED, "the end of the hold")
    finally:
        stop.set()
        thread.join(timeout=30)
    assert not thread.is_alive()
    assert not TIME_SOURCES.is_known()


@pytest.mark.parametrize("provider_name", ["calendly", "stripe"])
def test_an_answer_of_either_provider_says_the_time(app: Flask, provider_name: str) -> None:
    """The application's own clients note it, also of an error."""
    then = {"Date": format_datetime(datetime.now(UTC), usegmt=True)}
    with app.app_context(), responses.RequestsMock() as mock:
        if provider_name == "calendly":
            mock.get(f"{API}/event_types/ABC", status=404, json={}, headers=then)
            with pytest.raises(CalendlyNotFound):
                services.get(CalendlyClient).event_type("platform", f"{API}/event_types/ABC")
        else:
            url = "https://api.stripe.com/v1/checkout/sessions/cs_test_1"
            mock.get(url, status=404, json={"error": {}}, headers=then)
            with pytest.raises(StripeNotFound):
                services.get(StripeGateway).retrieve_checkout_session("cs_test_1")
        now = utcnow()
        with time_machine.travel(now + 2 * HOUR):
            assert abs(utcnow() - now) < timedelta(minutes=1)
