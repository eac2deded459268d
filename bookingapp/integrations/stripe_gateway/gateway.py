"""The client of Stripe, over its own SDK: Checkout Sessions, refunds, disputes, payment intents, events.

Every method raises a StripeGatewayError. Connection errors, time-outs, 409 and 5xx are repeated by the SDK with the
same idempotency key; StripeRateLimited is for the caller to repeat. An idempotency key comes from our own ids, so
that a repeated business action, and not just a repeated request, is done once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

import stripe

from bookingapp.integrations.sessions import new_session, read_time
from bookingapp.integrations.stripe_gateway.delayed_methods import exclude_methods
from bookingapp.integrations.stripe_gateway.errors import StripeRejected, StripeUnauthorized
from bookingapp.integrations.stripe_gateway.reading import (
    read_checkout_session,
    read_dispute,
    read_event,
    read_fraud_warning,
    read_payment_intent,
    read_refund,
    read_webhook_endpoint,
)
from bookingapp.integrations.stripe_gateway.sdk_errors import stripe_error
from bookingapp.integrations.stripe_gateway.types import (
    CheckoutRequest,
    CheckoutSession,
    Dispute,
    FraudWarning,
    PaymentIntent,
    Refund,
    StripeEvent,
    WebhookEndpoint,
)

if TYPE_CHECKING:
    from stripe import RequestOptions
    from stripe.params import (
        EventListParams,
        RefundCreateParams,
        WebhookEndpointCreateParams,
        WebhookEndpointUpdateParams,
    )
    from stripe.params.checkout import (
        SessionCreateParams,
        SessionCreateParamsLineItemPriceDataProductData,
        SessionListParams,
    )

# Telemetry sends latencies with each request and writes an id into a file of the user's; we want neither.
stripe.enable_telemetry = False
# Below this level the SDK logs what is sent, e-mail addresses included.
logging.getLogger("stripe").setLevel(logging.WARNING)

_PAGE_SIZE: Final = 100
# Expanded, so that the answer has what Stripe kept of the money.
_CHARGE_BALANCE: Final = "latest_charge.balance_transaction"


class _GuardedTransport(stripe.RequestsClient):
    """The SDK's transport that runs ``before_call`` before each real request, automatic repeats included, and
    ``note_time`` with the time that each answer says.
    """

    def __init__(
        self,
        before_call: Callable[[], None],
        note_time: Callable[[datetime], object],
        **how: Any,
    ) -> None:
        super().__init__(**how)
        self._before_call = before_call
        self._note_time = note_time

    # The SDK's own two signatures of this method disagree, so no override can match both.
    def request(  # type: ignore[override]
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        self._before_call()
        answer = super().request(method, url, headers, post_data)
        if (at := read_time(answer[2])) is not None:
            self._note_time(at)
        return answer


def is_live_key(secret_key: str) -> bool | None:
    """Whether a secret or restricted key is of Stripe's live mode; None for one that does not say."""
    match secret_key.split("_")[1:2]:
        case ["live"]:
            return True
        case ["test"]:
            return False
    return None


class StripeGateway:
    """A client for one Stripe account. Create one per process and share it between threads.

    ``timeout`` is (connect, read) in seconds for one try; ``max_retries`` further tries are made.
    ``before_call`` runs before each real HTTP request; what it raises comes through unchanged. ``note_time`` gets
    Stripe's time from each answer that says it.
    """

    def __init__(
        self,
        *,
        secret_key: str,
        api_url: str,
        timeout: tuple[float, float] = (3, 10),
        max_retries: int = 2,
        before_call: Callable[[], None] = lambda: None,
        note_time: Callable[[datetime], object] = lambda _at: None,
    ) -> None:
        secret_key = secret_key.strip()
        self._configured = bool(secret_key)
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_url.rstrip("/")},
            max_network_retries=max_retries,
            http_client=_GuardedTransport(
                before_call, note_time, timeout=timeout, session=new_session(api_url)
            ),
        )

    def create_checkout_session(self, request: CheckoutRequest, *, idempotency_key: str) -> CheckoutSession:
        """Create a payment page. The payment methods are those of the account's settings.

        Source: Stripe API reference, Create a Checkout Session.
        """
        with self._call("create a checkout session"):
            session = self._client.v1.checkout.sessions.create(
                _checkout_params(request), {"idempotency_key": idempotency_key}
            )
            made = read_checkout_session(_to_dict(session))
        # Stripe repeats what it answered the first time: the session may be over since.
        return self.retrieve_checkout_session(made.id) if _is_repeated(session) else made

    def retrieve_checkout_session(self, session_id: str) -> CheckoutSession:
        """The session as it is now, with its payment intent."""
        with self._call("retrieve a checkout session"):
            session = self._client.v1.checkout.sessions.retrieve(
                session_id, {"expand": [f"payment_intent.{_CHARGE_BALANCE}"]}
            )
            return read_checkout_session(_to_dict(session))

    def find_checkout_session(self, payment_intent: str) -> CheckoutSession | None:
        """The session that a payment was made on, as it is now with its payment intent; None where there is none.

        Source: Stripe API reference, List all Checkout Sessions.
        """
        with self._call("find a checkout session"):
            page = self._client.v1.checkout.sessions.list({"payment_intent": payment_intent, "limit": 1})
            found = next((session.id for session in page.data), None)
        return None if found is None else self.retrieve_checkout_session(found)

    def list_checkout_sessions(self, since: datetime, until: datetime) -> tuple[CheckoutSession, ...]:
        """The sessions created between the two (aware), without their payment intents; newest first.

        Other sites may share the account: ``metadata`` says whose they are.
        """
        params: SessionListParams = {
            "created": {"gte": int(since.timestamp()), "lte": int(until.timestamp()) + 1},
            "limit": _PAGE_SIZE,
        }
        with self._call("list checkout sessions"):
            page = self._client.v1.checkout.sessions.list(params)
            return tuple(read_checkout_session(_to_dict(session)) for session in page.auto_paging_iter())

    def expire_checkout_session(self, session_id: str) -> CheckoutSession:
        """Expire an open session, and return it as it is afterwards.

        That may be complete: a payment can win the race. Check ``status`` and ``is_paid``.
        """
        try:
            with self._call("expire a checkout session"):
                return read_checkout_session(_to_dict(self._client.v1.checkout.sessions.expire(session_id)))
        except StripeRejected:
            now = self.retrieve_checkout_session(session_id)
            if now.status == "open":
                raise
            return now

    def create_refund(
        self,
        payment_intent: str,
        amount_minor: int,
        *,
        reason: str | None,
        metadata: Mapping[str, str],
        idempotency_key: str,
    ) -> Refund:
        """Refund ``amount_minor`` of a payment.

        ``reason`` is duplicate, fraudulent, requested_by_customer or None. Stripe repeats a refusal under its key, and
        forgets keys after a day or more: check ``list_refunds`` before a late repeat. Source: Stripe API reference,
        Create a refund; Idempotent requests.
        """
        params: dict[str, Any] = {
            "payment_intent": payment_intent,
            "amount": amount_minor,
            "metadata": dict(metadata),
        }
        if reason is not None:
            params["reason"] = reason
        typed: RefundCreateParams = params  # type: ignore[assignment]  # ``reason`` is checked by Stripe.
        with self._call("create a refund"):
            refund = self._client.v1.refunds.create(typed, {"idempotency_key": idempotency_key})
            return read_refund(_to_dict(refund))

    def list_refunds(self, payment_intent: str) -> tuple[Refund, ...]:
        """All refunds of a payment, also those made in Stripe's dashboard; newest first."""
        with self._call("list refunds"):
            page = self._client.v1.refunds.list(
                {
                    "payment_intent": payment_intent,
                    "limit": _PAGE_SIZE,
                    "expand": ["data.balance_transaction"],
                }
            )
            return tuple(read_refund(_to_dict(refund)) for refund in page.auto_paging_iter())

    def retrieve_payment_intent(self, payment_intent: str) -> PaymentIntent:
        """The payment as it is now."""
        with self._call("retrieve a payment intent"):
            intent = self._client.v1.payment_intents.retrieve(payment_intent, {"expand": [_CHARGE_BALANCE]})
            return read_payment_intent(_to_dict(intent))

    def capture_payment(self, payment_intent: str, *, idempotency_key: str) -> PaymentIntent:
        """Capture all of an authorized payment, and return it as it is afterwards.

        Check ``status``: ``succeeded`` is captured, now or before; ``canceled`` was released or has expired.
        StripeRejected is raised only while the payment is still authorized. Source: Stripe API reference, Capture a
        PaymentIntent.
        """
        return self._end_authorization(
            "capture a payment", self._client.v1.payment_intents.capture, payment_intent, idempotency_key
        )

    def release_payment(self, payment_intent: str, *, idempotency_key: str) -> PaymentIntent:
        """Cancel an authorized payment, and return it as it is afterwards. Stripe makes no refund of it.

        Check ``status``: ``canceled`` is released, now or before; ``succeeded`` was captured. StripeRejected is raised
        only while the payment is still authorized. Source: Stripe API reference, Cancel a PaymentIntent.
        """
        return self._end_authorization(
            "release a payment", self._client.v1.payment_intents.cancel, payment_intent, idempotency_key
        )

    def _end_authorization(
        self,
        operation: str,
        call: Callable[[str, Any, RequestOptions], stripe.PaymentIntent],
        payment_intent: str,
        idempotency_key: str,
    ) -> PaymentIntent:
        try:
            with self._call(operation):
                intent = call(
                    payment_intent, {"expand": [_CHARGE_BALANCE]}, {"idempotency_key": idempotency_key}
                )
                return read_payment_intent(_to_dict(intent))
        except StripeRejected:
            # ``payment_intent_unexpected_state``, or a card that refuses: only its present state says what that means.
            now = self.retrieve_payment_intent(payment_intent)
            if now.status == "requires_capture":
                raise
            return now

    def retrieve_dispute(self, dispute_id: str) -> Dispute:
        """The dispute as it is now."""
        with self._call("retrieve a dispute"):
            return read_dispute(_to_dict(self._client.v1.disputes.retrieve(dispute_id)))

    def list_disputes(self, payment_intent: str) -> tuple[Dispute, ...]:
        """All disputes of a payment."""
        with self._call("list disputes"):
            page = self._client.v1.disputes.list({"payment_intent": payment_intent, "limit": _PAGE_SIZE})
            return tuple(read_dispute(_to_dict(dispute)) for dispute in page.auto_paging_iter())

    def retrieve_fraud_warning(self, warning_id: str) -> FraudWarning:
        """The early fraud warning as it is now."""
        with self._call("retrieve an early fraud warning"):
            return read_fraud_warning(
                _to_dict(self._client.v1.radar.early_fraud_warnings.retrieve(warning_id))
            )

    def list_events(self, since: datetime, types: Sequence[str]) -> tuple[StripeEvent, ...]:
        """Events of ``types`` (at most 20) from ``since`` (aware) on, oldest first.

        Stripe keeps events for 30 days. Source: Stripe API reference, List all events.
        """
        params: EventListParams = {
            "created": {"gte": int(since.timestamp())},
            "types": list(types),
            "limit": _PAGE_SIZE,
        }
        with self._call("list events"):
            found = [_to_dict(event) for event in self._client.v1.events.list(params).auto_paging_iter()]
            return tuple(read_event(event) for event in reversed(found))

    def list_webhook_endpoints(self) -> tuple[WebhookEndpoint, ...]:
        """Every endpoint of the account in the key's mode. Source: Stripe API reference, List webhook endpoints."""
        with self._call("list webhook endpoints"):
            page = self._client.v1.webhook_endpoints.list({"limit": _PAGE_SIZE})
            return tuple(read_webhook_endpoint(_to_dict(one)) for one in page.auto_paging_iter())

    def create_webhook_endpoint(self, url: str, events: Sequence[str]) -> WebhookEndpoint:
        """Create an endpoint, whose events come in the SDK's own version of the API. The answer has its secret."""
        # The parameters' types are lists of literals, and of the SDK's own version alone.
        params = {"url": url, "enabled_events": list(events), "api_version": stripe.api_version}
        with self._call("create a webhook endpoint"):
            made = self._client.v1.webhook_endpoints.create(cast("WebhookEndpointCreateParams", params))
            return read_webhook_endpoint(_to_dict(made))

    def repair_webhook_endpoint(self, endpoint_id: str, events: Sequence[str]) -> WebhookEndpoint:
        """Enable an endpoint for these events and no others; its secret and version stay."""
        params = {"enabled_events": list(events), "disabled": False}
        with self._call("repair a webhook endpoint"):
            made = self._client.v1.webhook_endpoints.update(
                endpoint_id, cast("WebhookEndpointUpdateParams", params)
            )
            return read_webhook_endpoint(_to_dict(made))

    @contextmanager
    def _call(self, operation: str) -> Iterator[None]:
        """Runs a block of SDK calls; every ``stripe.StripeError`` becomes one of our errors.

        The SDK's own exception is not chained: it carries the whole answer, personal data included.
        """
        if not self._configured:
            raise StripeUnauthorized(f"{operation}: no Stripe secret key is configured")
        try:
            yield
        except stripe.StripeError as error:
            raise stripe_error(operation, error) from None


def _checkout_params(request: CheckoutRequest) -> SessionCreateParams:
    if request.amount_minor <= 0:
        raise ValueError("a checkout session needs an amount")
    metadata = {**request.metadata, "booking": request.client_reference_id}
    product: SessionCreateParamsLineItemPriceDataProductData = {"name": request.product_name}
    if request.description:
        product["description"] = request.description
    params: SessionCreateParams = {
        "mode": "payment",
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": request.currency.lower(),
                    "unit_amount": request.amount_minor,
                    "product_data": product,
                },
            }
        ],
        "success_url": request.success_url,
        "cancel_url": request.cancel_url,
        "client_reference_id": request.client_reference_id,
        "expires_at": int(request.expires_at.timestamp()),
        # The tags are the SDK's own list of literals.
        "locale": cast("Any", request.locale),
        "metadata": metadata,
        # Not copied by Stripe: refunds and disputes carry only what the payment intent has.
        "payment_intent_data": {"metadata": metadata},
    }
    if request.captures_later:
        # For the whole payment and not for each method, so that Stripe hides what cannot be authorized.
        params["payment_intent_data"]["capture_method"] = "manual"
    if request.customer_email is not None:
        params["customer_email"] = request.customer_email
    exclude_methods(params, request.excluded_methods)
    return params


def _is_repeated(answer: stripe.StripeObject) -> bool:
    """Whether the answer is that of an earlier request with the same idempotency key.

    Source: Stripe API reference, Idempotent requests (``Idempotent-Replayed``).
    """
    response = answer.last_response
    return response is not None and (response.headers or {}).get("Idempotent-Replayed") == "true"


def _to_dict(found: stripe.StripeObject) -> dict[str, Any]:
    return found.to_dict(for_json=True)
