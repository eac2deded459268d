"""``flask demo``: three builders to try everything with, and what their sessions cost. Safe to repeat."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import click
import sqlalchemy as sa
from flask.cli import with_appcontext
from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account
from bookingapp.accounts.service import create_account
from bookingapp.builders.models import Availability, Builder, Tier
from bookingapp.cli.errors import report_errors
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.settings import Settings
from bookingapp.session_types.models import Category, SessionType

DEMO_PASSWORD = "build-with-me"  # noqa: S105 - printed for everybody to see; the command refuses to run elsewhere.
DEMO_EMAIL = "ada@example.com"


@dataclass(frozen=True)
class DemoType:
    """One priced event type: Calendly's id, minor units, currency, category."""

    id: str
    price_minor: int
    currency: str
    category: Category


@dataclass(frozen=True)
class DemoBuilder:
    """One builder of the demo."""

    user_id: str
    slug: str
    name: str
    email: str
    timezone: str
    currency: str
    tier: Tier
    availability: Availability
    headline: str
    skills: list[str]
    bio: str
    types: tuple[DemoType, ...]


DEMO = (
    DemoBuilder(
        user_id="SBXADAOKONKWO001",
        slug="ada-okonkwo",
        name="Ada Okonkwo",
        email=DEMO_EMAIL,
        timezone="Europe/London",
        currency="GBP",
        tier=Tier.EXPERT,
        availability=Availability.AVAILABLE,
        headline="Ships small, honest products with AI, and shows you how each part works",
        skills=["Product strategy", "Prompt design", "Python", "Prototyping"],
        bio=(
            "I have built internal tools for hospitals, a tutoring app used by four schools, and more prototypes "
            "than I can count. What I like best is the hour in which somebody sees their own idea run for the first "
            "time.\n\nBring a problem that annoys you every week. We will look at it together, decide what is worth "
            "building, and build the first piece."
        ),
        types=(
            DemoType("ETADACONSULT0030", 3000, "GBP", Category.SPECIALIZED),
            DemoType("ETADACONSULT0060", 6000, "GBP", Category.SPECIALIZED),
            DemoType("ETADADEEPDIVE090", 9000, "GBP", Category.SPECIALIZED),
            DemoType("ETADAGETSTART030", 0, "GBP", Category.FREE),
        ),
    ),
    DemoBuilder(
        user_id="SBXKENJIMORI0002",
        slug="kenji-mori",
        name="Kenji Mori",
        email="kenji@example.com",
        timezone="Asia/Tokyo",
        currency="JPY",
        tier=Tier.ESTABLISHED,
        availability=Availability.LIMITED,
        headline="Reads your AI-written code with you, and makes it something you can keep",
        skills=["Code review", "TypeScript", "Testing", "Deployment"],
        bio=(
            "Generated code is easy to get and hard to own. I spent ten years keeping other people's systems alive, "
            "and I know where they hurt first.\n\nIn a review we read your app from the outside in: what it promises, "
            "where it can lose data, and what to change this week. You leave with a short list and the first item done."
        ),
        types=(
            DemoType("ETKENJICONSUL060", 9000, "JPY", Category.SPECIALIZED),
            DemoType("ETKENJIREVIEW030", 5000, "JPY", Category.SPECIALIZED),
            DemoType("ETKENJISTART0015", 0, "JPY", Category.FREE),
        ),
    ),
    DemoBuilder(
        user_id="SBXMAYALINDQV003",
        slug="maya-lindqvist",
        name="Maya Lindqvist",
        email="maya@example.com",
        timezone="Europe/Stockholm",
        currency="EUR",
        tier=Tier.ENTRY,
        availability=Availability.AVAILABLE,
        headline="Runs group builds where everybody leaves with something that works",
        skills=["Workshops", "Career change", "No-code", "Prototyping"],
        bio=(
            "I came to building from teaching. In a group build eight people work on eight small ideas in one room, "
            "help each other out of holes, and show what they made before they go home.\n\nNew to all of this, or "
            "between jobs? The Back to Work Session is short, free, and meant for you."
        ),
        types=(
            DemoType("ETMAYAGRPHALF240", 29900, "GBP", Category.SPECIALIZED),
            DemoType("ETMAYAGRPFULL480", 49900, "GBP", Category.SPECIALIZED),
            DemoType("ETMAYABACKWORK15", 0, "GBP", Category.FREE),
            DemoType("ETMAYACONSULT060", 8500, "EUR", Category.SPECIALIZED),
        ),
    ),
)


@click.command()
@with_appcontext
@report_errors
def demo() -> None:
    """Add the demo's builders, or bring their Calendly addresses up to date."""
    settings = services.get(Settings)
    if not settings.is_development:
        raise click.ClickException("demo data belongs on a development machine only")
    now = utcnow()
    with transaction(db.session()) as session:
        for one in DEMO:
            _ensure(session, one, settings.calendly_api_url, now)
    click.echo(f"demo data: {len(DEMO)} builders")


def _ensure(session: Session, one: DemoBuilder, api_url: str, now: datetime) -> None:
    builder = session.scalar(sa.select(Builder).where(Builder.slug == one.slug))
    if builder is None:
        account = session.scalar(sa.select(Account).where(Account.email == one.email)) or create_account(
            session, email=one.email, name=one.name, password=DEMO_PASSWORD, now=now
        )
        builder = Builder(
            account_id=account.id,
            slug=one.slug,
            display_name=one.name,
            headline=one.headline,
            bio=one.bio,
            skills=one.skills,
            timezone=one.timezone,
            default_currency=one.currency,
            tier=one.tier,
            availability=one.availability,
            is_demo=True,
            calendly_user_uri="",
            created_at=now,
        )
        session.add(builder)
    # The sandbox may stand on another port than last time; prices that were changed since stay as they are.
    builder.calendly_user_uri = f"{api_url}/users/{one.user_id}"
    session.flush()
    known = {
        row.event_type_uri.rsplit("/", 1)[-1]: row
        for row in session.scalars(sa.select(SessionType).where(SessionType.builder_id == builder.id))
    }
    for order, offered in enumerate(one.types):
        uri = f"{api_url}/event_types/{offered.id}"
        row = known.get(offered.id)
        if row is not None:
            row.event_type_uri = uri
            continue
        session.add(
            SessionType(
                builder_id=builder.id,
                event_type_uri=uri,
                price_minor=offered.price_minor,
                currency=offered.currency,
                category=offered.category,
                display_order=order,
                updated_at=now,
            )
        )
