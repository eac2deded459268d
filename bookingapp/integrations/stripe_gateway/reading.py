"""From Stripe's JSON to our types: answers of the API, objects inside events, and events themselves.

Every function gets the plain JSON object and raises StripeBadReply, which names fields and never their values. Unknown
fields are ignored; a related object may be an id or, where it was expanded, the object itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from bookingapp.integrations.stripe_gateway.errors import StripeBadReply
from bookingapp.integrations.stripe_gateway.types import (
    BalanceTransaction,
    CheckoutSession,
    Dispute,
    FraudWarning,
    PaymentIntent,
    Refund,
    StripeEvent,
    ThinEvent,
    WebhookEndpoint,
)

T = TypeVar("T")

LONGEST_LINK = 2000


def read_checkout_session(data: Mapping[str, Any]) -> CheckoutSession:
    """A ``checkout.session`` object."""
    currency = _maybe(_text, data, "currency")
    intent = _expanded(data, "payment_intent")
    charge = _expanded(intent, "latest_charge")
    return CheckoutSession(
        id=_text(data, "id"),
        url=_maybe(_text, data, "url"),
        status=_text(data, "status"),
        payment_status=_text(data, "payment_status"),
        amount_total=_maybe(_whole_number, data, "amount_total"),
        currency=None if currency is None else currency.upper(),
        client_reference_id=_maybe(_text, data, "client_reference_id"),
        metadata=_metadata(data),
        payment_intent=_reference(data, "payment_intent"),
        expires_at=_maybe(_moment, data, "expires_at"),
        livemode=data.get("livemode") is True,
        intent_status=_maybe(_text, intent, "status"),
        balance=_charge_balance(charge),
        voucher_url=_voucher_url(intent),
        receipt_url=_link(charge, "receipt_url"),
        capture_method=_maybe(_text, intent, "capture_method"),
        refunded_minor=_maybe(_whole_number, charge, "amount_refunded") or 0,
        is_disputed=charge.get("disputed") is True,
        success_url=_maybe(_text, data, "success_url"),
        charged_at=_maybe(_moment, charge, "created"),
    )


def _voucher_url(intent: Mapping[str, Any]) -> str | None:
    """The page of a ``next_action`` with details to pay by, as in ``konbini_display_details``."""
    action = _expanded(intent, "next_action")
    details = _expanded(action, _maybe(_text, action, "type") or "")
    return _link(details, "hosted_voucher_url") or _link(details, "hosted_instructions_url")


def _link(data: Mapping[str, Any], name: str) -> str | None:
    """An address that becomes a link on our page. One that a database does not take must not lose the payment."""
    url = _maybe(_text, data, name)
    is_link = url is not None and url.isprintable() and url.startswith(("https://", "http://"))
    return url if is_link and len(url or "") <= LONGEST_LINK else None


def read_refund(data: Mapping[str, Any]) -> Refund:
    """A ``refund`` object."""
    return Refund(
        id=_text(data, "id"),
        status=_text(data, "status"),
        amount_minor=_whole_number(data, "amount"),
        currency=_text(data, "currency").upper(),
        payment_intent=_reference(data, "payment_intent"),
        reason=_maybe(_text, data, "reason"),
        failure_reason=_maybe(_text, data, "failure_reason"),
        metadata=_metadata(data),
        created=_moment(data, "created"),
        balance=_balance(data),
    )


def read_dispute(data: Mapping[str, Any]) -> Dispute:
    """A ``dispute`` object."""
    details = _expanded(data, "evidence_details")
    movements = data.get("balance_transactions") or []
    return Dispute(
        id=_text(data, "id"),
        status=_text(data, "status"),
        reason=_text(data, "reason"),
        amount_minor=_whole_number(data, "amount"),
        currency=_text(data, "currency").upper(),
        payment_intent=_reference(data, "payment_intent"),
        due_by=_maybe(_moment, details, "due_by"),
        created=_moment(data, "created"),
        movements=tuple(read_balance_transaction(one) for one in movements),
    )


def read_balance_transaction(data: Mapping[str, Any]) -> BalanceTransaction:
    """A ``balance_transaction`` object."""
    return BalanceTransaction(
        id=_text(data, "id"),
        amount_minor=_whole_number(data, "amount"),
        fee_minor=_maybe(_whole_number, data, "fee") or 0,
        currency=_text(data, "currency").upper(),
    )


def read_fraud_warning(data: Mapping[str, Any]) -> FraudWarning:
    """A ``radar.early_fraud_warning`` object."""
    return FraudWarning(
        id=_text(data, "id"),
        actionable=data.get("actionable") is True,
        fraud_type=_text(data, "fraud_type"),
        payment_intent=_reference(data, "payment_intent"),
    )


def read_payment_intent(data: Mapping[str, Any]) -> PaymentIntent:
    """A ``payment_intent`` object."""
    error = _expanded(data, "last_payment_error")
    charge = _expanded(data, "latest_charge")
    card = _expanded(_expanded(charge, "payment_method_details"), "card")
    return PaymentIntent(
        id=_text(data, "id"),
        status=_text(data, "status"),
        amount_minor=_whole_number(data, "amount"),
        amount_received=_maybe(_whole_number, data, "amount_received") or 0,
        currency=_text(data, "currency").upper(),
        latest_charge=_reference(data, "latest_charge"),
        metadata=_metadata(data),
        balance=_charge_balance(charge),
        failure=_maybe(_text, error, "decline_code") or _maybe(_text, error, "code"),
        capturable_minor=_maybe(_whole_number, data, "amount_capturable") or 0,
        capture_before=_maybe(_moment, card, "capture_before"),
    )


def read_webhook_endpoint(data: Mapping[str, Any]) -> WebhookEndpoint:
    """A ``webhook_endpoint`` object."""
    events = data.get("enabled_events")
    if not isinstance(events, list):
        raise _unreadable_error("enabled_events")
    return WebhookEndpoint(
        id=_required_id(data, "id"),
        url=_text(data, "url"),
        events=tuple(str(one) for one in events),
        enabled=data.get("status") == "enabled",
        api_version=_maybe(_text, data, "api_version"),
        secret=_maybe(_text, data, "secret"),
        created=_maybe(_moment, data, "created"),
    )


def read_event(data: Mapping[str, Any]) -> StripeEvent:
    """A snapshot ``event``. A thin event (``v2.core.event``) carries no object and is a StripeBadReply."""
    if data.get("object") != "event":
        raise StripeBadReply("not a snapshot event")
    envelope = data.get("data")
    found = envelope.get("object") if isinstance(envelope, dict) else None
    if not isinstance(found, dict):
        raise StripeBadReply("an event without its object")
    return StripeEvent(
        id=_text(data, "id"),
        type=_text(data, "type"),
        created=_moment(data, "created"),
        livemode=data.get("livemode") is True,
        api_version=_maybe(_text, data, "api_version"),
        object_type=_text(found, "object"),
        object_id=_maybe(_required_id, found, "id"),
        data=found,
        account=_maybe(_required_id, data, "account"),
    )


def parse_event(body: bytes) -> StripeEvent:
    """The event in a webhook's raw body, whose signature was checked before (``signatures``)."""
    return read_event(_json_object(body))


def find_thin_event(body: bytes) -> ThinEvent | None:
    """The thin event in a webhook's raw body; None where it holds anything else."""
    try:
        data = _json_object(body)
        if data.get("object") != "v2.core.event":
            return None
        return ThinEvent(_required_id(data, "id"), _required_id(data, "type"))
    except StripeBadReply:
        return None


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise StripeBadReply("the event is not JSON") from None
    if not isinstance(data, dict):
        raise StripeBadReply("the event is not a JSON object")
    return data


def _unreadable_error(name: str) -> StripeBadReply:
    return StripeBadReply(f"a Stripe object without a readable {name}")


def _maybe(read: Callable[[Mapping[str, Any], str], T], data: Mapping[str, Any], name: str) -> T | None:
    """What ``read`` makes of a field, or None where it is missing or null."""
    return None if data.get(name) is None else read(data, name)


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise _unreadable_error(name)
    return value


def _required_id(data: Mapping[str, Any], name: str) -> str:
    value = _text(data, name)
    # What cannot even be printed is no id, and no database accepts it.
    if not value.isprintable():
        raise _unreadable_error(name)
    return value


def _whole_number(data: Mapping[str, Any], name: str) -> int:
    value = data.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _unreadable_error(name)
    return value


def _moment(data: Mapping[str, Any], name: str) -> datetime:
    try:
        return datetime.fromtimestamp(_whole_number(data, name), UTC)
    except (OverflowError, ValueError, OSError):
        raise _unreadable_error(name) from None


def _reference(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    return _text(value, "id") if isinstance(value, dict) else _maybe(_text, data, name)


def _expanded(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A related object where it was expanded, else nothing."""
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def _balance(data: Mapping[str, Any]) -> BalanceTransaction | None:
    found = _expanded(data, "balance_transaction")
    return read_balance_transaction(found) if found else None


def _charge_balance(charge: Mapping[str, Any]) -> BalanceTransaction | None:
    """What a charge did to the balance: nothing until it is captured. ``paid`` is true of an authorized one too."""
    return None if charge.get("captured") is False else _balance(charge)


def _metadata(data: Mapping[str, Any]) -> dict[str, str]:
    value = data.get("metadata")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _unreadable_error("metadata")
    return {str(key): str(text) for key, text in value.items()}
