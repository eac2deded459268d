"""Records what operators do, and lists it. Each function is part of its caller's transaction and commits nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account, AccountLink
from bookingapp.bookings.models import Booking, UnattachedInvitee
from bookingapp.builders.models import Builder
from bookingapp.console.models import ActCode, OperatorAct, SubjectKind
from bookingapp.core.queue import Job
from bookingapp.onboarding.models import Application
from bookingapp.webhooks.models import InboxEvent

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Decision:
    """What an operator (the account ``operator_id``) has just decided, with their sentence from
    :class:`~bookingapp.console.forms.ReasonForm`.
    """

    operator_id: int
    reason: str
    now: datetime


Act = Callable[[Session, Decision], object]
"""Does what an operator decided and records it, in the caller's transaction."""


def record_act(
    session: Session,
    act: ActCode,
    subject: tuple[SubjectKind, int],
    decision: Decision,
    *,
    builder_id: int | None = None,
    **facts: Any,
) -> None:
    """Record what an operator does to ``subject`` in this transaction. ``builder_id`` is the builder whom it concerns;
    ``facts`` are JSON values that name no person.
    """
    kind, subject_id = subject
    session.add(
        OperatorAct(
            at=decision.now,
            operator_id=decision.operator_id,
            act=act,
            subject_kind=kind,
            subject_id=subject_id,
            builder_id=builder_id,
            reason=decision.reason,
            facts=facts,
        )
    )
    log.info("operator_act", act=act, operator=decision.operator_id, subject=kind, id=subject_id)


@dataclass(frozen=True)
class ActSearch:
    """Which acts to list; None means any."""

    operator_id: int | None = None
    builder_id: int | None = None
    act: ActCode | None = None


@dataclass(frozen=True)
class ActLine:
    """An act with the names of operator and builder."""

    act: OperatorAct
    operator: str
    builder: str | None


def list_acts(session: Session, search: ActSearch, *, before: int | None, limit: int) -> list[ActLine]:
    """At most ``limit`` acts, the newest first, with smaller ids than ``before``."""
    query = _lines()
    for column, wanted in (
        (OperatorAct.operator_id, search.operator_id),
        (OperatorAct.builder_id, search.builder_id),
        (OperatorAct.act, search.act),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    if before is not None:
        query = query.where(OperatorAct.id < before)
    return [ActLine(*row) for row in session.execute(query.order_by(OperatorAct.id.desc()).limit(limit))]


def list_acts_on(session: Session, kind: SubjectKind, subject_id: int) -> list[ActLine]:
    """What operators did to one subject, the newest first."""
    query = _lines().where(OperatorAct.subject_kind == kind, OperatorAct.subject_id == subject_id)
    return [ActLine(*row) for row in session.execute(query.order_by(OperatorAct.id.desc()))]


def _lines() -> sa.Select[OperatorAct, str, str]:
    return (
        sa.select(OperatorAct, Account.name, Builder.display_name)
        .join(Account, Account.id == OperatorAct.operator_id)
        .outerjoin(Builder, Builder.id == OperatorAct.builder_id)
    )


@dataclass(frozen=True)
class Subject:
    """What an act was done to: by what its page is found, and its name in one or two parts."""

    key: str
    name: tuple[str, str]


# Of each kind: its table's id, the key of the subject, and the parts of its name.
_SUBJECTS: Final[Mapping[SubjectKind, tuple[Any, ...]]] = {
    SubjectKind.APPLICATION: (Application.id, Application.id, Application.name, None),
    SubjectKind.BOOKING: (Booking.id, Booking.tracking_id, Booking.title, Booking.client_name),
    SubjectKind.BUILDER: (Builder.id, Builder.slug, Builder.display_name, None),
    SubjectKind.DELIVERY: (InboxEvent.id, InboxEvent.id, InboxEvent.provider, InboxEvent.type),
    SubjectKind.INVITATION: (
        AccountLink.id,
        AccountLink.id,
        AccountLink.facts["name"].as_string(),
        AccountLink.email,
    ),
    SubjectKind.JOB: (Job.id, Job.id, Job.name, None),
    SubjectKind.UNATTACHED: (
        UnattachedInvitee.id,
        sa.select(Builder.slug).where(Builder.id == UnattachedInvitee.builder_id).scalar_subquery(),
        UnattachedInvitee.title,
        UnattachedInvitee.name,
    ),
}


def load_subjects(session: Session, acts: Iterable[OperatorAct]) -> Mapping[tuple[SubjectKind, int], Subject]:
    """What these acts were done to, as far as it is still stored. One statement, or none."""
    wanted: dict[SubjectKind, set[int]] = {}
    for act in acts:
        wanted.setdefault(act.subject_kind, set()).add(act.subject_id)
    if not wanted:
        return {}
    query = sa.union_all(*(_select_subjects(kind, ids) for kind, ids in wanted.items()))
    return {
        (SubjectKind(kind), number): Subject(key, (first, second))
        for kind, number, key, first, second in session.execute(query)
    }


def _select_subjects(kind: SubjectKind, ids: set[int]) -> sa.Select[Any]:
    number, *texts = _SUBJECTS[kind]
    columns = [sa.literal("") if one is None else sa.cast(one, sa.Text()) for one in texts]
    return sa.select(sa.literal(kind.value), number, *columns).where(number.in_(ids))


def list_builders(session: Session) -> Sequence[tuple[int, str]]:
    """The ids and names of the builders whom acts concern, for choosing one."""
    concerned = sa.select(OperatorAct.builder_id).where(OperatorAct.builder_id.is_not(None)).distinct()
    query = sa.select(Builder.id, Builder.display_name).where(Builder.id.in_(concerned))
    return [(number, name) for number, name in session.execute(query.order_by(Builder.display_name))]
