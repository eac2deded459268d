"""A booking as its pages show it: what is true now, and what the client can do next. Its sentences are in
:mod:`bookingapp.checkout.words`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta

from bookingapp.bookings.addresses import has_open_choice
from bookingapp.bookings.attention import is_flagged
from bookingapp.bookings.calendar_file import has_calendar_file
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.erased import shown_name
from bookingapp.bookings.models import Booking, RequestState, Slot, SlotRequest
from bookingapp.bookings.places import describe_place
from bookingapp.bookings.restore import is_restoring
from bookingapp.bookings.service import has_begun, has_ended
from bookingapp.bookings.slot import Seats
from bookingapp.bookings.states import Status
from bookingapp.builders.policy import policy_sentences
from bookingapp.checkout import refund_words, words
from bookingapp.checkout.attendance_view import AttendanceView, present_attendance
from bookingapp.checkout.cancellation import can_cancel
from bookingapp.core import clock
from bookingapp.core.i18n import gettext as _
from bookingapp.core.money import format_money
from bookingapp.payments.models import PaymentStatus, RefundState
from bookingapp.payments.service import MoneySummary

# The page looks again often at first, when a webhook is about to arrive, then each minute.
LOOK_SECONDS = (0.3, 0.3, 0.3, 0.5, 0.5, 1, 1, 1, 2, 2, 2, 3, 3, 5, 5, 5, 10, 10, 10, 15, 15, 30, 30, 60)
JOIN_BEFORE = timedelta(minutes=15)
"""From when on joining the call is the main thing to do; the link is there before, in quiet text."""
# Around a session, a page that is left open has to notice a cancellation.
LOOK_BEFORE_SESSION = timedelta(hours=2)
LOOK_NEAR_SESSION, LOOK_AT_LEAST = 60.0, 3600.0
REFUND_UNDER_WAY = (RefundState.ENQUEUED, RefundState.PENDING)
REFUND_TONES = {RefundState.SUCCEEDED: "ok", RefundState.FAILED: "warning"}


@dataclass(frozen=True)
class BookingView:
    """Everything that a booking's pages show. Times are aware UTC, money is in minor units.

    ``tone`` and ``icon`` are of the headline; ``refund_notice`` is a tone, a headline and a sentence. An open page asks
    ``look_url`` again after ``look_seconds`` (None: only when it becomes visible).
    ``chosen_start`` is the time that the client chose on our list and does not have yet, and ``chosen_note`` how far it
    is; ``is_on_list`` says that they have chosen one there.
    ``join_opens_at`` is when joining the call becomes the main button, None once it is.
    ``policy`` is empty from the start on: nothing can be canceled or rescheduled any more.
    ``again_label`` is the button that books the same session once more.
    ``steps`` are pairs of a label and ``done``, ``current`` or ``todo``; ``choosing_steps`` are those of the pages on
    which a time is chosen.
    ``refunds`` are the amount, why and how far each refund is, where the notice of the newest does not say it all.
    ``address_choice`` are Calendly's address and that of our form, where the client has to choose.
    """

    ref: str
    status: Status
    status_label: str
    headline: str
    sentence: str
    tone: str
    icon: str
    payment_status: PaymentStatus
    payment_label: str
    attention: str | None
    attention_words: words.Words | None
    title: str
    duration_minutes: int
    builder_name: str
    builder_slug: str
    host_name: str | None
    client_name: str
    pathway: str | None
    price_minor: int
    currency: str
    is_free: bool
    is_paid_in_calendly_alone: bool
    chosen_start: datetime | None
    chosen_note: str | None
    is_on_list: bool
    starts_at: datetime | None
    ends_at: datetime | None
    seats: Seats | None
    moving: bool
    no_show: bool
    attendance: AttendanceView
    has_ended: bool
    timezone: str
    timezone_note: str | None
    hold_expires_at: datetime | None
    join_url: str | None
    join_opens_at: datetime | None
    place: str | None
    steps: list[tuple[str, str]]
    choosing_steps: list[tuple[str, str]]
    can_schedule: bool
    can_pay: bool
    can_cancel: bool
    can_check: bool
    has_calendar_file: bool
    reschedule_url: str | None
    address_choice: tuple[str, str] | None
    checking: bool
    live: bool
    look_seconds: float | None
    look_url: str
    policy: list[str]
    refund: tuple[int, RefundState] | None
    refund_notice: tuple[str, str, str] | None
    refunds: list[tuple[str, str, str]]
    voucher_url: str | None
    receipt_url: str | None
    again_label: str | None


def present_booking(
    booking: Booking,
    money: MoneySummary,
    *,
    now: datetime,
    looks: int = 0,
    look_url: str = "",
    checking: bool = False,
    withdrawn: bool = False,
    seats: Seats | None = None,
    request: SlotRequest | None = None,
) -> BookingView:
    """The booking as it is at ``now``. ``looks`` counts how often the page has looked again; ``checking`` means that
    the client is back from Stripe and the payment's outcome is not known; ``withdrawn``, that its session type was
    withdrawn; ``seats`` are those of its group event; ``request`` is the time that the client chose on our list.
    """
    status = booking.status
    # For the client a hold ends at its time, even before the worker expires the booking.
    over = status in (Status.PENDING, Status.SCHEDULED) and bool(
        (booking.hold_expires_at and booking.hold_expires_at <= now) or _is_too_late(booking, now)
    )
    moving = booking.moving_since is not None and not status.is_final
    is_over = has_ended(booking, now)
    restoring = is_restoring(booking)
    refunding = money.refund is not None and money.refund[1] in REFUND_UNDER_WAY
    waits = status in (Status.PENDING, Status.SCHEDULED, Status.PAID) and not booking.is_sure
    live = waits or moving or restoring or refunding
    chosen = _Chosen.of(booking, money, request)
    # A time that Calendly is asked for already is booked: it stands.
    closed = booking.is_closed and chosen is not _Chosen.ASKED
    coming = None if over or withdrawn or closed or request is None or chosen is _Chosen.LOST else chosen
    can_pay = (_can_pay(booking, money) or chosen is _Chosen.UNPAID) and not (
        over or moving or checking or closed
    )
    attention = words.attention(booking, money)
    # While the bank has the money for a dispute, no refund of ours is under way.
    refund = None if money.taken_back_minor else money.refund
    if restoring:
        headline, sentence = words.restoring()
    elif withdrawn:
        headline, sentence = words.withdrawn(booking)
    elif checking:
        headline, sentence = words.checking()
    elif over:
        headline, sentence = words.hold_ended(money)
    elif closed:
        headline, sentence = _say_closed(booking)
    elif moving:
        headline, sentence = words.rescheduling(booking)
    elif chosen is not None and request is not None:
        headline, sentence = _say_chosen(chosen, booking, request, money)
    elif booking.is_sure and has_begun(booking, now):
        headline, sentence = words.begun(booking, has_ended=is_over)
    else:
        headline, sentence = words.by_status(booking, money)
    waiting = moving or checking or status is Status.PAID or chosen is _Chosen.ASKED
    waiting = waiting or money.status in (PaymentStatus.PROCESSING, PaymentStatus.AUTHORIZED)
    waiting = waiting and chosen is not _Chosen.LOST
    tone, icon = _tone_and_icon(booking, is_flagged=attention is not None, moving=moving, waiting=waiting)
    return BookingView(
        ref=booking.ref,
        status=status,
        status_label=words.chosen_label(is_asked=coming is _Chosen.ASKED)
        if coming is not None
        else str(words.STATUS_LABELS[status]),
        headline=headline,
        sentence=sentence,
        tone=tone,
        icon=icon,
        payment_status=money.status,
        payment_label=words.payment_label(
            money.status,
            is_free=booking.is_free,
            was_released=money.was_released,
            in_calendly=booking.is_paid_in_calendly_alone,
        ),
        attention=booking.attention,
        attention_words=attention,
        title=booking.title,
        duration_minutes=booking.duration_minutes,
        builder_name=booking.builder.display_name,
        builder_slug=booking.builder.slug,
        host_name=booking.host_name,
        client_name=shown_name(booking),
        pathway=booking.pathway.label if booking.pathway else None,
        price_minor=booking.price_minor,
        currency=booking.currency,
        is_free=booking.is_free,
        is_paid_in_calendly_alone=booking.is_paid_in_calendly_alone,
        chosen_start=request.starts_at if request is not None and coming is not None else None,
        chosen_note=words.chosen_note(is_asked=coming is _Chosen.ASKED) if coming is not None else None,
        is_on_list=chosen is not None,
        starts_at=booking.starts_at,
        ends_at=booking.ends_at,
        seats=seats,
        moving=moving,
        no_show=booking.no_show_at is not None,
        attendance=present_attendance(booking, now=now),
        has_ended=status in (Status.CANCELED, Status.EXPIRED),
        timezone=booking.client_timezone,
        timezone_note=None if moving else words.time_in_builders_zone(booking),
        hold_expires_at=booking.hold_expires_at
        if status is Status.SCHEDULED and not booking.is_free
        else None,
        join_url=booking.join_url if booking.is_sure and not (moving or is_over) else None,
        join_opens_at=_join_opens_at(booking, now),
        place=describe_place(booking) if booking.is_booked and not moving else None,
        steps=_steps(booking, money, is_chosen=coming is not None and not booking.is_free),
        choosing_steps=_steps(booking, money),
        can_schedule=status is Status.PENDING and not (over or checking or closed or chosen is _Chosen.ASKED),
        can_pay=can_pay,
        can_cancel=can_cancel(
            booking,
            now=now,
            processing=(money.status is PaymentStatus.PROCESSING and not money.voucher_url) or checking,
        )
        and not over,
        can_check=_can_check(booking, money, checking=checking) or refunding,
        has_calendar_file=has_calendar_file(booking)
        and not moving
        and (status is Status.CANCELED or not is_over),
        reschedule_url=booking.reschedule_url if _can_reschedule(booking, now=now) and not checking else None,
        address_choice=(booking.invitee_email, booking.client_email)
        if booking.invitee_email is not None and has_open_choice(booking)
        else None,
        checking=checking,
        live=live,
        look_seconds=LOOK_SECONDS[min(looks, len(LOOK_SECONDS) - 1)]
        if live
        else _look_at_session(booking, now),
        look_url=look_url,
        policy=[] if has_begun(booking, now) else policy_sentences(booking.policy, is_free=booking.is_free),
        refund=refund,
        refund_notice=_refund_notice(booking, refund, money.refund_currency or booking.currency)
        if refund
        else None,
        refunds=_list_refunds(booking, money),
        voucher_url=money.voucher_url if status is Status.SCHEDULED and not over else None,
        receipt_url=money.receipt_url,
        again_label=words.again_label(booking),
    )


class _Chosen(enum.Enum):
    """How far a time is that was chosen on our list and is not the booking's yet."""

    UNPAID = enum.auto()  # It is paid for first.
    ASKED = enum.auto()  # It is being booked.
    LOST = enum.auto()  # It is gone, or Calendly refused it.

    @classmethod
    def of(cls, booking: Booking, money: MoneySummary, request: SlotRequest | None) -> _Chosen | None:
        if booking.status is not Status.PENDING or request is None:
            return None
        if request.state in (RequestState.GONE, RequestState.REFUSED):
            return cls.LOST
        if not request.state.is_open:
            return None
        return cls.ASKED if booking.is_free or money.status is PaymentStatus.AUTHORIZED else cls.UNPAID


def _say_closed(booking: Booking) -> words.Words:
    """The builder was suspended before the booking had a time."""
    return _("%(builder)s takes no bookings right now", builder=booking.builder.display_name), _(
        "You had not chosen a time yet, and nothing was charged. You are welcome to book another builder."
    )


def _say_chosen(chosen: _Chosen, booking: Booking, request: SlotRequest, money: MoneySummary) -> words.Words:
    when = clock.day_time(request.starts_at, booking.client_timezone)
    if chosen is _Chosen.UNPAID:
        return words.pay_first(booking, when, is_declined=money.is_declined)
    if chosen is _Chosen.ASKED:
        return words.taking(when)
    return words.time_lost(
        booking,
        when,
        is_gone=request.state is RequestState.GONE,
        is_authorized=money.status is PaymentStatus.AUTHORIZED,
    )


def _look_at_session(booking: Booking, now: datetime) -> float | None:
    """Each minute near a session that takes place, else when it is near, at least each hour."""
    if not booking.is_sure or booking.starts_at is None:
        return None
    until_near = (booking.starts_at - LOOK_BEFORE_SESSION - now).total_seconds()
    return min(max(until_near, LOOK_NEAR_SESSION), LOOK_AT_LEAST)


def _join_opens_at(booking: Booking, now: datetime) -> datetime | None:
    opens_at = booking.starts_at - JOIN_BEFORE if booking.starts_at is not None else None
    return opens_at if opens_at is not None and opens_at > now else None


def _can_pay(booking: Booking, money: MoneySummary) -> bool:
    """Whether the booking has an unpaid time and no payment is here or under way."""
    is_unpaid = booking.status is Status.SCHEDULED and booking.slot is Slot.ACTIVE and booking.paid_at is None
    is_due = is_unpaid and not booking.is_free and not booking.paid_in_calendly
    is_due = is_due and not is_flagged(booking, FlagCode.PAYMENT_REFUSED)
    under_way = money.status in (PaymentStatus.PROCESSING, PaymentStatus.AUTHORIZED)
    return is_due and not under_way and not money.is_here


def _can_reschedule(booking: Booking, *, now: datetime) -> bool:
    """Whether Calendly's page can still reschedule it: before it begins, and not while it is being rescheduled."""
    is_held = booking.status in (Status.SCHEDULED, Status.CONFIRMED) and booking.slot is Slot.ACTIVE
    ahead = booking.starts_at is not None and booking.starts_at > now
    return is_held and ahead and booking.moving_since is None


def _can_check(booking: Booking, money: MoneySummary, *, checking: bool) -> bool:
    """Whether Stripe may know more than we do, so that the client can have it asked now."""
    under_way = checking or booking.status is Status.PAID
    waits = (PaymentStatus.OPEN, PaymentStatus.PROCESSING, PaymentStatus.AUTHORIZED)
    under_way = under_way or money.status in waits
    return under_way and not booking.status.is_final


def _tone_and_icon(booking: Booking, *, is_flagged: bool, moving: bool, waiting: bool) -> tuple[str, str]:
    """Tone and icon of the headline."""
    status = booking.status
    if is_flagged:
        return "warning", "warning"
    if booking.is_booked and not moving:
        return "ok", "check"
    if status in (Status.CANCELED, Status.EXPIRED):
        return "off", "cross"
    if waiting:
        return "info", "clock"
    return "warning", "card" if status is Status.SCHEDULED else "calendar"


def _refund_notice(booking: Booking, refund: tuple[int, RefundState], currency: str) -> tuple[str, str, str]:
    minor, state = refund
    if is_flagged(booking, FlagCode.REFUND_WAITS_FOR_CLIENT) and state is RefundState.PENDING:
        return "warning", *refund_words.refund_waits(format_money(minor, currency))
    tone = REFUND_TONES.get(state, "info")
    return tone, *refund_words.refund_notice(tone, format_money(minor, currency))


def _list_refunds(booking: Booking, money: MoneySummary) -> list[tuple[str, str, str]]:
    """Several refunds, or one that a person has chosen: what came back and why."""
    if not money.refunds[1:] and not any(one.reason.is_chosen for one in money.refunds):
        return []
    return [
        (
            format_money(one.amount_minor, one.currency),
            refund_words.refund_reason(one.reason, booking),
            refund_words.refund_state(REFUND_TONES.get(one.state, "info")),
        )
        for one in money.refunds
    ]


def _is_too_late(booking: Booking, now: datetime) -> bool:
    """Whether the session began unpaid, so that it expires."""
    is_settled = booking.is_free or booking.paid_at is not None or booking.paid_in_calendly
    return has_begun(booking, now) and not is_settled


def _steps(booking: Booking, money: MoneySummary, *, is_chosen: bool = False) -> list[tuple[str, str]]:
    """The steps of a booking, each ``done``, ``current`` or ``todo``. ``is_chosen``: a time is paid for before it is
    the client's.
    """
    steps = [(_("Pick"), True), (_("Time"), booking.slot is Slot.ACTIVE or is_chosen)]
    if not booking.is_free:
        is_paid = booking.paid_at is not None or booking.paid_in_calendly
        steps.append((_("Pay"), is_paid or money.status is PaymentStatus.AUTHORIZED))
    steps.append((_("Confirmed"), booking.is_booked))
    shown, current_seen = [], booking.status in (Status.CANCELED, Status.EXPIRED)
    for label, is_done in steps:
        shown.append((label, "done" if is_done else "todo" if current_seen else "current"))
        current_seen = current_seen or not is_done
    return shown
