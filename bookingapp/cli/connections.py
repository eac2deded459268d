"""``flask connections``, and what ``flask calendly check`` prints about tokens and builders' own accounts."""

from __future__ import annotations

import click
import sqlalchemy as sa
from flask.cli import AppGroup

from bookingapp.builders.models import Builder
from bookingapp.cli.errors import report_errors
from bookingapp.connections import rotation
from bookingapp.connections.models import CalendlyConnection, ConnectionState
from bookingapp.connections.permissions import NOT_TRIED, probe_permissions
from bookingapp.connections.refusals import any_refused
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, reading, transaction
from bookingapp.core.encryption import EncryptionError, Keyring
from bookingapp.core.i18n import gettext, ngettext
from bookingapp.core.settings import Settings, reveal
from bookingapp.dashboard.words.connections import describe_reason, describe_scopes
from bookingapp.integrations.calendly import (
    SCOPES,
    CalendlyClient,
    CalendlyError,
    CalendlyForbidden,
    User,
    missing_scopes,
)
from bookingapp.operations.words import describe_failure

connections = AppGroup("connections", help="Builders' own Calendly accounts.")


@connections.command("rotate-keys")
@report_errors
def rotate_keys() -> None:
    """Encrypt every stored secret with the newest of ENCRYPTION_KEYS; then the older keys can be removed."""
    keyring = services.get(Keyring)
    try:
        with transaction(db.session()) as session:
            number = rotation.reencrypt_all(session, keyring, now=utcnow())
    except EncryptionError as error:
        raise click.ClickException(gettext("%(reason)s; nothing was changed", reason=error)) from error
    click.echo(
        ngettext(
            "%(num)s secret encrypted again; all use the key %(key)s now",
            "%(num)s secrets encrypted again; all use the key %(key)s now",
            number,
            key=keyring.newest_id,
        )
    )


def refused_settings(settings: Settings) -> list[str]:
    """The names of the settings whose platform token Calendly has refused."""
    tokens = {
        "CALENDLY_TOKEN": reveal(settings.calendly_token),
        "CALENDLY_TOKEN_SECONDARY": reveal(settings.calendly_token_secondary),
    }
    with reading(db.session()) as session:
        return [
            name
            for name, token in tokens.items()
            if token and token.strip() and any_refused(session, token.strip())
        ]


def print_permissions(client: CalendlyClient, tenant: str, user: User, organization: str) -> list[str]:
    """Print for each permission that we need whether the token has it. Returns the missing scopes."""
    missing: list[str] = []
    for scope, lacking in probe_permissions(client, tenant, user, organization, now=utcnow()):
        right = gettext(SCOPES[scope])
        missing += [name for name in lacking if name not in missing]
        if lacking:
            scopes = ", ".join(lacking)
            click.echo(
                gettext("may %(right)s: no, the scope %(scope)s is missing", right=right, scope=scopes)
            )
        else:
            click.echo(gettext("may %(right)s: yes", right=right))
    for scope in NOT_TRIED:
        right = gettext(SCOPES[scope])
        click.echo(
            gettext(
                "may %(right)s: not tried, because trying would do it (%(scope)s)", right=right, scope=scope
            )
        )
    return missing


def print_connections(client: CalendlyClient) -> int:
    """Print whether each builder's own connection works. Returns how many do not."""
    row = CalendlyConnection
    with reading(db.session()) as session:
        query = sa.select(Builder, row).join(row, row.builder_id == Builder.id).order_by(Builder.id)
        found = session.execute(query.where(row.state != ConnectionState.DISCONNECTED)).all()
    broken = 0
    for builder, connection in found:
        problem = describe_problem(client, builder, connection)
        broken += problem is not None
        good = gettext("own account, good")
        click.echo(f"{builder.slug}: {problem or good}")
    return broken


def describe_problem(client: CalendlyClient, builder: Builder, row: CalendlyConnection) -> str | None:
    """What does not work about a builder's own connection, in words."""
    if row.state is ConnectionState.DEAD:
        why = describe_reason(row.reason, row.reason_facts) if row.reason else ""
        return gettext("has to connect again. %(reason)s", reason=why)
    try:
        client.current_user(builder.tenant)
    except CalendlyForbidden:
        pass  # The token is good; the missing scopes are reported below.
    except CalendlyError as error:
        return gettext("own account, not good. %(reason)s", reason=describe_failure(error))
    missing = "; ".join(describe_scopes(missing_scopes(row.scopes)))
    return gettext("own account, may not: %(missing)s", missing=missing) if missing else None
