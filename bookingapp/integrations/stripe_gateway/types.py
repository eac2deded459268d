"""What we ask of Stripe and what we read from its answers and events, as dataclasses.

Amounts are integers in the currency's minor unit. Currencies are ISO 4217 in upper case here (Stripe's wire
has lower case). Times are aware UTC datetimes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class CheckoutRequest:
    """One payment to be made on Stripe's page.

    ``amount_minor`` is at least 1 (a free session needs no Stripe). ``expires_at`` must lie between 30 minutes and 24
    hours after Stripe gets the request. ``success_url`` may contain ``{CHECKOUT_SESSION_ID}``, which Stripe fills in;
    keep the braces unescaped. ``customer_email`` is in ASCII; without it, the page asks the client for one.
    ``locale`` is the language of the page, as an IETF tag that Stripe lists.
    ``metadata`` is put on the session and on the payment intent; ``client_reference_id`` is added to it as
    ``booking``. With ``captures_later`` the client's payment is only authorized: ``capture_payment`` takes the money,
    ``release_payment`` gives it up, and Stripe offers no method that cannot be authorized. Sources: Stripe API
    reference, Create a Checkout Session; Stripe docs, Place a hold on a payment method.
    """

    client_reference_id: str
    amount_minor: int
    currency: str
    product_name: str
    description: str | None
    customer_email: str | None
    success_url: str
    cancel_url: str
    expires_at: datetime
    locale: str = "auto"
    metadata: Mapping[str, str] = field(default_factory=dict)
    excluded_methods: tuple[str, ...] = ()
    captures_later: bool = False


@dataclass(frozen=True)
class BalanceTransaction:
    """What a charge, a refund or a dispute did to the Stripe balance: ``amount_minor`` with its sign, and
    ``fee_minor`` that Stripe kept, both in the currency of the balance, which need not be the payment's.
    """

    id: str
    amount_minor: int
    fee_minor: int
    currency: str


@dataclass(frozen=True)
class CheckoutSession:
    """Stripe's payment page for one booking.

    ``status`` is open, complete or expired; ``payment_status`` is paid, unpaid or no_payment_required.
    ``url`` is there only while it is open, ``payment_intent`` only once the customer has confirmed;
    ``intent_status``, ``capture_method``, ``balance``, ``refunded_minor``, ``is_disputed``, ``voucher_url`` and
    ``charged_at`` (when the customer paid) only where the payment intent was expanded. Refunds that are under way count
    in ``refunded_minor``.
    ``voucher_url`` is Stripe's page of a voucher or transfer that the customer has not paid yet (the intent's
    ``next_action``); ``receipt_url`` is Stripe's receipt; ``balance`` is None until the money is captured.
    ``success_url`` is the address of the site that made it.
    """

    id: str
    url: str | None
    status: str
    payment_status: str
    amount_total: int | None
    currency: str | None
    client_reference_id: str | None
    metadata: Mapping[str, str]
    payment_intent: str | None
    expires_at: datetime | None
    livemode: bool
    intent_status: str | None = None
    balance: BalanceTransaction | None = None
    voucher_url: str | None = None
    receipt_url: str | None = None
    capture_method: str | None = None
    refunded_minor: int = 0
    is_disputed: bool = False
    success_url: str | None = None
    charged_at: datetime | None = None

    @property
    def has_failed(self) -> bool:
        """Whether a delayed payment method failed: such a session stays complete and unpaid for ever."""
        over = self.intent_status in ("requires_payment_method", "canceled") and not self.is_released
        return self.status == "complete" and self.payment_status == "unpaid" and over

    @property
    def is_authorized(self) -> bool:
        """Whether the money is held on the customer's card, to be captured or released."""
        return self.status == "complete" and self.intent_status == "requires_capture"

    @property
    def is_paid(self) -> bool:
        """Whether the money is ours. A complete session need not be paid: delayed methods need days, and an authorized
        payment has to be captured.

        The payment intent decides where it was expanded, because Stripe documents no ``payment_status`` of a session
        whose payment is authorized, captured or released.
        """
        if self.status != "complete" or self.intent_status in ("requires_capture", "canceled"):
            return False
        return self.intent_status == "succeeded" or self.payment_status in ("paid", "no_payment_required")

    @property
    def is_released(self) -> bool:
        """Whether the authorization ended without a capture: we released it, or it expired. No money was taken.

        A canceled intent that captures by itself is a delayed payment that failed (``has_failed``).
        """
        canceled = self.intent_status == "canceled" and self.capture_method == "manual"
        return self.status == "complete" and canceled


@dataclass(frozen=True)
class Refund:
    """Money on its way back to the client. ``status``: pending, requires_action, succeeded, failed or canceled.

    A refund can still fail up to 30 days after it succeeded.
    """

    id: str
    status: str
    amount_minor: int
    currency: str
    payment_intent: str | None
    reason: str | None
    failure_reason: str | None
    metadata: Mapping[str, str]
    created: datetime
    balance: BalanceTransaction | None = None


@dataclass(frozen=True)
class Dispute:
    """A charge that the client disputes with their bank.

    ``status``: needs_response, under_review, won, lost, prevented; or for an inquiry, which moves no money,
    warning_needs_response, warning_under_review, warning_closed. ``due_by`` is when the evidence is due;
    ``movements`` is what it did to the balance so far. Source: Stripe API reference, The Dispute object.
    """

    id: str
    status: str
    reason: str
    amount_minor: int
    currency: str
    payment_intent: str | None
    due_by: datetime | None
    created: datetime
    movements: tuple[BalanceTransaction, ...] = ()


@dataclass(frozen=True)
class FraudWarning:
    """An early fraud warning. It is ``actionable`` until its charge is refunded in full or disputed. Source: Stripe API
    reference, The Early Fraud Warning object.
    """

    id: str
    actionable: bool
    fraud_type: str
    payment_intent: str | None


@dataclass(frozen=True)
class PaymentIntent:
    """The payment behind a session; several declined tries are one intent with several charges. ``failure`` is the code
    of the last try where it failed.

    ``status`` is ``requires_capture`` while the money is authorized: ``capturable_minor`` of it can be captured until
    ``capture_before``, where the charge was expanded and its card says so. ``balance`` is None until it is captured.
    Source: Stripe API reference, The PaymentIntent object; The Charge object.
    """

    id: str
    status: str
    amount_minor: int
    amount_received: int
    currency: str
    latest_charge: str | None
    metadata: Mapping[str, str]
    balance: BalanceTransaction | None = None
    failure: str | None = None
    capturable_minor: int = 0
    capture_before: datetime | None = None


@dataclass(frozen=True)
class WebhookEndpoint:
    """Where Stripe sends events. ``secret`` signs them; Stripe says it only when the endpoint is created."""

    id: str
    url: str
    events: tuple[str, ...]
    enabled: bool
    api_version: str | None
    secret: str | None = None
    created: datetime | None = None


@dataclass(frozen=True)
class StripeEvent:
    """A snapshot event: ``data`` is its ``data.object``, rendered at ``api_version``. ``account`` is set on events of
    connected accounts alone.

    Only a hint: fetch the object, because events come late, twice and in any order.
    """

    id: str
    type: str
    created: datetime
    livemode: bool
    api_version: str | None
    object_type: str
    object_id: str | None
    data: dict[str, Any]
    account: str | None = None


@dataclass(frozen=True)
class ThinEvent:
    """A ``v2.core.event``, which names its object and does not carry it. Nothing here needs one."""

    id: str
    type: str
