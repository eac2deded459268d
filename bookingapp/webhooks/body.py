"""Renders the body of a delivery for people to read."""

from __future__ import annotations

import json

from bookingapp.core.i18n import gettext


def readable_body(body: bytes) -> str:
    """JSON with one field a line; anything else as text, under a line that says so. A signed body may be anything."""
    try:
        data = json.loads(body)
        return json.dumps(data, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    except (ValueError, RecursionError):
        text = body.decode(errors="backslashreplace")
        # Control characters are escaped: a terminal would obey them.
        plain = "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)
        notice = gettext("(this body is not JSON; it is shown as text)")
        return f"{notice}\n{plain}"
