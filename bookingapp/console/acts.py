"""Records what operators do. Each function is part of its caller's transaction and commits nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.orm import Session

from bookingapp.console.models import ActCode, OperatorAct, SubjectKind

log = structlog.get_logger(__name__)


def record_act(
    session: Session,
    act: ActCode,
    subject: tuple[SubjectKind, int],
    *,
    operator_id: int,
    reason: str,
    now: datetime,
    builder_id: int | None = None,
    **facts: Any,
) -> None:
    """Record what the operator with the account ``operator_id`` does to ``subject`` in this transaction.

    ``reason`` is their sentence, from :class:`~bookingapp.console.forms.ReasonForm`; ``builder_id`` the builder whom it
    concerns; ``facts`` are JSON values that name no person.
    """
    kind, subject_id = subject
    session.add(
        OperatorAct(
            at=now,
            operator_id=operator_id,
            act=act,
            subject_kind=kind,
            subject_id=subject_id,
            builder_id=builder_id,
            reason=reason,
            facts=facts,
        )
    )
    log.info("operator_act", act=act, operator=operator_id, subject=kind, id=subject_id)
