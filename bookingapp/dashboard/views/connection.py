"""The page about the builder's connection to Calendly. Connecting and disconnecting is in ``connections/views.py``."""

from __future__ import annotations

from flask import render_template

from bookingapp.builders.guard import current_builder
from bookingapp.builders.models import Builder
from bookingapp.connections import service as connections
from bookingapp.connections.audit import list_audit
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.security import allow_sources, origin
from bookingapp.core.settings import Settings
from bookingapp.dashboard.connection_checks import check_connection
from bookingapp.dashboard.views.blueprint import blueprint
from bookingapp.dashboard.words import checks as check_words
from bookingapp.dashboard.words import connections as connection_words
from bookingapp.integrations.calendly import CalendlyClient, OAuthClient


@blueprint.get("/connection")
def connection() -> str:
    """How the builder is connected, and whether Calendly and the webhooks work. Asks Calendly."""
    builder, session, now = current_builder(), db.session(), utcnow()
    checks = check_connection(session, services.get(CalendlyClient), builder, now=now)
    # The answer to the button's form leads to Calendly, and from there to its log-in, which browsers check against
    # form-action too.
    settings = services.get(Settings)
    for address in (settings.calendly_auth_url, settings.calendly_booking_url):
        allow_sources(form_action=origin(address))
    # Read again: the check may just have found that Calendly refuses the connection.
    builder = session.get_one(Builder, builder.id)
    link = connections.summarize_connection(session, builder)
    return render_template(
        "dashboard/connection.html",
        builder=builder,
        checks=[check_words.check_line(check, builder.timezone, now=now) for check in checks],
        link=link,
        reason=connection_words.describe_reason(link.reason, link.reason_facts) if link.reason else None,
        missing=connection_words.describe_scopes(link.missing),
        can_connect=services.get(OAuthClient).is_configured,
        history=[(one.at, connection_words.describe_act(one)) for one in list_audit(session, builder.id)],
    )
