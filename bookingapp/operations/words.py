"""What happened to work, in words for operators: outcomes of deliveries and jobs, and findings of reconciliations.

The words for builders are in :mod:`bookingapp.dashboard.words.outcomes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bookingapp.checkout.stripe_check import MoneyFinding
from bookingapp.core.i18n import N_, gettext
from bookingapp.core.money import format_money
from bookingapp.core.queue import Restart
from bookingapp.integrations.calendly import CalendlyForbidden
from bookingapp.integrations.errors import ProviderError
from bookingapp.outcomes import Awaited, Done, Failure
from bookingapp.sync.models import Missing, NotFetched
from bookingapp.webhooks.models import DeliveryOutcome

WORDS: Mapping[str, str] = MappingProxyType(
    {
        Failure.UNAVAILABLE: N_("no answer"),
        Failure.RATE_LIMITED: N_("too many requests"),
        Failure.BAD_REPLY: N_("unreadable answer"),
        Failure.UNAUTHORIZED: N_("key or token refused"),
        Failure.INVALID_GRANT: N_("connection refused"),
        Failure.INVALID_CLIENT: N_("our OAuth app refused"),
        Failure.FORBIDDEN: N_("not allowed with our key or token"),
        Failure.NOT_FOUND: N_("not found there"),
        Failure.REJECTED: N_("refused"),
        Failure.IDEMPOTENCY_CONFLICT: N_("asked before with other details"),
        Failure.NOT_ACCEPTED: N_("not accepted by the other side"),
        Failure.DATABASE: N_("database error"),
        Failure.UNEXPECTED: N_("unexpected error, its trace is in the log"),
        Failure.LEASE_EXPIRED: N_("each try ended its worker, or took longer than its lease"),
        Awaited.CONNECTION: N_("waits for the connection to Calendly"),
        Awaited.MAIL_SERVER: N_("waits for the mail server"),
        Restart.REPLAYED: N_("replayed"),
        Done.NO_LONGER_TRUE: N_("not sent, because it is no longer true"),
        Done.REPEATED_BY_RESTORE: N_("not sent: repeated by the restore of a backup"),
        Restart.RETRIED: N_("retried by hand"),
        Restart.RETRIED_HOURLY: N_("retried by the hourly reconciliation"),
        DeliveryOutcome.SLOT_RECORDED: N_("slot recorded"),
        DeliveryOutcome.RESCHEDULED: N_("rescheduled: the new time keeps the booking"),
        DeliveryOutcome.SLOT_CANCELED: N_("slot canceled"),
        DeliveryOutcome.NO_SHOW_RECORDED: N_("no-show recorded"),
        DeliveryOutcome.NO_SHOW_UNDONE: N_("no-show undone"),
        DeliveryOutcome.EVENT_TYPES_INVALIDATED: N_("event types will be fetched again"),
        DeliveryOutcome.CHECKOUT_SESSION_RECORDED: N_("checkout session is %(status)s, %(payment_status)s"),
        DeliveryOutcome.REFUNDS_RECORDED: N_("refunds recorded"),
        DeliveryOutcome.DISPUTE_RECORDED: N_("dispute is %(status)s"),
        DeliveryOutcome.FRAUD_WARNING_RECORDED: N_("early fraud warning recorded"),
        DeliveryOutcome.FAILED_TRY_RECORDED: N_("failed try to pay recorded"),
        DeliveryOutcome.FEE_RECORDED: N_("fee recorded"),
        DeliveryOutcome.NOTHING_NEW: N_("nothing new"),
        DeliveryOutcome.NOT_OURS: N_("not made through this site"),
        DeliveryOutcome.UNATTACHED: N_("a priced session type, without a booking here"),
        DeliveryOutcome.BOOKING_UNKNOWN: N_("unknown booking"),
        DeliveryOutcome.PAYMENT_UNKNOWN: N_("unknown payment"),
        DeliveryOutcome.ATTEMPT_UNKNOWN: N_("unknown attempt to pay"),
        DeliveryOutcome.BOOKING_LOST: N_(
            "%(amount)s was paid here (%(payment_intent)s) for a booking that this database does not have: "
            "refund it in Stripe, and look for its time in Calendly"
        ),
        DeliveryOutcome.TEST_EVENT: N_(
            "test event, and our key is live: its endpoint is of Stripe's test mode; give it another address"
        ),
        DeliveryOutcome.LIVE_EVENT: N_(
            "live event, and our key is a test key: set the live key, or remove this address from the live endpoints"
        ),
        DeliveryOutcome.OTHER_ACCOUNT: N_(
            "event of the connected account %(account)s: let this endpoint listen to your own account alone"
        ),
        DeliveryOutcome.THIN_EVENT: N_(
            "thin event %(type)s, which nothing here needs: remove it from Stripe's event destination"
        ),
        DeliveryOutcome.UNKNOWN_TO_STRIPE: N_(
            "Stripe does not know its object with our key: check that key and endpoint are of one account"
        ),
        DeliveryOutcome.NO_HANDLER: N_("nothing to do for %(type)s"),
        DeliveryOutcome.UNREADABLE: N_("its body is not in the format that the provider publishes"),
        DeliveryOutcome.BODY_DELETED: N_("body deleted"),
        MoneyFinding.MOVEMENT: N_("Stripe: booking %(booking_id)s: %(kind)s of %(amount)s was missing"),
        MoneyFinding.PAYMENT_STATUS: N_(
            "Stripe: booking %(booking_id)s: the payment was %(before)s here, and is %(after)s"
        ),
        MoneyFinding.BOOKING_STATUS: N_("Stripe: booking %(booking_id)s: went from %(before)s to %(after)s"),
        Missing.STRIPE_EVENT: N_("Stripe: %(type)s of %(at)s was never delivered (booking %(booking_id)s)"),
        Missing.BOOKING_LOST: N_(
            "Stripe: %(amount)s (%(payment_intent)s) for a booking that this database does not have; see /operator"
        ),
        Missing.BOOKING_STATUS: N_("Calendly: booking %(booking_id)s: went from %(before)s to %(after)s"),
        Missing.TIME_CANCELED: N_("Calendly: booking %(booking_id)s: its time was canceled"),
        Missing.TIME_CHANGED: N_("Calendly: booking %(booking_id)s: its time was changed"),
        NotFetched.EVENTS: N_("Stripe's events: %(reason)s"),
        NotFetched.EVENT: N_("Stripe's event %(type)s: %(reason)s"),
        NotFetched.MORE_EVENTS: N_("Stripe's events: only %(most)s of %(found)s at a time, the rest next"),
        NotFetched.BOOKING: N_("Stripe, booking %(booking_id)s: %(reason)s"),
        NotFetched.BUILDER: N_("Calendly, builder %(builder_id)s: %(reason)s"),
    }
)


def describe_failure(error: ProviderError) -> str:
    """Why a call to a provider failed, in a few words. ``user_message`` is for clients, who can change nothing."""
    words = gettext(WORDS[error.category])
    scopes = ", ".join(error.missing_scopes) if isinstance(error, CalendlyForbidden) else ""
    return gettext("%(what)s, missing: %(scopes)s", what=words, scopes=scopes) if scopes else words


def describe(code: str | None, facts: Mapping[str, Any]) -> str:
    """An outcome or finding in a few words; empty for no code, which is a row that was not tried yet."""
    if code is None:
        return ""
    known = dict(facts)
    if "category" in facts:
        known["reason"] = gettext(WORDS[facts["category"]])
    if "amount_minor" in facts:
        known["amount"] = format_money(facts["amount_minor"], facts["currency"])
    # Of some rows from before there were codes, their text is all that is known.
    words = gettext(WORDS[code], **known) if code in WORDS else str(facts.get("text", code))
    if "try" in facts:
        return gettext("%(what)s (%(error)s at try %(try)s)", what=words, **facts)
    if "error" in facts:
        return gettext("%(what)s (%(error)s)", what=words, **facts)
    if "fetched" in facts:
        return gettext("%(what)s; fetched, because it was not delivered", what=words)
    return words
