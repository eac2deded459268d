"""What the outbox owes for connections: revocations, and a look whether a refused token is good again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.connections import service
from bookingapp.connections.refusals import checking_refused_tokens, enqueue_token_check
from bookingapp.core.db import reading, transaction
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError

PLATFORM = "platform"


def check_refused_token(session: Session, calendly: CalendlyClient, *, number: int, now: datetime) -> None:
    """Ask Calendly once whose token the platform's is. What follows where it is good again, the token provider
    does; otherwise the next look is owed.
    """
    with reading(session):
        is_marked = service.is_platform_marked(session)
    if not is_marked:
        return
    try:
        with checking_refused_tokens():
            calendly.current_user(PLATFORM)
    except CalendlyError:
        with transaction(session):
            enqueue_token_check(session, number=number + 1, now=now)
