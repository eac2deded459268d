"""What builders read about their connection to Calendly: why it ended, what was done with it, what we may not do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bookingapp.connections.models import AuditEntry, AuditKind, ConnectionReason
from bookingapp.core.i18n import N_, gettext
from bookingapp.integrations.calendly import SCOPES, InvalidClient

_REASONS = {
    ConnectionReason.REVOKED: N_(
        "Calendly no longer accepts our access: it was withdrawn in Calendly, or replaced."
    ),
    ConnectionReason.INTERRUPTED: N_(
        "The last renewal was interrupted before we could store Calendly's answer, and Calendly gives each answer "
        "once."
    ),
    ConnectionReason.REFUSED_AFTER_RENEWAL: N_(
        "Calendly refused our access although it had just been renewed."
    ),
    ConnectionReason.APP_REFUSED: InvalidClient.user_message,
    ConnectionReason.ENDED_BY_BUILDER: N_("You disconnected your Calendly account."),
}
_ACTS = {
    AuditKind.CONNECTION_MADE: N_("You connected your Calendly account."),
    AuditKind.USER_ASSIGNED: N_(
        "The people who run this site connected you with a Calendly account of theirs."
    ),
    AuditKind.CONNECTION_ENDED: _REASONS[ConnectionReason.ENDED_BY_BUILDER],
}


def describe_reason(reason: ConnectionReason, facts: Mapping[str, Any]) -> str:
    """Why a connection ended or could not be renewed. ``facts`` are those stored with the reason."""
    return facts["text"] if reason is ConnectionReason.OTHER else gettext(_REASONS[reason])


def describe_act(entry: AuditEntry) -> str:
    """One entry of the audit log about a builder's own connection."""
    if entry.kind is AuditKind.CONNECTION_DEAD:
        return describe_reason(ConnectionReason(entry.facts["reason"]), entry.facts)
    return entry.facts["text"] if entry.kind is AuditKind.OTHER else gettext(_ACTS[entry.kind])


def describe_scopes(scopes: Iterable[str]) -> list[str]:
    """What each scope permits, with the scope's own name."""
    return [gettext("%(right)s (%(scope)s)", right=gettext(SCOPES[scope]), scope=scope) for scope in scopes]
