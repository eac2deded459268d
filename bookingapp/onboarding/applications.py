"""Applications to become a builder: confirmed by a link that is mailed, then accepted or declined by an operator.

Nothing is stored as an application before the link is used, so that nobody can apply in a stranger's name. The form's
answer is the same for every address; the mail says the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts import links
from bookingapp.accounts.codes import LinkPurpose
from bookingapp.accounts.service import list_operators
from bookingapp.core.errors import Conflict, NotFound
from bookingapp.core.i18n import SOURCE, gettext, language
from bookingapp.core.queue import enqueue
from bookingapp.onboarding.invitations import invite
from bookingapp.onboarding.models import Application, Decision

SEND_LINK_JOB = "onboarding.send_application_link"
SEND_WAITING_JOB = "onboarding.send_waiting"
SEND_DECLINE_JOB = "onboarding.send_decline"
VALID_FOR = timedelta(days=2)
SHOWN = 50


def request_application(
    session: Session, *, email: str, name: str, about: str, link: str, now: datetime
) -> None:
    """Enqueue the mail with which a (normalized) address is confirmed; whether it has an account, the job finds out."""
    facts = {"name": name, "about": about, "link": link, "language": language()}
    made = links.create_link(
        session, LinkPurpose.APPLICATION, email=email, valid_for=VALID_FOR, facts=facts, now=now
    )
    key, args = f"application:{made.id}", {"link_id": made.id}
    enqueue(session, SEND_LINK_JOB, key=key, args=args, run_at=now, now=now)


def confirm_application(session: Session, token: str, *, now: datetime) -> Application | None:
    """Store the application of a link, in place of one of the same address that waits, and mail the operators. None
    where the link does not work any more.
    """
    link = links.use_link(session, LinkPurpose.APPLICATION, token, now=now)
    if link is None:
        return None
    query = sa.select(Application).where(Application.email == link.email, Application.decided_at.is_(None))
    row = session.scalar(query.with_for_update()) or Application(email=link.email)
    row.name, row.about, row.link = link.facts["name"], link.facts["about"], link.facts["link"]
    row.language, row.confirmed_at = link.facts.get("language", SOURCE), now
    session.add(row)
    session.flush()
    for operator in list_operators(session):
        key = f"application-waits:{row.id}:{now.isoformat()}:{operator.id}"
        args = {"application_id": row.id, "operator_id": operator.id}
        enqueue(session, SEND_WAITING_JOB, key=key, args=args, run_at=now, now=now)
    return row


def list_waiting(session: Session) -> Sequence[Application]:
    """The applications that wait for an answer, the oldest first."""
    query = sa.select(Application).where(Application.decided_at.is_(None))
    return session.scalars(query.order_by(Application.confirmed_at).limit(SHOWN)).all()


def count_waiting(session: Session) -> int:
    """How many applications wait for an answer."""
    query = sa.select(sa.func.count()).select_from(Application).where(Application.decided_at.is_(None))
    return session.scalar(query) or 0


def list_decided(session: Session) -> Sequence[Application]:
    """The applications that were answered last, the newest first."""
    query = sa.select(Application).where(Application.decided_at.is_not(None))
    return session.scalars(query.order_by(Application.decided_at.desc()).limit(SHOWN)).all()


def get_application(session: Session, application_id: int) -> Application:
    """One application. Raises :class:`NotFound`."""
    row = session.get(Application, application_id)
    if row is None:
        raise NotFound
    return row


def accept_application(session: Session, application_id: int, *, now: datetime) -> None:
    """Send an invitation. Raises :class:`NotFound`, and :class:`Conflict` where it was answered or has an account."""
    row = _lock_waiting(session, application_id)
    invite(session, email=row.email, name=row.name, language=row.language, now=now)
    row.decision, row.decided_at = Decision.ACCEPTED, now


def decline_application(session: Session, application_id: int, *, answer: str, now: datetime) -> None:
    """Decline with a sentence, which the mail carries. Raises :class:`NotFound`, and :class:`Conflict` where it was
    answered.
    """
    row = _lock_waiting(session, application_id)
    row.decision, row.decided_at, row.answer = Decision.DECLINED, now, answer
    args = {"application_id": row.id}
    enqueue(session, SEND_DECLINE_JOB, key=f"decline:{row.id}", args=args, run_at=now, now=now)


def _lock_waiting(session: Session, application_id: int) -> Application:
    row = session.get(Application, application_id, with_for_update=True)
    if row is None:
        raise NotFound
    if row.decided_at is not None:
        raise Conflict(gettext("This application has been answered already."))
    return row
