"""``flask builders check``: what keeps a builder, or single session types, from being booked."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder, Closure
from bookingapp.cli.connections import describe_problem
from bookingapp.connections.models import CalendlyConnection
from bookingapp.core.clock import iso
from bookingapp.core.db import reading
from bookingapp.core.i18n import gettext
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, CalendlyUnauthorized


def list_obstacles(session: Session, client: CalendlyClient, builder: Builder) -> Iterator[str]:
    """What keeps this builder from being booked now, as sentences that say what settles it. Asks Calendly about the
    account that serves them; call it outside of a transaction.
    """
    place = f"/operator/builders/{builder.slug}"
    if builder.suspended_at is not None:
        yield gettext(
            "Suspended since %(time)s: %(reason)s End the suspension at %(place)s.",
            time=iso(builder.suspended_at),
            reason=builder.suspension_reason or "",
            place=place,
        )
    if builder.calendly_user_uri is None:
        yield gettext(
            "Not connected with Calendly yet. They connect their account on their dashboard, or you choose a user of "
            "this site's account at %(place)s.",
            place=place,
        )
        return
    with reading(session):
        connection = session.get(CalendlyConnection, builder.id)
    problem = describe_problem(client, builder, connection) if connection is not None else None
    if problem is not None:
        yield gettext("Calendly: %(problem)s", problem=problem)
    elif connection is None and (builder.closure is Closure.DISCONNECTED or _is_refused(client, builder)):
        yield gettext(
            "Calendly refuses this site's own token. Please set a new CALENDLY_TOKEN, then run flask calendly check."
        )


def _is_refused(client: CalendlyClient, builder: Builder) -> bool:
    """Whether Calendly refuses the platform's token now; what is listed below may be a cached answer to it."""
    try:
        client.current_user(builder.tenant)
    except CalendlyUnauthorized:
        return True
    except CalendlyError:
        return False  # The session types say what fails.
    return False


def describe_listing(builder: Builder) -> str:
    """Whether the directory lists the builder, and why not."""
    if builder.belongs_in_directory:
        return gettext("In the directory.")
    if not builder.listed:
        return gettext("Not in the directory: they have switched that off on their profile.")
    return gettext("Not in the directory, because they take no bookings.")
