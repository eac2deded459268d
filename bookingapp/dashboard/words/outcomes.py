"""What builders read about an outcome: what a delivery or job did, or why it was not done.

The words for operators are in :mod:`bookingapp.operations.words`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bookingapp.core.i18n import N_, gettext
from bookingapp.core.queue import Restart
from bookingapp.outcomes import Awaited, Done, Failure
from bookingapp.webhooks.models import DeliveryOutcome

_OUTCOMES: Mapping[str, str] = MappingProxyType(
    {
        Failure.UNAVAILABLE: N_("No answer"),
        Failure.RATE_LIMITED: N_("Too many requests"),
        Failure.BAD_REPLY: N_("The answer could not be read"),
        Failure.UNAUTHORIZED: N_("Our access was refused"),
        Failure.INVALID_GRANT: N_("The connection to Calendly was refused"),
        Failure.INVALID_CLIENT: N_("Our access to Calendly was refused"),
        Failure.FORBIDDEN: N_("Our access does not include this"),
        Failure.NOT_FOUND: N_("It does not exist there any more"),
        Failure.REJECTED: N_("The request was refused"),
        Failure.IDEMPOTENCY_CONFLICT: N_("It was begun before with other details"),
        Failure.NOT_ACCEPTED: N_("The mail was not accepted"),
        Failure.DATABASE: N_("Our database had a problem"),
        Failure.UNEXPECTED: N_("We had an unexpected problem"),
        Failure.LEASE_EXPIRED: N_("It took too long each time"),
        Done.NO_LONGER_TRUE: N_("Not sent, because it is no longer true"),
        Done.REPEATED_BY_RESTORE: N_("Not sent again: it was due before our data was restored from a backup"),
        Awaited.CONNECTION: N_("Waits for the connection to Calendly"),
        Awaited.MAIL_SERVER: N_("Waits for the mail server"),
        Restart.REPLAYED: N_("Will be applied again"),
        Restart.RETRIED: N_("Tried again"),
        Restart.RETRIED_HOURLY: N_("Tried again every hour"),
        DeliveryOutcome.SLOT_RECORDED: N_("Time recorded"),
        DeliveryOutcome.RESCHEDULED: N_("Rescheduled: the booking moves to the new time"),
        DeliveryOutcome.SLOT_CANCELED: N_("Time canceled"),
        DeliveryOutcome.NO_SHOW_RECORDED: N_("Client marked as a no-show"),
        DeliveryOutcome.NO_SHOW_UNDONE: N_("No-show mark removed"),
        DeliveryOutcome.EVENT_TYPES_INVALIDATED: N_("Your event types will be fetched again"),
        DeliveryOutcome.CHECKOUT_SESSION_RECORDED: N_("Payment page checked at Stripe"),
        DeliveryOutcome.REFUNDS_RECORDED: N_("Refunds recorded"),
        DeliveryOutcome.DISPUTE_RECORDED: N_("Dispute recorded"),
        DeliveryOutcome.FRAUD_WARNING_RECORDED: N_("Warning of fraud recorded"),
        DeliveryOutcome.FAILED_TRY_RECORDED: N_("Failed try to pay recorded"),
        DeliveryOutcome.FEE_RECORDED: N_("Stripe's fee recorded"),
        DeliveryOutcome.NOTHING_NEW: N_("Nothing new"),
        DeliveryOutcome.NOT_OURS: N_("Not booked through this site"),
        DeliveryOutcome.UNATTACHED: N_("A priced session, booked without this site"),
        DeliveryOutcome.BOOKING_UNKNOWN: N_("We don't know this booking"),
        DeliveryOutcome.PAYMENT_UNKNOWN: N_("We don't know this payment"),
        DeliveryOutcome.ATTEMPT_UNKNOWN: N_("We did not ask for this payment"),
        DeliveryOutcome.BOOKING_LOST: N_("Paid for a booking that we do not have"),
        DeliveryOutcome.TEST_EVENT: N_("A test event of Stripe's"),
        DeliveryOutcome.LIVE_EVENT: N_("An event of Stripe's live mode, while this site uses its test mode"),
        DeliveryOutcome.OTHER_ACCOUNT: N_("An event of another Stripe account"),
        DeliveryOutcome.THIN_EVENT: N_("An event of Stripe's that this site does not need: %(type)s"),
        DeliveryOutcome.UNKNOWN_TO_STRIPE: N_("Stripe does not know what this event is about"),
        DeliveryOutcome.NO_HANDLER: N_("Nothing to do for %(type)s"),
        DeliveryOutcome.UNREADABLE: N_("We could not read this event"),
        DeliveryOutcome.BODY_DELETED: N_("Its contents have been deleted"),
    }
)


def describe_outcome(code: str | None, facts: Mapping[str, Any]) -> str:
    """What a delivery did, or why it was not applied; empty for no code, which is one that was not tried yet."""
    if code is None:
        return ""
    # Of some deliveries from before there were codes, their text is all that is known.
    return gettext(_OUTCOMES[code], **facts) if code in _OUTCOMES else str(facts.get("text", code))
