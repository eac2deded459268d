"""Whether deliveries arrive, for ``flask doctor``: test deliveries of ours, and Stripe's own."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.core.clock import iso, utcnow
from bookingapp.core.db import reading
from bookingapp.core.i18n import gettext
from bookingapp.core.settings import Settings, reveal, reveal_all
from bookingapp.integrations import probe
from bookingapp.integrations.stripe_gateway import StripeEvent, WebhookEndpoint, is_live_key
from bookingapp.operations.findings import Finding, Level, Patient
from bookingapp.webhooks.models import InboxEvent, Provider
from bookingapp.webhooks.service import PROXIES_HEADER, SIGNATURE_HEADERS

TEST_EVENT: Final = "bookingapp.doctor"
# Stripe delivers within seconds; younger events may be under way.
DELIVERED_WITHIN: Final = timedelta(minutes=2)


def judge_events(
    session: Session, endpoint: WebhookEndpoint | None, events: Sequence[StripeEvent]
) -> tuple[Level, str] | None:
    """Whether Stripe's own deliveries arrive: ours is signed with the secret of the settings, whatever Stripe has."""
    since = endpoint.created if endpoint and endpoint.created else utcnow()
    due = [one for one in events if since <= one.created <= utcnow() - DELIVERED_WITHIN]
    signed = sa.select(InboxEvent.id).where(
        InboxEvent.provider == Provider.STRIPE, InboxEvent.type != TEST_EVENT, InboxEvent.key_index >= 0
    )
    with reading(session):
        has_any = session.scalar(signed.limit(1)) is not None
        is_here = due and session.scalar(signed.where(InboxEvent.event_key == due[-1].id)) is not None
    if not due:
        words = gettext(
            "None has come yet, so nothing shows that STRIPE_WEBHOOK_SECRETS is of this endpoint."
        )
        return None if has_any else (Level.CHECK, words)
    if is_here:
        return None
    if has_any:
        words = gettext(
            "The newest has not come, of %(time)s. Stripe sends it again.", time=iso(due[-1].created)
        )
        return Level.CHECK, words
    words = gettext(
        "None of Stripe's own deliveries was accepted. STRIPE_WEBHOOK_SECRETS is of another endpoint: please put the "
        "signing secret of this one first, and restart."
    )
    return Level.BAD, words


def check_deliveries(patient: Patient) -> Iterator[Finding]:
    """Through ``PUBLIC_URL`` and everything in front of it, into this database."""
    settings = patient.settings
    keys = {
        Provider.CALENDLY: reveal_all(settings.calendly_webhook_signing_keys),
        Provider.STRIPE: reveal_all(settings.stripe_webhook_secrets),
    }
    proxies: dict[str, None] = {}
    for provider, known in keys.items():
        topic = gettext("test delivery")
        url = f"{settings.public_url}/webhooks/{provider.value}"
        if not known:
            words = gettext("There is no key to sign one for %(url)s.", url=url)
            yield Finding(topic, Level.BAD, words)
            continue
        now = utcnow()
        body = json.dumps(
            _test_event(provider, now, is_live=is_live_key(reveal(settings.stripe_secret_key) or ""))
        )
        header = SIGNATURE_HEADERS[provider]
        try:
            answer = probe.deliver(
                url, body.encode(), header=header, key=known[0], at=now, wanted=PROXIES_HEADER
            )
        except probe.CertificateRefused:
            words = gettext(
                "The certificate at %(url)s is not valid: is it expired, for another name, or without its chain? No "
                "provider delivers there.",
                url=url,
            )
            yield Finding(topic, Level.BAD, words)
            continue
        except OSError:
            words = gettext(
                "Nothing answers at %(url)s. Please check PUBLIC_URL, DNS and the proxy.", url=url
            )
            yield Finding(topic, Level.BAD, words)
            continue
        yield Finding(topic, *_judge_delivery(patient.session, url, answer.status, body.encode()))
        proxies[answer.header or ""] = None
    yield from _judge_proxies(settings, [int(one) for one in proxies if one.isdecimal()])


def _judge_proxies(settings: Settings, found: Sequence[int]) -> Iterator[Finding]:
    """Whether as many proxies are in front as the settings say. None are where they say https and none."""
    number = settings.trusted_proxies
    if [one for one in found if one != number] and (number or not settings.public_is_https):
        words = gettext(
            "The test deliveries came through %(found)s, and TRUSTED_PROXIES is %(number)s. A wrong number lets "
            "visitors claim any address, or all share the limits of one. Please set TRUSTED_PROXIES=%(found)s, unless "
            "this machine takes a shorter way to PUBLIC_URL than visitors do.",
            found=max(found),
            number=number,
        )
        yield Finding(gettext("proxy"), Level.CHECK, words)


def _judge_delivery(session: Session, url: str, status: int, body: bytes) -> tuple[Level, str]:
    if status in (400, 401):
        words = gettext("%(url)s refuses our own signature: it runs with other keys.", url=url)
    elif 300 <= status < 400:  # noqa: PLR2004
        words = gettext(
            "%(url)s redirects (%(status)s), and no provider follows. Please set PUBLIC_URL to where it leads.",
            url=url,
            status=status,
        )
    elif status in (502, 504):
        words = gettext(
            "The proxy at %(url)s does not reach the application (%(status)s). Please start it: flask --app wsgi serve",
            url=url,
            status=status,
        )
    elif not 200 <= status < 300:  # noqa: PLR2004
        words = gettext("%(url)s answers %(status)s and not 200.", url=url, status=status)
    else:
        with reading(session):
            query = sa.select(InboxEvent.id).where(InboxEvent.type == TEST_EVENT, InboxEvent.body == body)
            if session.scalar(query) is not None:
                return Level.GOOD, gettext("arrives through %(url)s", url=url)
        words = gettext("%(url)s answers, and stores it in another database.", url=url)
    return Level.BAD, words


def _test_event(provider: Provider, now: datetime, *, is_live: bool | None) -> dict[str, Any]:
    """A delivery of a type that is in no route: it is stored, and ignored."""
    token = secrets.token_hex(12)
    if provider is Provider.CALENDLY:
        created = iso(now)
        return {"event": TEST_EVENT, "created_at": created, "payload": {"uri": token, "updated_at": created}}
    return {
        "id": f"evt_doctor_{token}",
        "object": "event",
        "type": TEST_EVENT,
        "created": int(now.timestamp()),
        "livemode": is_live is True,
        "api_version": None,
        "data": {"object": {"object": TEST_EVENT}},
    }
