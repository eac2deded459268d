"""Bookings, their attention flags, moves, notes and history; and invitees that belong to no booking."""

from __future__ import annotations

import enum
from copy import copy
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from bookingapp.bookings import erased, indexes
from bookingapp.bookings.codes import AbsenceClaim, CauseCode, FlagCode, PaymentStatus
from bookingapp.bookings.states import Event, Status
from bookingapp.builders.models import Builder, Closure
from bookingapp.core.db import MINOR_UNITS, Model, code_column, text_by_bytes
from bookingapp.core.i18n import LONGEST_CODE, SOURCE
from bookingapp.session_types.models import Pathway
from bookingapp.text import fold


class Slot(enum.StrEnum):
    """The state of the booking's time in Calendly."""

    NONE = "none"
    ACTIVE = "active"
    RELEASING = "releasing"  # We are canceling it: Calendly's webhook about that changes nothing.
    CANCELED = "canceled"


class Source(enum.StrEnum):
    """Where the slot's facts come from."""

    WEBHOOK = "webhook"
    FETCHED = "asked"  # From Calendly's API.


class RequestState(enum.StrEnum):
    """How far a time that the client chose on our list is."""

    CHOSEN = "chosen"  # Calendly was not asked yet; a priced one waits for the payment to be authorized.
    ASKING = "asking"  # Calendly is asked for it, or was and its answer is not known.
    TAKEN = "taken"
    GONE = "gone"  # Somebody else has it, or it has begun.
    REFUSED = "refused"  # Calendly refused it for another reason, or did not answer in time.
    DROPPED = "dropped"  # The client took another time in Calendly's calendar.

    @property
    def is_open(self) -> bool:
        """Whether the client may still get it."""
        return self in (RequestState.CHOSEN, RequestState.ASKING)


class EmailProof(enum.StrEnum):
    """How an e-mail address is known to be the client's."""

    LINK = "link"  # This browser opened a link that was mailed to it.
    CHOSEN = "chosen"  # The client read both addresses on the booking's page and chose it.


class Actor(enum.StrEnum):
    """Who made a change."""

    CLIENT = "client"
    BUILDER = "builder"
    OPERATOR = "operator"
    CALENDLY = "calendly"
    STRIPE = "stripe"
    SYSTEM = "system"


LONGEST_KEY = 120
LONGEST_WORD = 64


class Booking(Model):
    """One client and one session. Price, currency and policy are snapshots of the moment when it was created.

    ``status`` is written by :func:`bookingapp.bookings.service.transition` alone.
    """

    __tablename__ = "bookings"
    __table_args__ = (
        *indexes.list_indexes(),
        *indexes.retention_indexes(),
        sa.Index("ix_bookings_status_hold", "status", "hold_expires_at"),
        sa.CheckConstraint("price_minor >= 0", name="price_not_negative"),
        sa.CheckConstraint(
            "slot != 'active' OR (starts_at IS NOT NULL AND invitee_uri IS NOT NULL)", name="slot_has_time"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    # The client's key: it opens the booking's pages, so it is on those and in the client's mails alone.
    ref: Mapped[str] = mapped_column(sa.String(32), unique=True)
    # What everybody else knows it by: builders, Calendly (signed), Stripe. It opens nothing on the client's pages.
    tracking_id: Mapped[str] = mapped_column(sa.String(32), unique=True)
    builder_id: Mapped[int] = mapped_column(sa.ForeignKey("builders.id"))
    session_type_id: Mapped[int] = mapped_column(sa.ForeignKey("session_types.id"), index=True)

    status: Mapped[Status] = mapped_column(default=Status.PENDING)
    # What :mod:`bookingapp.payments.stored_status`, its only writer, made of attempts, ledger and disputes: for lists.
    # A booking's own pages and all decisions ask :func:`bookingapp.payments.service.summarize_money`.
    payment_status: Mapped[PaymentStatus] = mapped_column(
        code_column(PaymentStatus), default=PaymentStatus.NONE, server_default=PaymentStatus.NONE
    )

    client_name: Mapped[str] = mapped_column(sa.String(120))
    name_key: Mapped[str] = mapped_column(
        text_by_bytes(LONGEST_KEY), default="", server_default=""
    )  # For sorting.
    client_email: Mapped[str] = mapped_column(sa.String(254), index=True)
    client_timezone: Mapped[str] = mapped_column(sa.String(64))
    # The code of the language in which the client booked, or read the booking's page last by its link.
    language: Mapped[str] = mapped_column(sa.String(LONGEST_CODE), default=SOURCE, server_default=SOURCE)
    # Calendly's address of the invitee where it is another one, and how ``client_email`` is known to be the client's.
    # :mod:`bookingapp.bookings.addresses` decides by them which mail goes where.
    invitee_email: Mapped[str | None] = mapped_column(sa.String(254))
    email_proof: Mapped[EmailProof | None] = mapped_column(code_column(EmailProof))

    # What the client wants to work on, where the session type asks for it.
    pathway: Mapped[Pathway | None] = mapped_column(code_column(Pathway))
    title: Mapped[str] = mapped_column(sa.String(160))
    duration_minutes: Mapped[int]
    event_type_uri: Mapped[str] = mapped_column(sa.String(255))
    scheduling_url: Mapped[str] = mapped_column(sa.String(500))
    price_minor: Mapped[int] = mapped_column(MINOR_UNITS)
    currency: Mapped[str] = mapped_column(sa.String(3))
    policy: Mapped[dict[str, Any]]

    slot: Mapped[Slot] = mapped_column(default=Slot.NONE)
    slot_source: Mapped[Source | None] = mapped_column(code_column(Source))
    slot_checked_at: Mapped[datetime | None]  # When the slot was last confirmed, changed or not.
    event_uri: Mapped[str | None] = mapped_column(sa.String(255), index=True)
    invitee_uri: Mapped[str | None] = mapped_column(sa.String(255), unique=True)
    invitee_since: Mapped[datetime | None]  # When that invitee was created: the newer of two wins.
    # Invitees whose cancellation was reported, possibly before their creation.
    canceled_invitees: Mapped[list[str]] = mapped_column(default=list)
    # Since when the new time of a reschedule is missing, and the invitee that has it, where Calendly named it.
    moving_since: Mapped[datetime | None]
    moving_to: Mapped[str | None] = mapped_column(sa.String(255))
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    join_url: Mapped[str | None] = mapped_column(sa.String(500))
    cancel_url: Mapped[str | None] = mapped_column(sa.String(500))
    reschedule_url: Mapped[str | None] = mapped_column(sa.String(500))

    # Where it is: Calendly's name of the kind of place, and the address, number or text of one that has it.
    place_kind: Mapped[str | None] = mapped_column(sa.String(40))
    place: Mapped[str | None] = mapped_column(sa.String(500))
    # Who holds the session where it is not the builder.
    host_name: Mapped[str | None] = mapped_column(sa.String(160))
    # How often what calendars show of it has changed, and when it did last (bookings/calendar_revision.py).
    calendar_sequence: Mapped[int] = mapped_column(default=0, server_default="0")
    calendar_changed_at: Mapped[datetime | None]

    # What the client answered to the event type's questions: ``question`` and ``answer`` of each.
    answers: Mapped[list[dict[str, Any]]] = mapped_column(sa.JSON(), default=list, server_default="[]")

    # Of a group event, as Calendly counted when it last told of this invitee; None of an event with one seat.
    seats_taken: Mapped[int | None]
    seats_limit: Mapped[int | None]

    paid_at: Mapped[datetime | None]
    # Calendly itself has taken a payment for it, so nothing is charged here.
    paid_in_calendly: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    # Paid after its end: since when Calendly is asked for the time again.
    restoring_since: Mapped[datetime | None]
    # The client did not come: since when, Calendly's mark of it, and the mark that was deleted last.
    no_show_at: Mapped[datetime | None]
    no_show_uri: Mapped[str | None] = mapped_column(sa.String(255))
    no_show_undone_uri: Mapped[str | None] = mapped_column(sa.String(255))
    no_show_denied_at: Mapped[datetime | None]  # Since when the client says that they were there.
    builder_absent_at: Mapped[datetime | None]  # Since when the builder counts as absent.
    absence_claim: Mapped[AbsenceClaim | None] = mapped_column(code_column(AbsenceClaim))
    absence_claimed_at: Mapped[datetime | None]  # By the client: bookings/absence_claims.py.
    canceled_by: Mapped[Actor | None] = mapped_column(code_column(Actor))
    hold_expires_at: Mapped[datetime | None]  # When a pending or unpaid booking expires.
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    # Since when nothing personal is left of it (:mod:`bookingapp.privacy.erasure`).
    erased_at: Mapped[datetime | None]

    builder: Mapped[Builder] = relationship(lazy="raise_on_sql")
    flags: Mapped[list[AttentionFlag]] = relationship(lazy="selectin", order_by="AttentionFlag.id")

    @validates(*erased.INSTEAD)
    def _stay_erased(self, name: str, value: Any) -> Any:
        """An erased booking takes nothing personal any more, whichever webhook or answer of Calendly's brings it."""
        if self.erased_at is not None:
            value = copy(erased.INSTEAD[name])
        if name == "client_name":
            self.name_key = fold(value)[:LONGEST_KEY]
        return value

    def is_named(self, name: str | None) -> bool:
        """Whether Stripe means this booking; Checkout Sessions of before December 2026 carry its ``ref``."""
        return name in (self.tracking_id, self.ref)

    @property
    def is_free(self) -> bool:
        """Whether its price is zero."""
        return self.price_minor == 0

    @property
    def is_paid_in_calendly_alone(self) -> bool:
        """Whether Calendly took a payment and we took none, so that only the builder can refund it, there."""
        return self.paid_in_calendly and self.paid_at is None

    @property
    def is_sure(self) -> bool:
        """Whether the session takes place: confirmed, or paid in Calendly, and then scheduled until it is over."""
        is_paid_there = self.status is Status.SCHEDULED and self.is_paid_in_calendly_alone
        return self.status is Status.CONFIRMED or is_paid_there

    @property
    def is_booked(self) -> bool:
        """Whether the session takes place, or took place."""
        return self.is_sure or self.status is Status.COMPLETED

    @property
    def open_flags(self) -> list[AttentionFlag]:
        """What needs a human decision, in the order in which it was raised."""
        return [flag for flag in self.flags if flag.resolved_at is None]

    @property
    def attention(self) -> str | None:
        """The codes of the open flags, separated by spaces, as pages show them to programs."""
        return " ".join(flag.code for flag in self.open_flags) or None

    @property
    def is_closed(self) -> bool:
        """Whether it waits for a time that it cannot get: its builder is suspended."""
        return self.status is Status.PENDING and self.builder.closure is Closure.SUSPENDED

    @property
    def is_settled(self) -> bool:
        """Whether it has a time and is paid or free."""
        return self.slot is Slot.ACTIVE and (self.is_free or self.paid_at is not None)


class BookingWord(Model):
    """A word by which a booking is found: of its client's name, an e-mail address, or an id of Calendly or Stripe.
    :mod:`bookingapp.bookings.search` alone writes it, and triggers (migration 0033) the session's start beside it.
    """

    __tablename__ = "booking_words"
    __table_args__ = (
        sa.Index("ix_booking_words_builder", "builder_id", "word", "booking_id"),
        sa.Index("ix_booking_words_word", "word", "booking_id"),
        sa.Index(
            "ix_booking_words_week",
            *("builder_id", "week", "word", "starts_at", "booking_id"),
            sqlite_where=sa.text("week IS NOT NULL"),
            postgresql_where=sa.text("week IS NOT NULL"),
        ),
        {"sqlite_with_rowid": False},
    )

    booking_id: Mapped[int] = mapped_column(sa.ForeignKey("bookings.id"), primary_key=True)
    word: Mapped[str] = mapped_column(text_by_bytes(LONGEST_WORD), primary_key=True)
    builder_id: Mapped[int] = mapped_column(sa.ForeignKey("builders.id"))
    starts_at: Mapped[datetime | None]
    week: Mapped[int | None]  # Whole weeks from 1970 to the start.


class AttentionFlag(Model):
    """A condition of a booking that needs a human decision. Open until ``resolved_at``; one open flag for each code."""

    __tablename__ = "attention_flags"
    __table_args__ = (
        sa.Index(
            "uq_attention_flags_open",
            "booking_id",
            "code",
            unique=True,
            sqlite_where=sa.text("resolved_at IS NULL"),
            postgresql_where=sa.text("resolved_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    booking_id: Mapped[int] = mapped_column(sa.ForeignKey("bookings.id"), index=True)
    code: Mapped[FlagCode] = mapped_column(code_column(FlagCode))
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    raised_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[Actor | None] = mapped_column(code_column(Actor))


class Move(Model):
    """A reschedule: from which start to which, when and by whom. Its two halves arrive in any order, and only the old
    invitee's says who (``by``).
    """

    __tablename__ = "booking_moves"
    __table_args__ = (sa.UniqueConstraint("booking_id", "old_invitee"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    booking_id: Mapped[int] = mapped_column(sa.ForeignKey("bookings.id"))
    old_invitee: Mapped[str] = mapped_column(sa.String(255))
    from_start: Mapped[datetime]
    to_start: Mapped[datetime | None]
    at: Mapped[datetime]
    by: Mapped[Actor | None] = mapped_column(code_column(Actor))


class SlotRequest(Model):
    """The time that a client chose on our list, committed before Calendly is asked for it. A booking has one row;
    ``number`` counts the times that were chosen.
    """

    __tablename__ = "slot_requests"
    __table_args__ = (sa.Index("ix_slot_requests_state_start", "state", "starts_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    booking_id: Mapped[int] = mapped_column(sa.ForeignKey("bookings.id"), unique=True)
    number: Mapped[int] = mapped_column(default=1)
    state: Mapped[RequestState] = mapped_column(code_column(RequestState))
    starts_at: Mapped[datetime]
    # As Calendly's API takes them: ``place``, ``answers`` and ``guests``.
    details: Mapped[dict[str, Any]]
    # Why it was refused: a provider's ``Failure``.
    refusal: Mapped[str | None] = mapped_column(sa.String(32))
    # When Calendly was first asked, and until when one process alone may ask.
    asked_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    chosen_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class UnattachedInvitee(Model):
    """An invitee of a published, priced session type who belongs to no booking and pays nothing: our reference was
    lost on the way, or the type was booked in Calendly directly. Open until ``resolved_at``.
    """

    __tablename__ = "unattached_invitees"
    __table_args__ = (sa.Index("ix_unattached_invitees_builder_resolved", "builder_id", "resolved_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    builder_id: Mapped[int] = mapped_column(sa.ForeignKey("builders.id"))
    session_type_id: Mapped[int] = mapped_column(sa.ForeignKey("session_types.id"))
    event_uri: Mapped[str] = mapped_column(sa.String(255))
    invitee_uri: Mapped[str] = mapped_column(sa.String(255), unique=True)
    title: Mapped[str] = mapped_column(sa.String(160))
    name: Mapped[str] = mapped_column(sa.String(120))
    email: Mapped[str] = mapped_column(sa.String(254))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    cancel_url: Mapped[str | None] = mapped_column(sa.String(500))
    found_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[Actor | None] = mapped_column(code_column(Actor))


class Note(Model):
    """What a builder or an operator writes down about a booking. No client, provider or file ever has it. A builder
    reads their own notes, and of an operator's those that are shared (``is_shared``).
    """

    __tablename__ = "booking_notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    booking_id: Mapped[int] = mapped_column(sa.ForeignKey("bookings.id"), index=True)
    by: Mapped[Actor] = mapped_column(code_column(Actor))  # The builder or an operator.
    is_shared: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    text: Mapped[str] = mapped_column(sa.String(2000))
    created_at: Mapped[datetime]
    edited_at: Mapped[datetime | None]


class HistoryEntry(Model):
    """One change of a booking, written in the same commit as the change and never edited."""

    __tablename__ = "booking_history"
    __table_args__ = (
        # The rows that created bookings, whose digests of who booked are deleted after a while.
        sa.Index(
            "ix_booking_history_created",
            "at",
            "id",
            sqlite_where=sa.text("from_status IS NULL"),
            postgresql_where=sa.text("from_status IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    booking_id: Mapped[int] = mapped_column(sa.ForeignKey("bookings.id"), index=True)
    from_status: Mapped[Status | None] = mapped_column(code_column(Status))
    to_status: Mapped[Status] = mapped_column(code_column(Status))
    event: Mapped[Event | None] = mapped_column(code_column(Event))
    actor: Mapped[Actor]
    cause: Mapped[CauseCode] = mapped_column(code_column(CauseCode))
    cause_facts: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    inbox_id: Mapped[int | None] = mapped_column(index=True)  # The delivery that reported it.
    at: Mapped[datetime]
