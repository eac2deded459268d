"""Renders the body of a delivery for people to read."""

from __future__ import annotations

import json
import re

from bookingapp.core.i18n import gettext

# Stripe repeats where it sends the client: the address of the booking's own page, which opens it.
_CLIENTS_PAGE = re.compile(r"(/bookings/)[0-9a-f]{32}")


def readable_body(body: bytes) -> str:
    """JSON with one field a line; anything else as text, under a line that says so. A signed body may be anything.
    The address of a client's page is masked in it.
    """
    return _CLIENTS_PAGE.sub(r"\1[ref]", _readable(body))


def _readable(body: bytes) -> str:
    try:
        data = json.loads(body)
        return json.dumps(data, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    except (ValueError, RecursionError):
        text = body.decode(errors="backslashreplace")
        # Control characters are escaped: a terminal would obey them.
        plain = "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)
        notice = gettext("(this body is not JSON; it is shown as text)")
        return f"{notice}\n{plain}"
