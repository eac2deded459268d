"""The state of the installation. Asks no provider."""

from __future__ import annotations

from flask import render_template

from bookingapp.console import state as service
from bookingapp.console.views.blueprint import blueprint, reader_zone
from bookingapp.console.words import state as words
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.integrations.redis_link import RedisLink
from bookingapp.operations.health import redis_answers


@blueprint.get("/state")
def state() -> str:
    """Workers, queues, reconciliation, subscriptions, tokens and breakers, a line for each."""
    session, now, zone = db.session(), utcnow(), reader_zone()
    workers = service.list_workers(session, now=now)
    numbers = service.count_everything(session, now=now)
    lines = words.state_lines(
        workers,
        numbers,
        service.load_latest(session),
        breaker=services.get(CalendlyClient).breaker_state,
        redis=redis_answers(services.get(Settings), lambda: services.get(RedisLink)),
        timezone=zone,
        now=now,
    )
    troubles = service.list_troubles(session, now=now)
    return render_template(
        "console/state.html",
        lines=lines,
        workers=workers,
        numbers=numbers,
        troubles=[(one, *words.trouble_words(one, zone, now)) for one in troubles],
    )
