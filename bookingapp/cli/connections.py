"""``flask connections``: builders' own Calendly accounts and the keys that their tokens are sealed with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import click
import sqlalchemy as sa
from flask.cli import AppGroup

from bookingapp.builders.models import Builder
from bookingapp.cli.errors import report_errors
from bookingapp.connections import rotation
from bookingapp.connections.models import CalendlyConnection, ConnectionState
from bookingapp.connections.refusals import any_refused
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, reading, transaction
from bookingapp.core.encryption import EncryptionError, Keyring
from bookingapp.core.settings import Settings
from bookingapp.dashboard.connection_words import describe_reason, describe_scopes
from bookingapp.integrations.calendly import (
    SCOPES,
    CalendlyClient,
    CalendlyError,
    CalendlyForbidden,
    User,
    missing_scopes,
)

connections = AppGroup("connections", help="Builders' own Calendly accounts.")

NOT_TRIED = ("scheduled_events:write", "scheduling_links:write")
_SETTINGS = ("CALENDLY_TOKEN", "CALENDLY_TOKEN_SECONDARY")


@connections.command("rotate-keys")
@report_errors
def rotate_keys() -> None:
    """Seal every stored secret with the newest of ENCRYPTION_KEYS; after that the older ones can go."""
    keyring = services.get(Keyring)
    try:
        with transaction(db.session()) as session:
            number = rotation.reencrypt_all(session, keyring, now=utcnow())
    except EncryptionError as error:
        raise click.ClickException(f"{error}; nothing was changed") from error
    click.echo(f"{number} secrets sealed anew; all are under the key {keyring.newest_id} now")


def refused_settings(settings: Settings) -> list[str]:
    """The settings whose platform token Calendly has refused."""
    given = dict(zip(_SETTINGS, (settings.calendly_token, settings.calendly_token_secondary), strict=True))
    tokens = {name: secret.get_secret_value().strip() for name, secret in given.items() if secret}
    with reading(db.session()) as session:
        return [name for name, token in tokens.items() if token and any_refused(session, token)]


def check_rights(client: CalendlyClient, tenant: str, user: User, organization: str) -> list[str]:
    """Say for each right that we need whether the token has it. Returns the scopes that are missing."""
    now = utcnow()
    times = now + timedelta(minutes=10), now + timedelta(days=1)
    types = client.list_event_types
    probes: dict[str, Callable[[], object]] = {
        "event_types:read": lambda: types(tenant, user.uri, at_most=timedelta()),
        "availability:read": lambda: [
            client.available_times(tenant, one.uri, *times)
            for one in types(tenant, user.uri).value[:1]
            if one.active
        ],
        "scheduled_events:read": lambda: client.scheduled_events(tenant, user.uri, *times),
        "webhooks:write": lambda: client.webhook_subscriptions(
            tenant, organization=organization, scope="organization"
        ),
    }
    missing = []
    for scope, probe in probes.items():
        try:
            probe()
        except CalendlyForbidden:
            missing.append(scope)
            click.echo(f"may {SCOPES[scope]}: no, the scope {scope} is missing")
        else:
            click.echo(f"may {SCOPES[scope]}: yes")
    for scope in NOT_TRIED:
        click.echo(f"may {SCOPES[scope]}: not tried, because trying would do it ({scope})")
    return missing


def check_builders(client: CalendlyClient) -> int:
    """Say how each builder's own connection is. Returns how many of them a person has to look at."""
    return sum(_say(name, words) for name, words in _builders(client))


def _say(name: str, words: str | None) -> bool:
    click.echo(f"{name}: {words or 'own account, good'}")
    return words is not None


def _builders(client: CalendlyClient) -> Iterator[tuple[str, str | None]]:
    row = CalendlyConnection
    with reading(db.session()) as session:
        query = sa.select(Builder, row).join(row, row.builder_id == Builder.id).order_by(Builder.id)
        found = [
            (builder, one)
            for builder, one in session.execute(query)
            if one.state is not ConnectionState.DISCONNECTED
        ]
    for builder, one in found:
        yield builder.slug, _trouble(client, builder, one)


def _trouble(client: CalendlyClient, builder: Builder, row: CalendlyConnection) -> str | None:
    if row.state is ConnectionState.DEAD:
        why = describe_reason(row.reason, row.reason_facts) if row.reason else ""
        return f"has to connect again. {why}"
    try:
        client.current_user(builder.tenant)
    except CalendlyForbidden:
        pass  # The token is good; what it may not do is said below.
    except CalendlyError as error:
        return f"own account, not good. {error.user_message}"
    missing = describe_scopes(missing_scopes(row.scopes))
    return f"own account, may not {'; may not '.join(missing)}" if missing else None
