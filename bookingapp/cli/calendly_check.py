"""What ``flask calendly check`` says of the subscriptions and of each builder's session types."""

from __future__ import annotations

import click
import sqlalchemy as sa

from bookingapp.builders.models import Builder
from bookingapp.core import services
from bookingapp.core.clock import iso, utcnow
from bookingapp.core.db import db, reading
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError
from bookingapp.session_types import service
from bookingapp.session_types.setup import Level, check_setup
from bookingapp.sync import subscriptions
from bookingapp.sync.models import Found
from bookingapp.sync.subscriptions import SubscriptionFinding, Target
from bookingapp.webhooks.handlers import Endpoint

LANDING = "/bookings/scheduled"


def print_subscription(client: CalendlyClient, target: Target, endpoint: Endpoint) -> None:
    """How a subscription is, without touching it."""
    try:
        finding = subscriptions.inspect_subscription(client, target, endpoint)
    except CalendlyError as error:
        click.echo(f"{target.name}: cannot be looked at. {error.user_message}")
        return
    advice = "; run flask calendly subscribe" if finding.found.is_broken else ""
    click.echo(f"{target.name}: {describe_finding(finding)}{advice}")


def describe_finding(finding: SubscriptionFinding) -> str:
    """How it was found."""
    if finding.found is Found.RETRYING and finding.since:
        return f"active, but Calendly has had trouble reaching it since {iso(finding.since)}"
    if finding.found is Found.DISABLED and finding.since:
        return f"disabled, after failing since {iso(finding.since)}"
    return finding.found.value


def print_session_types(client: CalendlyClient) -> int:
    """How every builder's session types are set up. Returns how many are published and cannot be booked."""
    with reading(db.session()) as session:
        builders = list(session.scalars(sa.select(Builder).order_by(Builder.slug)))
    return sum(_say_types_of(client, builder) for builder in builders)


def _say_types_of(client: CalendlyClient, builder: Builder) -> int:
    redirect_to = services.get(Settings).public_url + LANDING
    try:
        items, _ = service.fetch_price_list(db.session(), client, builder)
    except CalendlyError as error:
        click.echo(f"{builder.slug}: session types cannot be read. {error.user_message}")
        return 0
    closed = 0
    for item in items:
        title = item.event_type.name or service.UNNAMED
        setup = check_setup(
            client,
            builder.tenant,
            item.event_type,
            item.session_type,
            redirect_to=redirect_to,
            now=utcnow(),
        )
        click.echo(f"{builder.slug}: {title}: {setup.level}. {setup.sentence}")
        is_published = item.session_type is not None and item.session_type.published
        closed += is_published and setup.level is Level.RED
    with reading(db.session()) as session:
        gone = service.list_vanished(session, client, builder, items)
    for row in gone:
        click.echo(f"{builder.slug}: {row.event_type_uri.rpartition('/')[2]}: red. It is gone from Calendly.")
        closed += row.published
    return closed
