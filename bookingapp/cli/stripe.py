"""``flask stripe``: our webhook endpoint in Stripe."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from bookingapp.cli.errors import report_errors
from bookingapp.core import services
from bookingapp.core.i18n import N_, gettext
from bookingapp.core.settings import Settings
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.sync.stripe_endpoint import EndpointState, ensure_endpoint

stripe = AppGroup("stripe", help="The connection to Stripe.")

_FOUND = {
    EndpointState.WHOLE: N_("active"),
    EndpointState.MISSING: N_("created"),
    EndpointState.DISABLED: N_("was disabled; enabled again"),
    EndpointState.OTHER_EVENTS: N_("had other events; repaired"),
    EndpointState.SEVERAL: N_("active"),
}


@stripe.command("subscribe")
@report_errors
def subscribe() -> None:
    """Create or repair Stripe's webhook endpoint, with exactly the events that we act on. Safe to repeat."""
    url = f"{services.get(Settings).public_url}/webhooks/stripe"
    finding = ensure_endpoint(services.get(StripeGateway), url)
    click.echo(gettext("endpoint: %(state)s, %(url)s", state=gettext(_FOUND[finding.state]), url=url))
    if finding.endpoint is not None and finding.endpoint.secret:
        click.echo(
            gettext(
                "Stripe shows this secret only once. Please put it first in STRIPE_WEBHOOK_SECRETS and restart:"
            )
        )
        click.echo(finding.endpoint.secret)
    if finding.others:
        raise click.ClickException(
            gettext(
                "Stripe has more endpoints with this address, so each event comes more than once. Please delete these "
                "in Stripe's dashboard: %(names)s",
                names=", ".join(one.id for one in finding.others),
            )
        )
