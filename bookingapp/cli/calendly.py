"""``flask calendly``: is the token good, do the webhook subscriptions exist."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from bookingapp.cli.calendly_check import describe_finding, print_session_types, print_subscription
from bookingapp.cli.connections import check_builders, check_rights, refused_settings
from bookingapp.cli.errors import report_errors
from bookingapp.connections.refusals import checking_refused_tokens
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError
from bookingapp.sync.models import Found
from bookingapp.sync.subscription_checks import record_check
from bookingapp.sync.subscriptions import (
    Target,
    ensure_subscription,
    list_builder_targets,
    platform_organization,
)
from bookingapp.webhooks.handlers import PLATFORM, Context, Endpoint

calendly = AppGroup("calendly", help="The connection to Calendly.")


@calendly.command("check")
@click.option("--strict", is_flag=True, help="Fail where a published session type cannot be booked.")
@report_errors
def check(strict: bool) -> None:
    """Who the token belongs to, what it may do, how the builders' own connections and the subscriptions are, and
    whether the session types are set up.
    """
    client = services.get(CalendlyClient)
    # The operator asks, so a token that was refused before is asked about again.
    with checking_refused_tokens():
        user = client.current_user(PLATFORM)
    click.echo(f"token: good, of {user.name}")
    for name in refused_settings(services.get(Settings)):
        click.echo(f"{name}: refused by Calendly; the other token serves. Set a new one.")
    missing = check_rights(client, PLATFORM, user, platform_organization(user))
    to_look_at = check_builders(client)
    context = services.get(Context)
    if context.endpoint is not None:
        print_subscription(client, Target(PLATFORM, platform_organization(user)), context.endpoint)
    closed = print_session_types(client)
    if missing:
        raise click.ClickException(f"the token lacks permissions; make one with {', '.join(missing)}")
    if to_look_at:
        raise click.ClickException(f"{to_look_at} of the builders' own connections need a look; see above")
    if closed and strict:
        raise click.ClickException(f"{closed} published session types cannot be booked; see above")


@calendly.command("subscribe")
@report_errors
def subscribe() -> None:
    """Make sure that Calendly tells us everything we act on. Safe to repeat, and to run twice at once."""
    context = services.get(Context)
    endpoint = _endpoint(context)
    client = context.calendly
    platform = Target(PLATFORM, platform_organization(client.current_user(PLATFORM)))
    _make_whole(client, platform, endpoint)
    failed = 0
    for target in list_builder_targets(db.session(), platform.organization):
        try:
            _make_whole(client, target, endpoint)
        except CalendlyError as error:
            failed += 1
            click.echo(f"{target.name}: cannot be made. {error.user_message}")
    if failed:
        raise click.ClickException(
            f"{failed} of the builders' own subscriptions could not be made; see above"
        )


def _endpoint(context: Context) -> Endpoint:
    endpoint = context.endpoint
    if endpoint is None or endpoint.signing_key is None:
        raise click.ClickException(
            "CALENDLY_WEBHOOK_SIGNING_KEYS is missing: deliveries could not be verified"
        )
    return endpoint


def _make_whole(client: CalendlyClient, target: Target, endpoint: Endpoint) -> None:
    finding = ensure_subscription(client, target, endpoint)
    with transaction(db.session()) as session:
        record_check(session, target, finding, now=utcnow())
    if not finding.found.is_broken:
        click.echo(f"{target.name}: {describe_finding(finding)}, {endpoint.url}")
    elif finding.found is Found.MISSING:
        click.echo(f"{target.name}: made, {endpoint.url}")
    else:
        click.echo(f"{target.name}: was {describe_finding(finding)}; made anew, {endpoint.url}")
