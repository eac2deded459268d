"""``flask calendly``: checks tokens, subscriptions and session types; creates the subscriptions."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from bookingapp.cli.calendly_check import describe_subscription, print_session_types, print_subscription
from bookingapp.cli.calendly_lists import print_event_types, print_users
from bookingapp.cli.connections import print_connections, print_permissions, refused_settings
from bookingapp.cli.errors import report_errors
from bookingapp.connections.refusals import checking_refused_tokens
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.i18n import gettext, ngettext
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError
from bookingapp.operations.words import describe_failure
from bookingapp.sync.models import Found
from bookingapp.sync.subscription_checks import record_check
from bookingapp.sync.subscriptions import (
    Target,
    ensure_subscription,
    list_builder_targets,
    platform_organization,
    renew_subscription,
)
from bookingapp.webhooks.handlers import PLATFORM, Context, Endpoint

calendly = AppGroup("calendly", help="The connection to Calendly.")


@calendly.command("check")
@click.option("--strict", is_flag=True, help="Fail where a published session type cannot be booked.")
@report_errors
def check(strict: bool) -> None:
    """Whose the token is and what it may do; whether the builders' own connections and the webhook subscription work,
    and whether the session types can be booked.
    """
    client = services.get(CalendlyClient)
    with checking_refused_tokens():
        user = client.current_user(PLATFORM)
    click.echo(gettext("token: good, of %(user)s", user=user.name))
    for name in refused_settings(services.get(Settings)):
        click.echo(
            gettext(
                "%(setting)s: refused by Calendly; the other token is in use. Please set a new one.",
                setting=name,
            )
        )
    missing = print_permissions(client, PLATFORM, user, platform_organization(user))
    broken = print_connections(client)
    context = services.get(Context)
    if context.endpoint is not None:
        print_subscription(client, Target(PLATFORM, platform_organization(user)), context.endpoint)
    closed = print_session_types(client)
    if missing:
        raise click.ClickException(
            gettext("the token lacks permissions; create one with %(scopes)s", scopes=", ".join(missing))
        )
    if broken:
        raise click.ClickException(
            ngettext(
                "%(num)s builder's own connection has a problem; see above",
                "%(num)s builders' own connections have problems; see above",
                broken,
            )
        )
    if closed and strict:
        raise click.ClickException(
            ngettext(
                "%(num)s published session type cannot be booked; see above",
                "%(num)s published session types cannot be booked; see above",
                closed,
            )
        )


@calendly.command("subscribe")
@click.option(
    "--new-key",
    is_flag=True,
    help="Create the platform's anew, with the first of CALENDLY_WEBHOOK_SIGNING_KEYS.",
)
@report_errors
def subscribe(*, new_key: bool) -> None:
    """Create or repair the subscriptions to everything that we act on. Safe to repeat, and to run twice at once."""
    context = services.get(Context)
    endpoint = _endpoint(context)
    client = context.calendly
    platform = Target(PLATFORM, platform_organization(client.current_user(PLATFORM)))
    _subscribe(client, platform, endpoint, new_key=new_key)
    failed = 0
    for target in list_builder_targets(db.session(), platform.organization):
        try:
            _subscribe(client, target, endpoint)
        except CalendlyError as error:
            failed += 1
            reason = describe_failure(error)
            click.echo(gettext("%(name)s: cannot be created. %(reason)s", name=target.name, reason=reason))
    if failed:
        raise click.ClickException(
            ngettext(
                "%(num)s builder's own subscription could not be created; see above",
                "%(num)s builders' own subscriptions could not be created; see above",
                failed,
            )
        )


@calendly.command("users")
@report_errors
def users() -> None:
    """List the users of the platform's organization, with the address that ``builders create`` wants."""
    print_users(services.get(CalendlyClient))


@calendly.command("event-types")
@click.option("--builder", "slug", help="Of this builder alone, by slug.")
@report_errors
def event_types(slug: str | None) -> None:
    """List each builder's event types: name, minutes, price, and what ``session-types publish`` wants."""
    print_event_types(services.get(CalendlyClient), slug)


def _endpoint(context: Context) -> Endpoint:
    endpoint = context.endpoint
    if endpoint is None or endpoint.signing_key is None:
        raise click.ClickException(
            gettext("CALENDLY_WEBHOOK_SIGNING_KEYS is missing: deliveries could not be verified")
        )
    return endpoint


def _subscribe(client: CalendlyClient, target: Target, endpoint: Endpoint, *, new_key: bool = False) -> None:
    ensure = renew_subscription if new_key else ensure_subscription
    finding = ensure(client, target, endpoint)
    with transaction(db.session()) as session:
        record_check(session, target, finding, now=utcnow())
    result = describe_subscription(finding)
    if finding.found is Found.MISSING:
        result = gettext("created")
    elif finding.found.is_broken:
        result = gettext("was %(state)s; created again", state=result)
    click.echo(f"{target.name}: {result}, {endpoint.url}")
