"""What operators read about connections with Calendly, tokens and keys."""

from __future__ import annotations

from typing import Final

from bookingapp.connections.models import AuditEntry, AuditKind, ConnectionReason
from bookingapp.core.i18n import N_, gettext, ngettext

REASONS: Final = {
    ConnectionReason.REVOKED: N_(
        "Calendly no longer accepts our access: it was withdrawn there, or replaced."
    ),
    ConnectionReason.INTERRUPTED: N_("The last renewal was interrupted before Calendly's answer was stored."),
    ConnectionReason.REFUSED_AFTER_RENEWAL: N_(
        "Calendly refused our access although it had just been renewed."
    ),
    ConnectionReason.APP_REFUSED: N_(
        "Calendly refuses our OAuth app. Check its id and secret in the settings."
    ),
    ConnectionReason.ENDED_BY_BUILDER: N_("The builder disconnected the account."),
}
_ENTRIES: Final = {
    AuditKind.CONNECTION_MADE: N_("A builder connected their Calendly account."),
    AuditKind.CONNECTION_ENDED: REASONS[ConnectionReason.ENDED_BY_BUILDER],
    AuditKind.USER_ASSIGNED: N_("An operator chose a Calendly user for a builder."),
    AuditKind.PLATFORM_TAKEOVER: N_("Calendly refused the platform's token; the other one is used now."),
    AuditKind.PLATFORM_ACCEPTED: N_("Calendly accepts the platform's token again."),
}


def describe_entry(entry: AuditEntry) -> str:
    """One entry of the record, in a sentence."""
    facts = entry.facts
    if "text" in facts:
        return str(facts["text"])
    match entry.kind:
        case AuditKind.CONNECTION_DEAD:
            return describe_reason(ConnectionReason(facts["reason"]))
        case AuditKind.PLATFORM_REFUSED:
            return ngettext(
                "Calendly refused the platform's token. %(num)s builder cannot be booked.",
                "Calendly refused the platform's token. %(num)s builders cannot be booked.",
                int(facts.get("builders", 0)),
            )
        case AuditKind.KEYS_ROTATED:
            return ngettext(
                "%(num)s secret was encrypted again with the newest key.",
                "%(num)s secrets were encrypted again with the newest key.",
                int(facts.get("secrets", 0)),
            )
    return gettext(_ENTRIES[entry.kind])


def describe_reason(reason: ConnectionReason) -> str:
    """Why a connection ended, or could not be renewed."""
    return gettext(REASONS[reason]) if reason in REASONS else gettext("It has ended.")
