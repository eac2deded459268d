"""``flask demo``: adds three builders with priced sessions, to try everything with. Safe to repeat."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click
import pyotp
import sqlalchemy as sa
from flask.cli import with_appcontext
from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account, TwoStep
from bookingapp.accounts.passwords import PasswordHash, hash_new_password
from bookingapp.accounts.service import create_account
from bookingapp.builders.models import Availability, Builder, Tier
from bookingapp.cli.errors import report_errors
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.i18n import gettext
from bookingapp.core.settings import Settings
from bookingapp.session_types.models import Category, SessionType

DEMO_PASSWORD = "build-with-me"  # noqa: S105 - public: the command refuses to run outside of development.
DEMO_EMAIL = "ada@example.com"
DEMO_OPERATOR = "olu@example.com"
# As public as the password: it makes the codes of the demo operator's second step.
DEMO_SECRET = base64.b32encode(b"an operator to try!!").decode()


@dataclass(frozen=True)
class DemoBuilder:
    """A builder of the demo, with the ids that the sandbox knows."""

    user_id: str
    email: str
    profile: dict[str, Any]
    """The columns of the profile."""
    types: dict[str, tuple[int, str]]
    """By Calendly's id, in their order: the price in minor units and its currency."""


DEMO = (
    DemoBuilder(
        user_id="SBXADAOKONKWO001",
        email=DEMO_EMAIL,
        profile={
            "slug": "ada-okonkwo",
            "display_name": "Ada Okonkwo",
            "timezone": "Europe/London",
            "default_currency": "GBP",
            "tier": Tier.EXPERT,
            "availability": Availability.AVAILABLE,
            "headline": "Ships small, honest products with AI, and shows you how each part works",
            "skills": ["Product strategy", "Prompt design", "Python", "Prototyping"],
            "bio": (
                "I have built internal tools for hospitals, a tutoring app used by four schools, and more "
                "prototypes than I can count. What I like best is the hour in which you see your own idea run for "
                "the first time.\n\nBring a problem that annoys you every week. We will look at it together, decide"
                " what is worth building, and build the first piece."
            ),
        },
        types={
            "ETADACONSULT0030": (3000, "GBP"),
            "ETADACONSULT0060": (6000, "GBP"),
            "ETADADEEPDIVE090": (9000, "GBP"),
            "ETADAGETSTART030": (0, "GBP"),
        },
    ),
    DemoBuilder(
        user_id="SBXKENJIMORI0002",
        email="kenji@example.com",
        profile={
            "slug": "kenji-mori",
            "display_name": "Kenji Mori",
            "timezone": "Asia/Tokyo",
            "default_currency": "JPY",
            "tier": Tier.ESTABLISHED,
            "availability": Availability.LIMITED,
            "headline": "Reads your AI-written code with you, and makes it something you can keep",
            "skills": ["Code review", "TypeScript", "Testing", "Deployment"],
            "bio": (
                "Generated code is easy to get and hard to own. I spent ten years keeping other people's systems "
                "alive, and I know where they hurt first.\n\nIn a review we read your app from the outside in: what"
                " it promises, where it can lose data, and what to change this week. You leave with a short list "
                "and the first item done."
            ),
        },
        types={
            "ETKENJICONSUL060": (9000, "JPY"),
            "ETKENJIREVIEW030": (5000, "JPY"),
            "ETKENJISTART0015": (0, "JPY"),
        },
    ),
    DemoBuilder(
        user_id="SBXMAYALINDQV003",
        email="maya@example.com",
        profile={
            "slug": "maya-lindqvist",
            "display_name": "Maya Lindqvist",
            "timezone": "Europe/Stockholm",
            "default_currency": "EUR",
            "tier": Tier.ENTRY,
            "availability": Availability.AVAILABLE,
            "headline": "Runs group builds where everybody leaves with something that works",
            "skills": ["Workshops", "Career change", "No-code", "Prototyping"],
            "bio": (
                "I came to building from teaching. In a group build eight people work on eight small ideas in one "
                "room, help each other out of holes, and show what they made before they go home.\n\nNew to all of "
                "this, or between jobs? The Back to Work Session is short, free, and meant for you."
            ),
        },
        types={
            "ETMAYAGRPHALF240": (29900, "GBP"),
            "ETMAYAGRPFULL480": (49900, "GBP"),
            "ETMAYABACKWORK15": (0, "GBP"),
            "ETMAYACONSULT060": (8500, "EUR"),
        },
    ),
)


@click.command()
@with_appcontext
@report_errors
def demo() -> None:
    """Add the demo's builders, or update their Calendly addresses."""
    settings = services.get(Settings)
    if not settings.is_development:
        raise click.ClickException(gettext("demo data is for development only"))
    now = utcnow()
    password_hash = hash_new_password(DEMO_PASSWORD, name="", email="")
    with transaction(db.session()) as session:
        for one in DEMO:
            _ensure_builder(session, one, settings.calendly_api_url, password_hash, now)
        _ensure_operator(session, password_hash, now)
    click.echo(gettext("demo data: %(count)s builders, one operator", count=len(DEMO)))


@click.command("demo-code")
@with_appcontext
@report_errors
def demo_code() -> None:
    """Print the code that the demo operator's authenticator app would show now. In development only."""
    if not services.get(Settings).is_development:
        raise click.ClickException(gettext("demo data is for development only"))
    click.echo(pyotp.TOTP(DEMO_SECRET).at(utcnow()))


def _ensure_operator(session: Session, password_hash: PasswordHash, now: datetime) -> None:
    """Add an operator whose second step is set up with the demo's secret. One that exists is left as it is."""
    if session.scalar(sa.select(Account.id).where(Account.email == DEMO_OPERATOR)) is not None:
        return
    account = create_account(
        session,
        email=DEMO_OPERATOR,
        name=DEMO_OPERATOR.partition("@")[0].title(),
        password_hash=password_hash,
        is_operator=True,
        now=now,
    )
    account.two_step_since = now
    session.add(TwoStep(account_id=account.id, secret=DEMO_SECRET, last_period=0, created_at=now))


def _ensure_builder(
    session: Session, one: DemoBuilder, api_url: str, password_hash: PasswordHash, now: datetime
) -> None:
    """Add a builder with their session types, or update the addresses of those that exist."""
    builder = session.scalar(sa.select(Builder).where(Builder.slug == one.profile["slug"]))
    if builder is None:
        account = session.scalar(sa.select(Account).where(Account.email == one.email)) or create_account(
            session,
            email=one.email,
            name=one.profile["display_name"],
            password_hash=password_hash,
            now=now,
        )
        builder = Builder(account_id=account.id, is_demo=True, created_at=now, **one.profile)
        session.add(builder)
    # The sandbox's port may have changed. Prices that were changed since then are kept.
    builder.calendly_user_uri = f"{api_url}/users/{one.user_id}"
    session.flush()
    known = {
        row.event_type_uri.rsplit("/", 1)[-1]: row
        for row in session.scalars(sa.select(SessionType).where(SessionType.builder_id == builder.id))
    }
    for order, (name, (price_minor, currency)) in enumerate(one.types.items()):
        row = known.get(name)
        if row is None:
            row = SessionType(
                builder_id=builder.id,
                price_minor=price_minor,
                currency=currency,
                category=Category.SPECIALIZED if price_minor else Category.FREE,
                display_order=order,
                updated_at=now,
            )
            session.add(row)
        row.event_type_uri = f"{api_url}/event_types/{name}"
