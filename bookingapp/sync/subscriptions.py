"""Our webhook subscriptions in Calendly: which are needed, and how one is inspected and repaired.

The hourly check of all of them is in :mod:`bookingapp.sync.subscription_checks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder
from bookingapp.connections.models import CalendlyConnection, ConnectionState
from bookingapp.core.db import end_read
from bookingapp.integrations.calendly import (
    CalendlyClient,
    CalendlyNotFound,
    CalendlyRejected,
    CalendlyUnavailable,
    User,
    WebhookSubscription,
)
from bookingapp.sync.models import Found
from bookingapp.webhooks.handlers import Endpoint
from bookingapp.webhooks.routing import CALENDLY_EVENTS

TRIES = 3


@dataclass(frozen=True)
class Target:
    """One subscription that is needed: whose token creates it, and whose events it delivers. ``builder_id`` is None for
    the platform's, which delivers the events of its whole organization.
    """

    tenant: str
    organization: str
    builder_id: int | None = None
    user: str | None = None
    name: str = "subscription"

    @property
    def scope(self) -> str:
        """Calendly's name for the kind of subscription."""
        return "organization" if self.user is None else "user"


@dataclass(frozen=True)
class SubscriptionFinding:
    """How a subscription was found, since when it had been failing (UTC, if Calendly says), and whether we ``made`` it
    (anew).
    """

    found: Found
    since: datetime | None = None
    made: bool = False


def platform_organization(user: User) -> str:
    """The organization of the platform's token. Raises :class:`CalendlyUnavailable` if Calendly does not name it."""
    if user.current_organization is None:
        raise CalendlyUnavailable("no organization in the answer about the token's user")
    return user.current_organization


def list_builder_targets(session: Session, organization: str | None) -> list[Target]:
    """One target for each builder whose own account is outside of ``organization``, the platform's."""
    query = (
        sa.select(Builder, CalendlyConnection.organization_uri)
        .join(CalendlyConnection, CalendlyConnection.builder_id == Builder.id)
        .where(CalendlyConnection.state == ConnectionState.CONNECTED)
        .order_by(Builder.id)
    )
    found = [
        Target(
            builder.tenant,
            theirs,
            builder.id,
            builder.calendly_user,
            f"subscription of {builder.slug}",
        )
        for builder, theirs in session.execute(query)
        if theirs is not None and not _same_organization(theirs, organization)
    ]
    end_read(session)
    return found


def ensure_subscription(calendly: CalendlyClient, target: Target, endpoint: Endpoint) -> SubscriptionFinding:
    """Make sure that a subscription exists, is active, and names every event that we handle; replace broken ones.

    Safe to repeat, and in several processes at once: the second finds it made. Raises the client's errors.
    """
    first: SubscriptionFinding | None = None
    made = False
    refused: CalendlyRejected | None = None
    for _ in range(TRIES):
        mine = _list_ours(calendly, target, endpoint)
        whole = [one for one in mine if _is_whole(one)]
        first = first or _find_state(mine, whole)
        if whole:
            return SubscriptionFinding(first.found, first.since, made)
        for broken in mine:
            _delete_subscription(calendly, target, broken)
        try:
            _create_subscription(calendly, target, endpoint)
            made = True
        except CalendlyRejected as error:
            # Another process was faster; the next round checks what it made.
            if error.code != "already_exists":
                raise
            refused = error
    raise refused or CalendlyUnavailable("the subscription was made, and is not listed")


def renew_subscription(calendly: CalendlyClient, target: Target, endpoint: Endpoint) -> SubscriptionFinding:
    """Delete a subscription and create it again, because only a new one gets another signing key. What happens in
    between is fetched by reconciliation. Raises the client's errors.
    """
    for one in _list_ours(calendly, target, endpoint):
        _delete_subscription(calendly, target, one)
    return ensure_subscription(calendly, target, endpoint)


def inspect_subscription(calendly: CalendlyClient, target: Target, endpoint: Endpoint) -> SubscriptionFinding:
    """The state of a subscription, without repairing it."""
    mine = _list_ours(calendly, target, endpoint)
    return _find_state(mine, [one for one in mine if _is_whole(one)])


def _list_ours(calendly: CalendlyClient, target: Target, endpoint: Endpoint) -> list[WebhookSubscription]:
    found = calendly.webhook_subscriptions(
        target.tenant, organization=target.organization, scope=target.scope, user=target.user
    )
    return [one for one in found if one.callback_url == endpoint.url]


def _is_whole(one: WebhookSubscription) -> bool:
    return one.state == "active" and set(CALENDLY_EVENTS) <= set(one.events)


def _find_state(
    mine: Sequence[WebhookSubscription], whole: Sequence[WebhookSubscription]
) -> SubscriptionFinding:
    if whole:
        started = whole[0].retry_started_at
        return SubscriptionFinding(Found.RETRYING if started else Found.ACTIVE, started)
    if not mine:
        return SubscriptionFinding(Found.MISSING)
    disabled = [one for one in mine if one.state != "active"]
    started = min((one.retry_started_at for one in mine if one.retry_started_at), default=None)
    return SubscriptionFinding(Found.DISABLED if disabled else Found.INCOMPLETE, started)


def _delete_subscription(calendly: CalendlyClient, target: Target, broken: WebhookSubscription) -> None:
    try:
        calendly.delete_webhook_subscription(target.tenant, broken.uri)
    except CalendlyNotFound:
        return  # Another process was faster.


def _create_subscription(calendly: CalendlyClient, target: Target, endpoint: Endpoint) -> None:
    # Calendly signs what it delivers to an OAuth app with the app's own key, which we cannot choose.
    key = endpoint.signing_key if target.builder_id is None else None
    calendly.create_webhook_subscription(
        target.tenant,
        url=endpoint.url,
        events=CALENDLY_EVENTS,
        organization=target.organization,
        scope=target.scope,
        user=target.user,
        signing_key=key.get_secret_value() if key else None,
    )


def _same_organization(uri: str, other: str | None) -> bool:
    return other is not None and uri.rpartition("/")[2] == other.rpartition("/")[2]
