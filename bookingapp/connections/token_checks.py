"""The job that checks whether a refused platform token is good again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.connections import service
from bookingapp.connections.refusals import ASK_AGAIN_JOB, checking_refused_tokens, enqueue_token_check
from bookingapp.core.db import reading, transaction
from bookingapp.core.jobs import job
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError

PLATFORM = "platform"


@job(ASK_AGAIN_JOB, label="a check of a refused token")
def check_refused_token(session: Session, calendly: CalendlyClient, *, number: int, now: datetime) -> None:
    """Ask Calendly once whose token the platform's is. Where it is good again, the token provider does what follows;
    otherwise the next check is enqueued.
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
