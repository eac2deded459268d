"""What operators do to builders, invitations and applications, each act with its row, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy.orm import Session

from bookingapp.accounts.addresses import set_address
from bookingapp.accounts.models import Account
from bookingapp.builders.models import Builder, Tier
from bookingapp.connections.service import assign_user
from bookingapp.console.acts import Decision, record_act
from bookingapp.console.models import ActCode, SubjectKind
from bookingapp.core.errors import Conflict
from bookingapp.core.i18n import gettext
from bookingapp.core.queue import enqueue
from bookingapp.onboarding import applications, invitations
from bookingapp.onboarding.tasks import SEND_STANDING_JOB

Typed = Mapping[str, Any]
"""The fields of an act's form besides the reason."""
Perform = Callable[[Session, Builder, Typed, Decision], dict[str, Any]]
"""Acts on a locked builder, and returns the facts of the act."""


def perform_builder_act(
    session: Session, builder_id: int, act: ActCode, typed: Typed, decision: Decision
) -> None:
    """Lock the builder, act, and record it. Raises :class:`Conflict` where that is not possible now."""
    builder = session.get_one(Builder, builder_id, with_for_update=True, populate_existing=True)
    facts = BUILDER_ACTS[act](session, builder, typed, decision)
    subject = SubjectKind.BUILDER, builder.id
    record_act(session, act, subject, decision, builder_id=builder.id, **facts)


def invite_builder(session: Session, *, email: str, name: str, decision: Decision) -> None:
    """Invite an address, and record it. Raises :class:`Invalid` and :class:`Conflict`."""
    link = invitations.invite(session, email=email, name=name, now=decision.now)
    record_act(session, ActCode.BUILDER_INVITED, (SubjectKind.INVITATION, link.id), decision)


def perform_invitation_act(session: Session, invitation_id: int, act: ActCode, decision: Decision) -> None:
    """Send an invitation again (as a new one) or end it, and record it. Raises :class:`NotFound` and
    :class:`Conflict`.
    """
    found = invitations.get_invitation(session, invitation_id, now=decision.now)
    if act is ActCode.BUILDER_INVITED:
        invite_builder(session, email=found.email, name=found.name, decision=decision)
        return
    invitations.end_invitation(session, found, now=decision.now)
    record_act(session, act, (SubjectKind.INVITATION, found.id), decision)


def answer_application(session: Session, application_id: int, act: ActCode, decision: Decision) -> None:
    """Accept an application, or decline it with the reason as its sentence, and record it. Raises :class:`NotFound` and
    :class:`Conflict`.
    """
    if act is ActCode.APPLICATION_ACCEPTED:
        applications.accept_application(session, application_id, now=decision.now)
    else:
        applications.decline_application(session, application_id, answer=decision.reason, now=decision.now)
    record_act(session, act, (SubjectKind.APPLICATION, application_id), decision)


def _suspend(session: Session, builder: Builder, _typed: Typed, decision: Decision) -> dict[str, Any]:
    if builder.suspended_at is not None:
        raise Conflict(gettext("This builder is suspended already."))
    builder.suspended_at, builder.suspension_reason = decision.now, decision.reason
    _enqueue_mail(session, builder, decision.now)
    return {}


def _restore(session: Session, builder: Builder, _typed: Typed, decision: Decision) -> dict[str, Any]:
    if builder.suspended_at is None:
        raise Conflict(gettext("This builder is not suspended."))
    builder.suspended_at = builder.suspension_reason = None
    _enqueue_mail(session, builder, decision.now)
    return {}


def _set_tier(_session: Session, builder: Builder, typed: Typed, _decision: Decision) -> dict[str, Any]:
    before, builder.tier = builder.tier, Tier(typed["tier"])
    return {"before": before, "after": builder.tier}


def _feature(_session: Session, builder: Builder, _typed: Typed, decision: Decision) -> dict[str, Any]:
    builder.featured_at = builder.featured_at or decision.now
    return {}


def _unfeature(_session: Session, builder: Builder, _typed: Typed, _decision: Decision) -> dict[str, Any]:
    builder.featured_at = None
    return {}


def _assign_user(session: Session, builder: Builder, typed: Typed, decision: Decision) -> dict[str, Any]:
    if builder.calendly_user_uri is not None:
        raise Conflict(gettext("This builder has a Calendly user already."))
    actor_id, uri = decision.operator_id, typed["user"]
    assign_user(session, builder_id=builder.id, actor_id=actor_id, user_uri=uri, now=decision.now)
    return {}


def _set_address(session: Session, builder: Builder, typed: Typed, decision: Decision) -> dict[str, Any]:
    if session.get_one(Account, builder.account_id).is_operator:
        raise Conflict(
            gettext(
                "This account is an operator's too. Its address is changed on the command line: "
                "flask accounts change-address"
            )
        )
    set_address(session, builder.account_id, typed["email"], now=decision.now)
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
        ActCode.ADDRESS_SET: _set_address,
    }
)
