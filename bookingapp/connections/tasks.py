"""What the outbox owes for connections: revocations, and a look whether a refused token is good again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.connections import service
from bookingapp.connections.refusals import asking_again, owe_asking
from bookingapp.core.db import reading, transaction
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError

PLATFORM = "platform"


def ask_again(session: Session, calendly: CalendlyClient, *, number: int, now: datetime) -> None:
    """Ask Calendly once whose token the platform's is. What follows where it is good again, the token provider
    does; otherwise the next look is owed.
    """
    with reading(session):
        is_marked = service.is_platform_marked(session)
    if not is_marked:
        return
    try:
        with asking_again():
            calendly.current_user(PLATFORM)
    except CalendlyError:
        with transaction(session):
            owe_asking(session, number=number + 1, now=now)
