"""What ``flask calendly check`` prints about a subscription and about each builder's session types."""

from __future__ import annotations

import click
import sqlalchemy as sa

from bookingapp.builders.models import Builder
from bookingapp.core import services
from bookingapp.core.clock import iso, utcnow
from bookingapp.core.db import db, reading
from bookingapp.core.i18n import gettext
from bookingapp.core.settings import Settings
from bookingapp.dashboard.words.setup import summarize_setup
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError
from bookingapp.operations.words import describe_failure
from bookingapp.session_types import service
from bookingapp.session_types.setup import SetupLevel, check_setup
from bookingapp.sync import subscriptions
from bookingapp.sync.models import Found
from bookingapp.sync.subscriptions import SubscriptionFinding, Target
from bookingapp.webhooks.handlers import Endpoint

LANDING = "/bookings/scheduled"


def print_subscription(client: CalendlyClient, target: Target, endpoint: Endpoint) -> None:
    """Print the state of a subscription, and the command that repairs it."""
    try:
        finding = subscriptions.inspect_subscription(client, target, endpoint)
    except CalendlyError as error:
        reason = describe_failure(error)
        click.echo(gettext("%(name)s: cannot be checked. %(reason)s", name=target.name, reason=reason))
        return
    state = describe_subscription(finding)
    if finding.found.is_broken:
        state = gettext("%(state)s; run flask calendly subscribe", state=state)
    click.echo(f"{target.name}: {state}")


def describe_subscription(finding: SubscriptionFinding) -> str:
    """The state of a subscription, in words."""
    since = iso(finding.since) if finding.since else ""
    if finding.found is Found.RETRYING and since:
        return gettext("active, but Calendly has had trouble reaching it since %(time)s", time=since)
    if finding.found is Found.DISABLED and since:
        return gettext("disabled, after failing since %(time)s", time=since)
    return finding.found.value


def print_session_types(client: CalendlyClient) -> int:
    """Print how each builder's session types are set up. Returns how many are published and cannot be booked."""
    with reading(db.session()) as session:
        query = sa.select(Builder).where(Builder.calendly_user_uri.is_not(None))
        builders = list(session.scalars(query.order_by(Builder.slug)))
    return sum(print_types_of(client, builder) for builder in builders)


def print_types_of(client: CalendlyClient, builder: Builder) -> int:
    """Print how a builder's session types are set up. Returns how many are published and cannot be booked."""
    redirect_to = services.get(Settings).public_url + LANDING
    try:
        items, _ = service.fetch_price_list(db.session(), client, builder)
    except CalendlyError as error:
        reason = describe_failure(error)
        click.echo(
            gettext("%(name)s: session types cannot be read. %(reason)s", name=builder.slug, reason=reason)
        )
        return 0
    closed = 0
    for item in items:
        title = item.event_type.name or service.UNNAMED
        setup = check_setup(
            client,
            builder.tenant,
            item.event_type,
            item.session_type,
            host=builder.calendly_user,
            redirect_to=redirect_to,
            now=utcnow(),
        )
        click.echo(f"{builder.slug}: {title}: {setup.level}. {summarize_setup(setup)}")
        is_published = item.session_type is not None and item.session_type.published
        closed += is_published and setup.level is SetupLevel.RED
    with reading(db.session()) as session:
        gone = service.list_vanished(session, client, builder, items)
    for row in gone:
        name, reason = row.event_type_uri.rpartition("/")[2], gettext("It is gone from Calendly.")
        click.echo(f"{builder.slug}: {name}: {SetupLevel.RED}. {reason}")
        closed += row.published
    return closed
