"""The two endpoints: verify the raw body, store it, answer. The worker applies it (``webhooks.tasks``)."""

from __future__ import annotations

from datetime import timedelta

import structlog
from flask import Blueprint, Response, abort, g, jsonify, request
from pydantic import SecretStr
from werkzeug.exceptions import RequestEntityTooLarge

from bookingapp.core import bodies, edge, services
from bookingapp.core.clock import utcnow
from bookingapp.core.errors import Unavailable
from bookingapp.core.extensions import csrf, limiter
from bookingapp.core.settings import Settings
from bookingapp.integrations.signatures import NoKeys, SignatureError, verify
from bookingapp.webhooks import service
from bookingapp.webhooks.intake import Intake
from bookingapp.webhooks.models import Provider

blueprint = Blueprint("webhooks", __name__)
csrf.exempt(blueprint)
edge.read_raw(blueprint)
log = structlog.get_logger(__name__)

LARGEST_BODY = bodies.LARGEST_BODY
# Only refused deliveries count against a sender: a provider that retries everything it could not deliver must not be
# limited.
REFUSALS = limiter.shared_limit("1000/minute", scope="webhooks-refused")


@limiter.request_filter
def _is_not_counted() -> bool:
    """Whether the limit is not checked, which would cost a tenth of accepting a delivery: until it is refused."""
    return request.blueprint == blueprint.name and not g.get("is_refused", False)


# Both spellings are routes of their own: a redirect to the right one would count as a failed delivery.
@blueprint.post("/webhooks/calendly")
@blueprint.post("/webhooks/calendly/")
def calendly() -> Response:
    """A delivery from Calendly."""
    return _receive_delivery(Provider.CALENDLY, services.get(Settings).calendly_webhook_signing_keys)


@blueprint.post("/webhooks/stripe")
@blueprint.post("/webhooks/stripe/")
def stripe() -> Response:
    """A delivery from Stripe."""
    return _receive_delivery(Provider.STRIPE, services.get(Settings).stripe_webhook_secrets)


def _receive_delivery(provider: Provider, keys: tuple[SecretStr, ...]) -> Response:
    from bookingapp.webhooks import counters  # noqa: PLC0415 - its module says why

    request.max_content_length = LARGEST_BODY
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        counters.count_refused(provider, counters.TOO_LARGE)
        raise
    now = utcnow()
    try:
        verified = verify(
            header=request.headers.get(service.SIGNATURE_HEADERS[provider]),
            body=body,
            keys=[key.get_secret_value() for key in keys],
            now=now,
            tolerance=timedelta(seconds=services.get(Settings).webhook_tolerance_seconds),
        )
    except NoKeys:
        counters.count_refused(provider, counters.NO_KEY)
        log.error("webhook_key_missing", provider=provider)  # noqa: TRY400 - the setting is missing; a traceback says no more.
        abort(503)
    except SignatureError as error:
        counters.count_refused(provider, error.reason)
        g.is_refused = True
        with REFUSALS:
            log.warning("webhook_refused", provider=provider, reason=error.reason)
        response = jsonify(error="the signature is not valid", reason=error.reason)
        response.status_code = 401
        return response
    intake, headers = services.get(Intake), dict(request.headers)
    try:
        fresh = service.store_delivery(
            intake, provider, body=body, headers=headers, verified=verified, now=now
        )
    except Unavailable:
        counters.count_refused(provider, counters.NOT_STORED)
        raise
    counters.count_accepted(provider, fresh=fresh)
    answer = jsonify(received=True, duplicate=not fresh)
    # How many proxies have said whom it comes from, so that `flask doctor` can compare TRUSTED_PROXIES.
    answer.headers[service.PROXIES_HEADER] = str(
        sum(map(bool, request.headers.get("X-Forwarded-For", "").split(",")))
    )
    return answer
