"""Prints what Calendly has, with the addresses that other commands want; refuses an address that it does not know."""

from __future__ import annotations

from collections.abc import Sequence

import click
import sqlalchemy as sa

from bookingapp.builders.models import Builder
from bookingapp.builders.service import get_by_slug
from bookingapp.cli.table import align_columns
from bookingapp.core.db import db, reading
from bookingapp.core.i18n import gettext
from bookingapp.core.money import format_money
from bookingapp.integrations.calendly import (
    CalendlyClient,
    CalendlyError,
    CalendlyForbidden,
    CalendlyNotFound,
)
from bookingapp.operations.words import describe_failure
from bookingapp.session_types.service import UNNAMED, Priced, fetch_price_list
from bookingapp.sync.subscriptions import platform_organization
from bookingapp.webhooks.handlers import PLATFORM


def print_users(calendly: CalendlyClient) -> None:
    """The users of the platform's organization by name, with the slug of those who are builders. A token that is
    no administrator's sees its own user alone. Raises :class:`CalendlyError`.
    """
    me = calendly.current_user(PLATFORM)
    try:
        members = calendly.organization_members(PLATFORM, platform_organization(me))
    except CalendlyForbidden:
        members = (me,)
        click.echo(
            gettext("The token's user is no administrator in Calendly, so only they are listed."), err=True
        )
    with reading(db.session()) as session:
        rows = session.execute(sa.select(Builder.calendly_user_uri, Builder.slug))
        slugs = {row.calendly_user_uri: row.slug for row in rows}
    lines = [
        (one.name, one.email, one.uri, slugs.get(one.uri, "-"))
        for one in sorted(members, key=lambda one: one.name.casefold())
    ]
    _print_table((gettext("name"), gettext("e-mail"), gettext("Calendly user"), gettext("builder")), lines)


def print_event_types(calendly: CalendlyClient, slug: str | None) -> None:
    """The event types of each builder, or of one. Raises :class:`NotFound`, and :class:`CalendlyError` where the one
    builder's cannot be read.
    """
    with reading(db.session()) as session:
        query = sa.select(Builder).where(Builder.calendly_user_uri.is_not(None)).order_by(Builder.slug)
        builders = [get_by_slug(session, slug)] if slug else list(session.scalars(query))
    lines = []
    for builder in builders:
        try:
            items, _ = fetch_price_list(db.session(), calendly, builder)
        except CalendlyError as error:
            if slug:
                raise
            reason = describe_failure(error)
            click.echo(
                gettext(
                    "%(name)s: session types cannot be read. %(reason)s", name=builder.slug, reason=reason
                ),
                err=True,
            )
            continue
        lines += [_line(builder, item) for item in items]
    head = (gettext("builder"), gettext("name"), gettext("minutes"), gettext("price"), gettext("event type"))
    _print_table(head, lines)


def require_user(calendly: CalendlyClient, uri: str) -> None:
    """Refuse a user whom Calendly does not know. Where it cannot say, for want of a token, of permission or of an
    answer, that is printed, and the address is taken as it is.
    """
    try:
        calendly.user(PLATFORM, uri)
    except CalendlyNotFound:
        raise click.ClickException(
            gettext("Calendly knows no user %(uri)s; flask calendly users lists them", uri=uri)
        ) from None
    except CalendlyError as error:
        _warn(uri, error)


def require_event_type(calendly: CalendlyClient, builder: Builder, uri: str) -> None:
    """Refuse an event type that Calendly does not know; say where it is another user's. Otherwise as
    :func:`require_user`.
    """
    try:
        found = calendly.event_type(builder.tenant, uri)
    except CalendlyNotFound:
        raise click.ClickException(
            gettext(
                "Calendly knows no event type %(uri)s; flask calendly event-types --builder %(slug)s lists them",
                uri=uri,
                slug=builder.slug,
            )
        ) from None
    except CalendlyError as error:
        _warn(uri, error)
        return
    if found.owner and "/users/" in found.owner and found.owner != builder.calendly_user_uri:
        click.echo(
            gettext(
                "%(uri)s belongs to another user in Calendly, not to %(slug)s. Is that intended?",
                uri=uri,
                slug=builder.slug,
            ),
            err=True,
        )


def _line(builder: Builder, item: Priced) -> tuple[str, ...]:
    kind, row = item.event_type, item.session_type
    if row is None or row.price_minor is None:
        price = "-"
    else:
        price = format_money(row.price_minor, row.currency) if row.price_minor else gettext("free")
    if row is not None and not row.published:
        price = gettext("%(price)s, not published", price=price)
    name = kind.name or str(UNNAMED)
    return (
        builder.slug,
        name if kind.active else gettext("%(name)s (off)", name=name),
        str(kind.duration),
        price,
        kind.uri,
    )


def _print_table(head: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> None:
    for line in align_columns([head, *lines]):
        click.echo(line)


def _warn(uri: str, error: CalendlyError) -> None:
    reason = describe_failure(error)
    click.echo(gettext("%(uri)s was not checked. %(reason)s", uri=uri, reason=reason), err=True)
