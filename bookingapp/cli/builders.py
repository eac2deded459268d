"""``flask builders`` and ``flask session-types``: add a builder, price and publish a session type."""

from __future__ import annotations

import os
import re

import click
from flask.cli import AppGroup

from bookingapp.accounts.passwords import hash_new_password
from bookingapp.accounts.service import create_account
from bookingapp.builders import entries, service
from bookingapp.builders.models import LONGEST_SLUG
from bookingapp.cli.builder_check import describe_listing, list_obstacles
from bookingapp.cli.calendly_check import print_types_of
from bookingapp.cli.calendly_lists import require_event_type, require_user
from bookingapp.cli.errors import report_errors
from bookingapp.core import services
from bookingapp.core.clock import is_zone, utcnow
from bookingapp.core.db import db, reading, transaction
from bookingapp.core.i18n import gettext
from bookingapp.core.money import CURRENCIES, format_money
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.onboarding.invitations import invite
from bookingapp.session_types.models import Category
from bookingapp.session_types.service import publish_type

builders = AppGroup("builders", help="Builders and their accounts.")
session_types = AppGroup("session-types", help="Prices of Calendly's event types.")

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@builders.command("reindex")
@report_errors
def reindex() -> None:
    """Make the directory's entries anew, after builders were changed by something else than this application."""
    with transaction(db.session()) as session:
        count = entries.reindex(session)
    click.echo(gettext("entries made anew; builders: %(count)s", count=count))


@builders.command("check")
@click.argument("slug")
@report_errors
def check(slug: str) -> None:
    """What keeps a builder, or single session types, from being booked, and what settles it."""
    session, client = db.session(), services.get(CalendlyClient)
    with reading(session):
        builder = service.get_by_slug(session, slug)
    obstacles = list(list_obstacles(session, client, builder))
    for sentence in (*obstacles, describe_listing(builder)):
        click.echo(f"{builder.slug}: {sentence}")
    closed = print_types_of(client, builder) if builder.calendly_user_uri is not None else 0
    if obstacles or closed:
        raise click.ClickException(gettext("not everything can be booked; see above"))


@builders.command("create")
@click.option("--slug", required=True, help="The builder's address: /builders/<slug>.")
@click.option("--name", required=True)
@click.option("--email", required=True)
@click.option("--calendly-user", required=True, metavar="URI", help="https://api.calendly.com/users/…")
@click.option("--timezone", default="UTC", show_default=True, help="An IANA zone, like Europe/London.")
@click.option(
    "--currency", default="GBP", show_default=True, type=click.Choice(CURRENCIES, case_sensitive=False)
)
@report_errors
def create(slug: str, name: str, email: str, calendly_user: str, timezone: str, currency: str) -> None:
    """Add a builder and an account. The password comes from BUILDER_PASSWORD, else it is asked for."""
    if not _SLUG.fullmatch(slug) or len(slug) > LONGEST_SLUG:
        raise click.ClickException(
            gettext(
                "--slug may have lower-case letters, digits and single hyphens, %(most)s characters at most",
                most=LONGEST_SLUG,
            )
        )
    if not is_zone(timezone):
        raise click.ClickException(
            gettext("--timezone %(name)s is not an IANA zone, like Europe/London", name=timezone)
        )
    calendly = services.get(CalendlyClient)
    uri = calendly.checked_user_uri(calendly_user)
    require_user(calendly, uri)
    password = os.environ.get("BUILDER_PASSWORD") or click.prompt(
        gettext("Password"), hide_input=True, confirmation_prompt=True
    )
    password_hash = hash_new_password(password, name=name, email=email)
    now = utcnow()
    with transaction(db.session()) as session:
        if service.is_taken(session, slug=slug, calendly_user_uri=uri):
            raise click.ClickException(gettext("a builder has that slug or that Calendly user already"))
        account = create_account(session, email=email, name=name, password_hash=password_hash, now=now)
        service.create_builder(
            session,
            account=account,
            slug=slug,
            name=name,
            calendly_user_uri=uri,
            timezone=timezone,
            currency=currency.upper(),
            now=now,
        )
    address = f"{services.get(Settings).public_url}/builders/{slug}"
    click.echo(f"{name}: {address}")


@builders.command("invite")
@click.option("--name", required=True)
@click.option("--email", required=True)
@report_errors
def invite_by_mail(name: str, email: str) -> None:
    """Mail a link that works once, for seven days: with it, somebody becomes a builder. The worker sends it."""
    with transaction(db.session()) as session:
        link = invite(session, email=email, name=name, now=utcnow())
    click.echo(gettext("invited: %(email)s", email=link.email))


@session_types.command("publish")
@click.option("--builder", "slug", required=True, help="The builder's slug.")
@click.option("--event-type", required=True, metavar="URI")
@click.option("--price", required=True, help="In the major unit: 60.00; 0 makes it free.")
@click.option("--currency", required=True)
@click.option("--category", default=Category.OTHER.value, type=click.Choice([c.value for c in Category]))
@click.option(
    "--sign-in/--no-sign-in",
    default=None,
    help="Whether clients confirm their e-mail address first. By default, only for the category pathway.",
)
@report_errors
def publish(
    slug: str, event_type: str, price: str, currency: str, category: str, sign_in: bool | None
) -> None:
    """Price and publish one Calendly event type."""
    calendly = services.get(CalendlyClient)
    uri = calendly.canonical_event_type_uri(event_type)
    with reading(db.session()) as session:
        builder = service.get_by_slug(session, slug)
    require_event_type(calendly, builder, uri)
    with transaction(db.session()) as session:
        row = publish_type(
            session,
            builder=service.get_by_slug(session, slug),
            event_type_uri=uri,
            price=price,
            currency=currency.upper(),
            category=Category(category),
            published=True,
            requires_sign_in=sign_in,
            now=utcnow(),
        )
    shown = format_money(row.price_minor, row.currency) if row.price_minor else gettext("free")
    click.echo(gettext("published at %(price)s", price=shown))
