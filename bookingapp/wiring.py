"""Builds the collaborators from the settings and puts them where views and commands find them."""

from __future__ import annotations

import hashlib
import time
from datetime import timedelta

from flask import Flask, g, has_request_context

from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.checkout.calendly_slot import Timers
from bookingapp.clients.links import LinkSigner
from bookingapp.connections.refusals import PlatformRefusals
from bookingapp.connections.renewal import Renewals
from bookingapp.connections.tokens import Tokens
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import assert_no_transaction, db
from bookingapp.core.encryption import Keyring
from bookingapp.core.jobs import Collaborators
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient, OAuthClient, PlatformTokens
from bookingapp.integrations.redis_link import RedisLink
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.notifications.service import Mailer
from bookingapp.notifications.transport import build_transport
from bookingapp.webhooks.handlers import Context, Endpoint
from bookingapp.webhooks.intake import Intake

VERSION = "0.1.0"
# How many of the web server's threads (cli/servers.py: half of them) may wait for Calendly at the same time.
WAITING_PLACES = 8


def wire(app: Flask, settings: Settings) -> None:
    """One client for each provider and application, shared by its threads."""
    oauth = oauth_client(settings)
    provider = tokens(app, settings, oauth)
    link = redis_link(settings)
    calendly = calendly_client(app, settings, provider, link)
    # Whoever is not in front of a page can wait longer; it shares everything else.
    patient = calendly.patient()
    stripe = stripe_gateway(settings)
    keys = [key.get_secret_value() for key in settings.secret_key]
    signer, links = TrackingSigner(keys), LinkSigner(keys)
    timers = Timers(timedelta(minutes=settings.pending_minutes), timedelta(minutes=settings.hold_minutes))
    context = Context(patient, stripe, signer, timers, endpoint(settings))
    collaborators = Collaborators(
        {
            CalendlyClient: patient,
            StripeGateway: stripe,
            OAuthClient: oauth,
            Mailer: mailer(app, settings, links),
            TrackingSigner: signer,
            Timers: timers,
            Context: context,
        }
    )
    services.provide(
        app,
        settings,
        Keyring([key.get_secret_value() for key in settings.encryption_keys]),
        oauth,
        provider,
        calendly,
        stripe,
        signer,
        links,
        timers,
        Intake(lambda: db.engine),
        context,
        collaborators,
    )
    if link is not None:
        services.provide(app, link)


def endpoint(settings: Settings) -> Endpoint:
    """Where Calendly is to send its webhooks, and what it signs them with: the newest of the keys."""
    keys = settings.calendly_webhook_signing_keys
    return Endpoint(f"{settings.public_url}/webhooks/calendly", keys[0] if keys else None)


def mailer(app: Flask, settings: Settings, links: LinkSigner) -> Mailer:
    """What sending mail needs. Mails are written outside of any request, so addresses are built by hand."""
    paths = app.url_map.bind("localhost")
    return Mailer(
        transport=build_transport(settings.mail_target, before_send=assert_no_transaction),
        public_url=settings.public_url,
        sender=settings.mail_from,
        templates=app.jinja_env,
        address=lambda endpoint, **values: settings.public_url + paths.build(endpoint, values),
        links=links,
    )


def oauth_client(settings: Settings) -> OAuthClient:
    """The client of the OAuth app. Without an app it is made all the same, and says that it is not configured."""
    secret = settings.calendly_client_secret
    return OAuthClient(
        auth_url=settings.calendly_auth_url,
        client_id=settings.calendly_client_id,
        client_secret=secret.get_secret_value() if secret else None,
        user_agent=user_agent(settings),
        before_call=assert_no_transaction,
    )


def tokens(app: Flask, settings: Settings, oauth: OAuthClient) -> Tokens:
    """Whose token each of the Calendly client's calls is made with."""
    primary, secondary = settings.calendly_token, settings.calendly_token_secondary
    refusals = PlatformRefusals(app)
    platform = PlatformTokens(
        primary.get_secret_value() if primary else "",
        secondary.get_secret_value() if secondary else None,
        refusals=refusals,
    )
    return Tokens(
        app,
        platform=platform,
        refusals=refusals,
        renewals=Renewals(app, oauth, clock=utcnow),
        clock=utcnow,
        before_call=assert_no_transaction,
    )


def user_agent(settings: Settings) -> str:
    """How we name ourselves to Calendly, whose front door refuses some libraries' own names."""
    return f"bookingapp/{VERSION} (+{settings.public_url})"


def calendly_client(app: Flask, settings: Settings, tokens: Tokens, link: RedisLink | None) -> CalendlyClient:
    """The Calendly client. Without a token it is made all the same and every call says what is missing."""
    return CalendlyClient(
        api_url=settings.calendly_api_url,
        tokens=tokens,
        user_agent=user_agent(settings),
        before_call=assert_no_transaction,
        link=link,
        places=WAITING_PLACES,
        left_of_page=_left_of_page,
        # A refresh behind a page has a context, and so a session and a guard, of its own.
        around=app.app_context,
    )


def redis_link(settings: Settings) -> RedisLink | None:
    """The Redis for what processes share about Calendly. Its keys belong to this database and this Calendly:
    another installation on the same Redis has its own.
    """
    if not settings.redis_url:
        return None
    whose = hashlib.sha256(f"{settings.sqlalchemy_url} {settings.calendly_api_url}".encode()).hexdigest()
    return RedisLink(settings.redis_url, prefix=f"bookingapp:calendly:{whose[:12]}")


def _left_of_page(seconds: float) -> float:
    """What is left of the ``seconds`` that one page may wait for Calendly in all, counted from its first call."""
    if not has_request_context():
        return seconds
    end: float = g.setdefault("calendly_until", time.monotonic() + seconds)
    return max(end - time.monotonic(), 0.0)


def stripe_gateway(settings: Settings) -> StripeGateway:
    """The Stripe gateway. Without a key it is made all the same and every call says what is missing."""
    key = settings.stripe_secret_key
    return StripeGateway(
        secret_key=key.get_secret_value() if key else "",
        api_url=settings.stripe_api_url,
        before_call=assert_no_transaction,
    )
