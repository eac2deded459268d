"""What operators do to builders, invitations and applications, each act with its row, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder, Tier
from bookingapp.connections.service import assign_user
from bookingapp.console.acts import record_act
from bookingapp.console.models import ActCode, SubjectKind
from bookingapp.core.errors import Conflict
from bookingapp.core.i18n import gettext
from bookingapp.core.queue import enqueue
from bookingapp.onboarding import applications, invitations
from bookingapp.onboarding.tasks import SEND_STANDING_JOB

Typed = Mapping[str, Any]
"""The fields of an act's form, the reason among them."""
Perform = Callable[[Session, Builder, Typed, datetime], dict[str, Any]]
"""Acts on a locked builder, and returns the facts of the act."""


def perform_builder_act(
    session: Session, builder_id: int, act: ActCode, *, operator_id: int, typed: Typed, now: datetime
) -> None:
    """Lock the builder, act, and record it. Raises :class:`Conflict` where that is not possible now."""
    builder = session.get_one(Builder, builder_id, with_for_update=True, populate_existing=True)
    facts = BUILDER_ACTS[act](session, builder, {**typed, "operator_id": operator_id}, now)
    record_act(
        session,
        act,
        (SubjectKind.BUILDER, builder.id),
        operator_id=operator_id,
        builder_id=builder.id,
        reason=typed["reason"],
        now=now,
        **facts,
    )


def invite_builder(
    session: Session, *, email: str, name: str, operator_id: int, reason: str, now: datetime
) -> None:
    """Invite an address, and record it. Raises :class:`Invalid` and :class:`Conflict`."""
    link = invitations.invite(session, email=email, name=name, now=now)
    subject = (SubjectKind.INVITATION, link.id)
    record_act(session, ActCode.BUILDER_INVITED, subject, operator_id=operator_id, reason=reason, now=now)


def perform_invitation_act(
    session: Session, invitation_id: int, act: ActCode, *, operator_id: int, reason: str, now: datetime
) -> None:
    """Send an invitation again (as a new one) or end it, and record it. Raises :class:`NotFound` and
    :class:`Conflict`.
    """
    found = invitations.get_invitation(session, invitation_id, now=now)
    if act is ActCode.BUILDER_INVITED:
        invite_builder(
            session, email=found.email, name=found.name, operator_id=operator_id, reason=reason, now=now
        )
        return
    invitations.end_invitation(session, found, now=now)
    record_act(
        session, act, (SubjectKind.INVITATION, found.id), operator_id=operator_id, reason=reason, now=now
    )


def answer_application(
    session: Session, application_id: int, act: ActCode, *, operator_id: int, reason: str, now: datetime
) -> None:
    """Accept an application, or decline it with the reason as its sentence, and record it. Raises :class:`NotFound` and
    :class:`Conflict`.
    """
    if act is ActCode.APPLICATION_ACCEPTED:
        applications.accept_application(session, application_id, now=now)
    else:
        applications.decline_application(session, application_id, answer=reason, now=now)
    subject = (SubjectKind.APPLICATION, application_id)
    record_act(session, act, subject, operator_id=operator_id, reason=reason, now=now)


def _suspend(session: Session, builder: Builder, typed: Typed, now: datetime) -> dict[str, Any]:
    if builder.suspended_at is not None:
        raise Conflict(gettext("This builder is suspended already."))
    builder.suspended_at, builder.suspension_reason = now, typed["reason"]
    _enqueue_mail(session, builder, now)
    return {}


def _restore(session: Session, builder: Builder, _typed: Typed, now: datetime) -> dict[str, Any]:
    if builder.suspended_at is None:
        raise Conflict(gettext("This builder is not suspended."))
    builder.suspended_at = builder.suspension_reason = None
    _enqueue_mail(session, builder, now)
    return {}


def _set_tier(_session: Session, builder: Builder, typed: Typed, _now: datetime) -> dict[str, Any]:
    before, builder.tier = builder.tier, Tier(typed["tier"])
    return {"before": before, "after": builder.tier}


def _feature(_session: Session, builder: Builder, _typed: Typed, now: datetime) -> dict[str, Any]:
    builder.featured_at = builder.featured_at or now
    return {}


def _unfeature(_session: Session, builder: Builder, _typed: Typed, _now: datetime) -> dict[str, Any]:
    builder.featured_at = None
    return {}


def _assign_user(session: Session, builder: Builder, typed: Typed, now: datetime) -> dict[str, Any]:
    if builder.calendly_user_uri is not None:
        raise Conflict(gettext("This builder has a Calendly user already."))
    operator_id, uri = typed["operator_id"], typed["user"]
    assign_user(session, builder_id=builder.id, actor_id=operator_id, user_uri=uri, now=now)
    return {}


def _enqueue_mail(session: Session, builder: Builder, now: datetime) -> None:
    at = now.isoformat()
    args = {"builder_id": builder.id, "at": at}
    enqueue(session, SEND_STANDING_JOB, key=f"standing:{builder.id}:{at}", args=args, run_at=now, now=now)


BUILDER_ACTS: Final[Mapping[ActCode, Perform]] = MappingProxyType(
    {
        ActCode.BUILDER_SUSPENDED: _suspend,
        ActCode.BUILDER_RESTORED: _restore,
        ActCode.TIER_SET: _set_tier,
        ActCode.BUILDER_FEATURED: _feature,
        ActCode.BUILDER_UNFEATURED: _unfeature,
        ActCode.USER_ASSIGNED: _assign_user,
    }
)
