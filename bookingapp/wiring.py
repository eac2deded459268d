"""Builds the clients, signers and mailer from the settings, and registers them in :mod:`bookingapp.core.services`."""

from __future__ import annotations

import hashlib
import time
from datetime import timedelta
from functools import partial

import structlog
from flask import Flask, g, has_request_context

from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.checkout.calendly_slot import Timers
from bookingapp.clients.links import LinkSigner
from bookingapp.connections.refusals import PlatformRefusals
from bookingapp.connections.renewal import Renewals
from bookingapp.connections.tokens import Tokens
from bookingapp.core import services
from bookingapp.core.clock import TIME_SOURCES, utcnow
from bookingapp.core.db import assert_no_transaction, db
from bookingapp.core.encryption import Keyring
from bookingapp.core.jobs import Collaborators
from bookingapp.core.settings import Settings, reveal, reveal_all
from bookingapp.directory.options import OptionsCache
from bookingapp.integrations import probe
from bookingapp.integrations.calendly import CalendlyClient, OAuthClient, PlatformTokens, Purpose
from bookingapp.integrations.redis_link import RedisLink
from bookingapp.integrations.stripe_gateway import StripeGateway, is_live_key
from bookingapp.notifications.service import Mailer
from bookingapp.notifications.transport import build_transport
from bookingapp.webhooks.handlers import Context, Endpoint
from bookingapp.webhooks.intake import Intake
from bookingapp.webhooks.models import Provider

log = structlog.get_logger(__name__)

VERSION = "0.1.0"
# How many of the web server's threads (half of those of cli/servers.py) may wait for Calendly at the same time.
WAITING_PLACES = 8


def wire(app: Flask, settings: Settings) -> None:
    """Register the application's collaborators. Its threads share one client for each provider."""
    oauth = build_oauth_client(settings)
    tokens = build_tokens(app, settings, oauth)
    link = build_redis_link(settings)
    client = build_calendly_client(app, settings, tokens, link)
    calendly = client.for_purpose(Purpose.BOOKING)
    # The worker's client: longer time-outs; same cache, limits and breaker. Jobs that read only say so themselves.
    patient = client.patient()
    stripe = build_stripe_gateway(settings)
    keys = reveal_all(settings.secret_key)
    signer, links = TrackingSigner(keys), LinkSigner(keys)
    timers = Timers(timedelta(minutes=settings.pending_minutes), timedelta(minutes=settings.hold_minutes))
    is_live = is_live_key(reveal(settings.stripe_secret_key) or "")
    verifying = patient.for_purpose(Purpose.VERIFICATION)
    context = Context(verifying, stripe, signer, timers, calendly_endpoint(settings), is_live=is_live)
    for_jobs = (settings, patient, stripe, oauth, build_mailer(app, settings, links), signer, timers, context)
    services.provide(
        app,
        settings,
        OptionsCache(),
        Keyring(reveal_all(settings.encryption_keys)),
        oauth,
        tokens,
        calendly,
        stripe,
        signer,
        links,
        timers,
        Intake(lambda: db.engine),
        context,
        Collaborators({type(one): one for one in for_jobs}),
    )
    if link is not None:
        services.provide(app, link)


def calendly_endpoint(settings: Settings) -> Endpoint:
    """Where Calendly sends its webhooks, and the key that it signs them with: the newest."""
    keys = settings.calendly_webhook_signing_keys
    return Endpoint(f"{settings.public_url}/webhooks/calendly", keys[0] if keys else None)


def build_mailer(app: Flask, settings: Settings, links: LinkSigner) -> Mailer:
    """The mailer. It renders outside of any request, so it builds links without ``url_for``."""
    paths = app.url_map.bind("localhost")
    return Mailer(
        transport=build_transport(settings.mail_target, before_send=assert_no_transaction),
        public_url=settings.public_url,
        sender=settings.mail_from,
        support=settings.support_email,
        templates=app.jinja_env,
        address=lambda endpoint, **values: settings.public_url + paths.build(endpoint, values),
        links=links,
    )


def build_oauth_client(settings: Settings) -> OAuthClient:
    """The client of the OAuth app. Without an app each of its calls raises that it is not configured."""
    return OAuthClient(
        auth_url=settings.calendly_auth_url,
        client_id=settings.calendly_client_id,
        client_secret=reveal(settings.calendly_client_secret),
        user_agent=user_agent(settings),
        before_call=assert_no_transaction,
    )


def build_tokens(app: Flask, settings: Settings, oauth: OAuthClient) -> Tokens:
    """The provider of tokens for the Calendly client's calls: the builder's own, else the platform's."""
    refusals = PlatformRefusals(app)
    platform = PlatformTokens(
        reveal(settings.calendly_token) or "",
        reveal(settings.calendly_token_secondary),
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
    """Our User-Agent for Calendly, whose firewall refuses some libraries' default ones."""
    return f"bookingapp/{VERSION} (+{settings.public_url})"


def build_calendly_client(
    app: Flask, settings: Settings, tokens: Tokens, link: RedisLink | None
) -> CalendlyClient:
    """The Calendly client of web requests. Without a token each call raises what is missing."""
    return CalendlyClient(
        api_url=settings.calendly_api_url,
        tokens=tokens,
        user_agent=user_agent(settings),
        before_call=assert_no_transaction,
        note_time=partial(TIME_SOURCES.note, Provider.CALENDLY),
        link=link,
        places=WAITING_PLACES,
        left_of_page=_seconds_left_for_request,
        # A refresh in the background needs an application context for its own session.
        around=app.app_context,
    )


def build_redis_link(settings: Settings) -> RedisLink | None:
    """What processes share about Calendly, in Redis; None without REDIS_URL. The prefix separates this installation
    from others on the same Redis.
    """
    if not settings.redis_url:
        return None
    installation = hashlib.sha256(
        f"{settings.sqlalchemy_url} {settings.calendly_api_url}".encode()
    ).hexdigest()
    return RedisLink(settings.redis_url, prefix=f"bookingapp:calendly:{installation[:12]}")


def _seconds_left_for_request(seconds: float) -> float:
    """What remains of the ``seconds`` that one request may wait for Calendly, counted from its first call."""
    if not has_request_context():
        return seconds
    end: float = g.setdefault("calendly_until", time.monotonic() + seconds)
    return max(end - time.monotonic(), 0.0)


def build_stripe_gateway(settings: Settings) -> StripeGateway:
    """The Stripe gateway. Without a key each call raises what is missing."""
    return StripeGateway(
        secret_key=reveal(settings.stripe_secret_key) or "",
        api_url=settings.stripe_api_url,
        before_call=assert_no_transaction,
        note_time=partial(TIME_SOURCES.note, Provider.STRIPE),
    )


def ask_time(settings: Settings) -> None:
    """Ask both providers which time it is. One that does not answer is logged."""
    for provider, url in (
        (Provider.CALENDLY, settings.calendly_api_url),
        (Provider.STRIPE, settings.stripe_api_url),
    ):
        try:
            if (at := probe.fetch_time(url)) is not None:
                TIME_SOURCES.note(provider, at)
        except OSError as error:
            log.warning("time_not_asked", provider=provider, error=type(error).__name__)
