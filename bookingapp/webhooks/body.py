"""A body as a person reads it."""

from __future__ import annotations

import json

NOT_JSON = "(this body is not JSON; it is shown as text)"


def readable_body(body: bytes) -> str:
    """JSON with one field a line; anything else as text, and said so. A body that was signed may hold anything."""
    try:
        data = json.loads(body)
        return json.dumps(data, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    except (ValueError, RecursionError):
        text = body.decode(errors="backslashreplace")
        # What a terminal would obey is written out.
        plain = "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)
        return f"{NOT_JSON}\n{plain}"
