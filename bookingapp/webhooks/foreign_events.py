"""Stripe's events that are none of ours although their signature is right: of the other mode, of another account, thin
events, and events about objects that our key does not know. They are noted as what they are, and never an alarm.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings.service import Cause
from bookingapp.core.queue import WorkState
from bookingapp.integrations.stripe_gateway import (
    StripeBadReply,
    StripeNotFound,
    find_thin_event,
    parse_event,
)
from bookingapp.payments import service as payments
from bookingapp.webhooks.handlers import Outcome, Step
from bookingapp.webhooks.models import DeliveryOutcome

log = structlog.get_logger(__name__)


def find_foreign(body: bytes, *, is_live: bool | None) -> Outcome | None:
    """The outcome of an event of Stripe's that is not for us; None for any other. ``is_live`` is the mode of our key,
    None where it does not say.
    """
    thin = find_thin_event(body)
    if thin is not None:
        return Outcome(DeliveryOutcome.THIN_EVENT, WorkState.IGNORED, facts={"type": thin.type})
    try:
        event = parse_event(body)
    except StripeBadReply:
        return None
    if event.account is not None:
        return Outcome(DeliveryOutcome.OTHER_ACCOUNT, WorkState.IGNORED, facts={"account": event.account})
    if is_live is not None and event.livemode is not is_live:
        code = DeliveryOutcome.TEST_EVENT if is_live else DeliveryOutcome.LIVE_EVENT
        return Outcome(code, WorkState.IGNORED)
    return None


def note_unknown(body: bytes, error: StripeNotFound) -> Step:
    """The step of an event whose object Stripe does not know with our key. It raises ``error`` where the object is one
    of ours: then the key is not that of the account which was paid.
    """
    event = parse_event(body)
    intent = event.data.get("payment_intent")
    names = [name for name in (event.object_id, intent) if isinstance(name, str) and name.isprintable()]

    def apply(session: Session, _cause: Cause, _now: datetime) -> Outcome:
        for name in names:
            if payments.find_by_checkout_session(session, name) or payments.find_by_payment_intent(
                session, name
            ):
                raise error
        log.info("event_not_at_stripe", type=event.type)
        return Outcome(DeliveryOutcome.UNKNOWN_TO_STRIPE, WorkState.IGNORED)

    return apply
