"""``flask calendly``: is the token good, do the webhook subscriptions exist."""

from __future__ import annotations

from collections.abc import Callable

import click
from flask.cli import AppGroup

from bookingapp.cli.failing import plainly
from bookingapp.core import services
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient, Forbidden, User
from bookingapp.webhooks.handlers import PLATFORM
from bookingapp.webhooks.routing import CALENDLY_EVENTS

calendly = AppGroup("calendly", help="The connection to Calendly.")


def _organization(user: User) -> str:
    if user.current_organization is None:
        raise click.ClickException("Calendly does not say which organization the token belongs to")
    return user.current_organization


@calendly.command("check")
@plainly
def check() -> None:
    """Who the token belongs to, and what it may do."""
    client = services.get(CalendlyClient)
    user = client.current_user(PLATFORM)
    click.echo(f"token: good, of {user.name}")
    probes: dict[str, Callable[[], object]] = {
        "read event types": lambda: client.list_event_types(PLATFORM, user.uri),
        "manage webhooks": lambda: client.webhook_subscriptions(
            PLATFORM, organization=_organization(user), scope="organization"
        ),
    }
    missing = 0
    for label, probe in probes.items():
        try:
            probe()
        except Forbidden as error:
            missing += 1
            click.echo(f"{label}: no. {error.user_message}")
        else:
            click.echo(f"{label}: yes")
    if missing:
        raise click.ClickException("the token lacks permissions; make one with the scopes named above")


@calendly.command("subscribe")
@plainly
def subscribe() -> None:
    """Make sure that Calendly tells us everything we act on. Safe to repeat."""
    settings, client = services.get(Settings), services.get(CalendlyClient)
    if not settings.calendly_webhook_signing_keys:
        raise click.ClickException(
            "CALENDLY_WEBHOOK_SIGNING_KEYS is missing: deliveries could not be verified"
        )
    organization = _organization(client.current_user(PLATFORM))
    url = f"{settings.public_url}/webhooks/calendly"
    existing = client.webhook_subscriptions(PLATFORM, organization=organization, scope="organization")
    mine = [subscription for subscription in existing if subscription.callback_url == url]
    for subscription in mine:
        if subscription.state == "active" and set(CALENDLY_EVENTS) <= set(subscription.events):
            click.echo(f"subscription: active, {url}")
            return
    for subscription in mine:
        client.delete_webhook_subscription(PLATFORM, subscription.uri)
        click.echo(f"subscription: was {subscription.state} or incomplete, removed")
    client.create_webhook_subscription(
        PLATFORM,
        url=url,
        events=CALENDLY_EVENTS,
        organization=organization,
        scope="organization",
        signing_key=settings.calendly_webhook_signing_keys[0].get_secret_value(),
    )
    click.echo(f"subscription: made, {url}")
