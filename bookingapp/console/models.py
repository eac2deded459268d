"""What operators did. ``console/words.py`` has the words."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookingapp.core.db import Model, code_column


class ActCode(enum.StrEnum):
    """What an operator did. Behind each code are its facts."""

    FLAGS_RESOLVED = "booking.flags_resolved"  # flags: the codes
    WARNED_REFUNDED = "booking.warned_refunded"
    MAILS_SENT_AGAIN = "booking.mails_sent_again"  # mails: how many
    PROVIDERS_ASKED = "booking.providers_asked"
    BOOKING_CANCELED = "booking.canceled"  # amount_minor, currency: of the refund
    AMOUNT_REFUNDED = "booking.amount_refunded"  # amount_minor, currency
    NO_SHOW_MARKED = "booking.no_show_marked"
    CAME_MARKED = "booking.came_marked"
    ABSENCE_REPORTED = "booking.absence_reported"
    ABSENCE_DISMISSED = "booking.absence_dismissed"
    NO_SHOW_KEPT = "booking.no_show_kept"
    MAIL_REPEATED = "booking.mail_repeated"  # mail: its code
    NOTE_ADDED = "booking.note_added"
    UNATTACHED_KEPT = "unattached.kept"
    DELIVERY_REPLAYED = "delivery.replayed"
    DELIVERY_SET_ASIDE = "delivery.set_aside"  # outcome: its code
    BODY_READ = "delivery.body_read"
    BUILDER_SUSPENDED = "builder.suspended"
    BUILDER_RESTORED = "builder.restored"
    BUILDER_FEATURED = "builder.featured"
    BUILDER_UNFEATURED = "builder.unfeatured"
    TIER_SET = "builder.tier_set"  # before, after: tiers
    USER_ASSIGNED = "builder.user_assigned"
    ADDRESS_SET = "builder.address_set"
    BUILDER_INVITED = "invitation.sent"
    INVITATION_ENDED = "invitation.ended"
    APPLICATION_ACCEPTED = "application.accepted"
    APPLICATION_DECLINED = "application.declined"
    JOB_RETRIED = "job.retried"  # name: of the job's type


class SubjectKind(enum.StrEnum):
    """What an act was done to: the table of its ``subject_id``."""

    APPLICATION = "application"
    BOOKING = "booking"
    BUILDER = "builder"
    DELIVERY = "delivery"
    INVITATION = "invitation"
    JOB = "job"
    UNATTACHED = "unattached"


class OperatorAct(Model):
    """One act of an operator with its reason, written in the transaction of the act and never edited. ``builder_id`` is
    the builder whom it concerns.
    """

    __tablename__ = "operator_acts"
    __table_args__ = (
        sa.Index("ix_operator_acts_operator", "operator_id", "id"),
        sa.Index("ix_operator_acts_builder", "builder_id", "id"),
        sa.Index("ix_operator_acts_act", "act", "id"),
        sa.Index("ix_operator_acts_subject", "subject_kind", "subject_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    operator_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id"))
    act: Mapped[ActCode] = mapped_column(code_column(ActCode))
    subject_kind: Mapped[SubjectKind] = mapped_column(code_column(SubjectKind))
    subject_id: Mapped[int]
    builder_id: Mapped[int | None] = mapped_column(sa.ForeignKey("builders.id"))
    reason: Mapped[str] = mapped_column(sa.String(300))
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
