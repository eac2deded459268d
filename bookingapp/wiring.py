"""Builds the collaborators from the settings and puts them where views and commands find them."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask

from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.checkout.slots import Timers
from bookingapp.checkout.tasks import Context as JobContext
from bookingapp.core import services
from bookingapp.core.db import assert_no_transaction
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient, PlatformTokens
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.webhooks.handlers import Context as InboxContext

VERSION = "0.1.0"


def wire(app: Flask, settings: Settings) -> None:
    """One client for each provider and application, shared by its threads."""
    calendly = calendly_client(settings)
    stripe = stripe_gateway(settings)
    signer = TrackingSigner([key.get_secret_value() for key in settings.secret_key])
    timers = Timers(timedelta(minutes=settings.pending_minutes), timedelta(minutes=settings.hold_minutes))
    services.provide(
        app,
        settings,
        calendly,
        stripe,
        signer,
        timers,
        InboxContext(calendly, stripe, signer, timers),
        JobContext(calendly, stripe, timers),
    )


def calendly_client(settings: Settings) -> CalendlyClient:
    """The Calendly client. Without a token it is made all the same and every call says what is missing."""
    primary, secondary = settings.calendly_token, settings.calendly_token_secondary
    tokens = PlatformTokens(
        primary.get_secret_value() if primary else "", secondary.get_secret_value() if secondary else None
    )
    return CalendlyClient(
        api_url=settings.calendly_api_url,
        tokens=tokens,
        user_agent=f"bookingapp/{VERSION} (+{settings.public_url})",
        before_call=assert_no_transaction,
    )


def stripe_gateway(settings: Settings) -> StripeGateway:
    """The Stripe gateway. Without a key it is made all the same and every call says what is missing."""
    key = settings.stripe_secret_key
    return StripeGateway(
        secret_key=key.get_secret_value() if key else "",
        api_url=settings.stripe_api_url,
        before_call=assert_no_transaction,
    )
