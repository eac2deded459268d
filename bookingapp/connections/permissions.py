"""What a token of Calendly's may do, found out by harmless calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from bookingapp.integrations.calendly import CalendlyClient, CalendlyForbidden, User

# Scopes that no harmless call can test.
NOT_TRIED: Final = ("scheduled_events:write", "scheduling_links:write")


class Permission(NamedTuple):
    """Whether a token has a scope. ``missing`` are the scopes that Calendly asks for, where it has not."""

    scope: str
    missing: tuple[str, ...]


def probe_permissions(
    client: CalendlyClient, tenant: str, user: User, organization: str, *, now: datetime
) -> Iterator[Permission]:
    """Try each scope that can be tried. Raises :class:`CalendlyError` where Calendly fails otherwise."""
    times = now + timedelta(minutes=10), now + timedelta(days=1)
    types = client.list_event_types
    probes: dict[str, Callable[[], object]] = {
        "event_types:read": lambda: types(tenant, user.uri, at_most=timedelta()),
        "availability:read": lambda: [
            client.available_times(tenant, one.uri, *times)
            for one in types(tenant, user.uri).value[:1]
            if one.active
        ],
        "scheduled_events:read": lambda: client.scheduled_events(tenant, user.uri, *times),
        "webhooks:write": lambda: client.webhook_subscriptions(
            tenant, organization=organization, scope="organization"
        ),
    }
    for scope, probe in probes.items():
        try:
            probe()
        except CalendlyForbidden as error:
            # What is read here is written elsewhere, and a write scope includes its read scope.
            half = scope.replace(":write", ":read")
            names = (scope if name == half else name for name in error.missing_scopes or (scope,))
            yield Permission(scope, tuple(names))
        else:
            yield Permission(scope, ())
