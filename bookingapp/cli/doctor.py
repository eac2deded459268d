"""``flask doctor``: what is wrong with this installation."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from bookingapp.cli.errors import report_errors
from bookingapp.cli.table import align_columns
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.i18n import gettext, ngettext
from bookingapp.core.jobs import Collaborators
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.notifications.content import MailContent
from bookingapp.notifications.service import Mailer, Recipient, send_mail
from bookingapp.notifications.transport import MailError
from bookingapp.operations.doctor import examine
from bookingapp.operations.findings import Finding, Level, Patient
from bookingapp.webhooks.handlers import Context


@click.command("doctor")
@click.option("--mail", "address", help="Send a test mail there, too.")
@with_appcontext
@report_errors
def doctor(address: str | None) -> None:
    """Check everything that can be wrong: database, worker, clock, disk, both providers, webhooks, mail. Exits with 1
    where something has to be repaired. Two test deliveries are stored in the inbox, and ignored.
    """
    settings, mailer = services.get(Settings), services.get(Collaborators).get(Mailer)
    patient = Patient(
        settings,
        db.session(),
        services.get(CalendlyClient),
        services.get(StripeGateway),
        services.get(Context),
        mailer.transport,
    )
    findings = list(examine(patient))
    if address:
        findings.append(_send_test_mail(mailer, address))
    for line in align_columns([(one.level.value, one.topic, one.words) for one in findings]):
        click.echo(line)
    bad = sum(one.level is Level.BAD for one in findings)
    if bad:
        raise click.ClickException(ngettext("%(num)s problem; see above", "%(num)s problems; see above", bad))


def _send_test_mail(mailer: Mailer, address: str) -> Finding:
    now, subject = utcnow(), gettext("A test mail")
    content = MailContent(
        subject=subject,
        heading=subject,
        greeting=gettext("Hello,"),
        paragraphs=(
            gettext("Somebody who operates this site asked whether its mails arrive. This one did."),
        ),
    )
    topic = gettext("test mail")
    try:
        send_mail(
            mailer,
            content,
            Recipient("", address),
            kind="doctor",
            identity=f"doctor:{address}:{now.isoformat()}",
            now=now,
        )
    except MailError as error:
        return Finding(topic, Level.BAD, gettext("It was not accepted (%(error)s).", error=str(error)))
    return Finding(topic, Level.GOOD, gettext("The server took it. Please look whether it arrives."))
