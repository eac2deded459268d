"""Codes of what is kept about bookings: attention flags, causes, reasons of refunds. Words for them are elsewhere."""

from __future__ import annotations

import enum


class FlagCode(enum.StrEnum):
    """A condition of a booking that needs a human decision."""

    # Times.
    PAID_WITHOUT_TIME = "paid_without_time"  # Paid, and Calendly knows of no time.
    RESCHEDULED_UNKNOWN = "rescheduled_unknown"  # Rescheduled, and Calendly does not say to when.
    WRONG_EVENT_TYPE = "wrong_event_type"  # A time of another event type was picked, and is released.
    UNKNOWN_EVENT_TYPE = "unknown_event_type"  # Calendly does not say which event type the time is of.
    OTHER_HOST = "other_host"  # The builder does not hold the session.
    TIME_NOT_READABLE = (
        "time_not_readable"  # Calendly refuses to show the time. Facts: ``scope``, if one is missing.
    )
    TIME_CANCELED_LATE = "time_canceled_late"  # Canceled in Calendly after it was paid, or after its end.
    NO_SHOW_WITHOUT_TIME = (
        "no_show_without_time"  # Calendly reports a no-show for a booking without a session.
    )
    NO_SHOW_NOT_SENT = "no_show_not_sent"  # Calendly refused the no-show mark.
    ABSENCE_CLAIMED = (
        "absence_claimed"  # The client says that the builder did not come; the builder is asked.
    )
    ABSENCE_DENIED = "absence_denied"  # The builder says that they were there.
    NO_SHOW_DENIED = "no_show_denied"  # The client was marked as a no-show, and says that they were there.
    TYPE_WITHDRAWN = "type_withdrawn"  # The event type is gone from Calendly; the booking stays.
    OVERLAP = (
        "overlap"  # Another session of the builder is at the same time. Facts: ``other``, its tracking id.
    )
    SEAT_NOT_RELEASED = "seat_not_released"  # One seat of a group event has to be removed by hand.
    TIME_NOT_RELEASED = "time_not_released"  # Calendly keeps failing to cancel the time.
    RELEASE_REFUSED = "release_refused"  # Calendly refused to cancel the time of an expired booking.
    # Money.
    PAID_IN_CALENDLY = "paid_in_calendly"
    LATE_PAYMENT_CHECKED = (
        "late_payment_checked"  # Paid after the hold: Calendly is asked for the time again.
    )
    LATE_PAYMENT = "late_payment"  # Paid after the end: the money goes back by itself.
    PAYMENT_PROCESSING = "payment_processing"  # The bank neither sends nor refuses the payment.
    PAYMENT_REFUSED = "payment_refused"  # Stripe refuses it for good. Facts: refusal, amount_minor, currency.
    PAYMENT_UNEXPECTED = "payment_unexpected"  # Stripe has a payment that was not asked for.
    WRONG_AMOUNT = "wrong_amount"
    WRONG_REFERENCE = "wrong_reference"
    REFUND_DELAYED = "refund_delayed"
    REFUND_REFUSED = "refund_refused"
    # Stripe asks the client by e-mail where to send it. Facts: refund_ids.
    REFUND_WAITS_FOR_CLIENT = "refund_waits_for_client"
    REFUND_UNDELIVERED = "refund_undelivered"
    REFUNDED_OUTSIDE = "refunded_outside"  # Refunded in Stripe's dashboard, and the booking is still on.
    FRAUD_WARNING = "fraud_warning"  # Facts: payment_id, fraud_type (Stripe's).
    DISPUTE_OPEN = "dispute_open"
    DISPUTE_LOST = "dispute_lost"
    # Mails.
    MAIL_NOT_SENT = "mail_not_sent"  # A mail about it was given up.
    # Erasure: what has to be erased by hand elsewhere. Facts: ``bookings``, tracking ids; ``payments``, Stripe's ids.
    ERASE_IN_CALENDLY = "erase_in_calendly"
    ERASE_IN_STRIPE = "erase_in_stripe"
    OTHER = "other"  # A sentence of an older release, in the facts' ``text``.


OPERATORS_FLAGS = (FlagCode.ERASE_IN_STRIPE,)
"""Flags that only an operator can settle: builders do not see them."""

RELEASE_FLAGS = (FlagCode.SEAT_NOT_RELEASED, FlagCode.TIME_NOT_RELEASED, FlagCode.RELEASE_REFUSED)
"""The builder is asked to cancel in Calendly. Facts of a seat: ``until``, ISO 8601, when the event ends."""

SESSION_FLAGS = (
    FlagCode.PAID_WITHOUT_TIME,
    FlagCode.UNKNOWN_EVENT_TYPE,
    FlagCode.OTHER_HOST,
    FlagCode.TYPE_WITHDRAWN,
    FlagCode.OVERLAP,
    FlagCode.REFUNDED_OUTSIDE,
)
"""Questions about a session that is on: they end with it, or when the booking is canceled or expires."""

ATTENDANCE_FLAGS = (FlagCode.ABSENCE_CLAIMED, FlagCode.ABSENCE_DENIED, FlagCode.NO_SHOW_DENIED)
"""Who came is disputed: these are answered or decided, and never just marked as resolved."""


class AbsenceClaim(enum.StrEnum):
    """How far it is that the client says that the builder did not come."""

    ASKED = "asked"  # The builder has a day to answer.
    DENIED = "denied"  # The builder says that they were there: a person of the platform decides.
    DISMISSED = "dismissed"  # That person decided that the session took place.


class CauseCode(enum.StrEnum):
    """What brought a change about."""

    SESSION_TYPE_PICKED = "session_type_picked"
    TIME_REPORTED = "time_reported"  # The browser reported a time, and it was read back from Calendly.
    WEBHOOK = "webhook"  # Facts: ``type`` of the delivery.
    RESCHEDULE_FETCHED = "reschedule_fetched"
    # Facts: ``at``, the provider's own moment, where it gives one; the same for MISSED_EVENTS_FETCHED.
    MISSED_TIMES_FETCHED = "missed_times_fetched"
    TIME_REQUESTED_AGAIN = "time_requested_again"  # For money that came after the hold.
    TIME_BOOKED_HERE = "time_booked_here"  # Chosen on our list, and booked in Calendly by us.
    PAYMENT_CAPTURED = "payment_captured"  # It was authorized before.
    AUTHORIZATION_RELEASED = "authorization_released"
    STRIPE_FETCHED = "stripe_fetched"
    MISSED_MONEY_FETCHED = "missed_money_fetched"
    MISSED_EVENTS_FETCHED = "missed_events_fetched"
    CHECKOUT_EXPIRED_BY_HOLD = "checkout_expired_by_hold"
    CHECKOUT_EXPIRED_UNWANTED = "checkout_expired_unwanted"
    CHECKOUT_REPLACED = "checkout_replaced"
    CHECKOUT_EXPIRED = "checkout_expired"
    CHECKOUT_WAS_OVER = "checkout_was_over"
    ORPHAN_EXPIRED = "orphan_expired"  # A checkout session whose address was given to no client.
    HOLD_ENDED = "hold_ended"
    SESSION_ENDED = "session_ended"
    CANCELED_ON_PAGE = "canceled_on_page"
    CANCELED_ON_DASHBOARD = "canceled_on_dashboard"
    NO_SHOW_MARKED = "no_show_marked"
    ATTENDANCE_MARKED = "attendance_marked"
    ABSENCE_REPORTED = "absence_reported"  # The builder did not come, so everything goes back.
    ABSENCE_CLAIMED = "absence_claimed"
    ABSENCE_WITHDRAWN = "absence_withdrawn"  # The client says that the builder came after all.
    ABSENCE_DENIED = "absence_denied"
    ABSENCE_DISMISSED = "absence_dismissed"
    ABSENCE_UNANSWERED = (
        "absence_unanswered"  # The builder was asked and did not answer, so everything goes back.
    )
    NO_SHOW_DENIED = "no_show_denied"
    NO_SHOW_KEPT = "no_show_kept"
    MAIL_REPEATED = "mail_repeated"  # Facts: ``mail``.
    CHECK_REQUESTED = "check_requested"  # Both providers are asked about the booking.
    REFUND_DECIDED = "refund_decided"  # Facts: ``amount_minor``, ``currency``, ``reason``.
    FLAG_RESOLVED = "flag_resolved"  # Facts: ``flag``, its code.
    TYPE_WITHDRAWN = "type_withdrawn"
    REFUSED_BY_STRIPE = "refused_by_stripe"  # Facts: ``category`` of the error.
    PAYMENT_DECLINED = (
        "payment_declined"  # A try on the payment page, which stays open. Facts: ``reason``, Stripe's.
    )
    WITHHELD_FOR_DISPUTE = "withheld_for_dispute"
    MADE_IN_STRIPE = "made_in_stripe"  # By a person in Stripe's dashboard.
    DATA_ERASED = "data_erased"  # What was personal is gone: the client asked for it, or it was old.
    ERASURE_SENT = "erasure_sent"  # Calendly accepted to erase the client's data, too.
    OTHER = "other"  # A sentence of an older release, in the facts' ``text``.


class PaymentStatus(enum.StrEnum):
    """Where a booking's money is, over all its attempts: the outside interface's ``data-payment-status``."""

    NONE = "none"
    OPEN = "open"
    AUTHORIZED = "authorized"  # The bank keeps the money for us, and nothing is charged yet.
    PROCESSING = "processing"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    DISPUTED = "disputed"


class RefundReason(enum.StrEnum):
    """Why money goes back."""

    CANCELED_BY_CLIENT = "canceled_by_client"
    CANCELED_BY_BUILDER = "canceled_by_builder"
    CANCELED_IN_CALENDLY = "canceled_in_calendly"
    HOLD_ENDED = "hold_ended"
    PAID_AFTER_END = "paid_after_end"
    PAID_TWICE = "paid_twice"
    PAID_IN_CALENDLY = "paid_in_calendly"
    WRONG_AMOUNT = "wrong_amount"
    MADE_IN_STRIPE = "made_in_stripe"
    FRAUD_WARNING = "fraud_warning"  # By the builder, before it becomes a dispute.
    BUILDER_ABSENT = "builder_absent"
    # An amount that a person gives back, and why.
    SHORTER_SESSION = "shorter_session"
    TROUBLE = "trouble"
    TOO_EXPENSIVE = "too_expensive"
    COURTESY = "courtesy"
    OTHER = "other"

    @property
    def is_chosen(self) -> bool:
        """Whether a person chose it for an amount that they give back."""
        return self in CHOSEN_REASONS


CHOSEN_REASONS = (
    RefundReason.SHORTER_SESSION,
    RefundReason.TROUBLE,
    RefundReason.TOO_EXPENSIVE,
    RefundReason.COURTESY,
)
"""Why a person gives an amount back, in the order in which they are offered."""
