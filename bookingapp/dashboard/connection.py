"""Is everything well with the builder's Calendly, in words."""

from __future__ import annotations

from datetime import timedelta

from bookingapp.builders.models import Builder
from bookingapp.core.db import end_request_read
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError

Check = tuple[str, str, str]


def check_connection(calendly: CalendlyClient, builder: Builder, *, waiting: int, dead: int) -> list[Check]:
    """Each check as label, ``ok``/``warning``/``problem``, and a sentence. Asks Calendly."""
    end_request_read()
    found: list[Check] = []
    try:
        # Not from what is kept: whoever opens this page wants to know how things are now.
        fetched = calendly.list_event_types(builder.tenant, builder.calendly_user_uri, at_most=timedelta())
    except CalendlyError as error:
        found.append(("Calendly", "problem", error.user_message))
    else:
        number = sum(event_type.listed for event_type in fetched.value)
        if fetched.stale:
            found.append(
                ("Calendly", "warning", "Calendly does not answer just now; the last good answer is shown.")
            )
        elif number:
            found.append(
                (
                    "Calendly",
                    "ok",
                    f"Calendly answers and lists {number} active event type{'s' if number != 1 else ''}.",
                )
            )
        else:
            found.append(
                ("Calendly", "warning", "Calendly answers, but lists no active event type of yours.")
            )
    if dead:
        found.append(
            ("Webhooks", "problem", f"{dead} deliveries could not be applied and need the operator.")
        )
    elif waiting:
        found.append(("Webhooks", "warning", f"{waiting} deliveries wait to be applied."))
    else:
        found.append(("Webhooks", "ok", "Everything that Calendly and Stripe have told us is applied."))
    return found
