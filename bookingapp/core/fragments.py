"""Pieces of pages that are the same for many readers, kept as they were rendered first.

``{% call keep("name", key, …) %} … {% endcall %}`` renders its block once for each set of keys, in each language and
process. What the block shows has to follow from the keys and the settings; the keys have few values: an endpoint, a
code, never what somebody typed. With templates that are read again when they change, nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

from flask import Flask, request
from markupsafe import Markup

from bookingapp.core.i18n import language

MOST: Final = 2000


def init_app(app: Flask) -> None:
    """Let templates use ``keep``."""
    kept: dict[tuple[Hashable, ...], Markup] = {}

    def keep(name: str, *keys: Hashable, caller: Callable[[], Markup]) -> Markup:
        if app.jinja_env.auto_reload:
            return caller()
        key = (name, language(), request.script_root, keys)
        found = kept.get(key)
        if found is None:
            if len(kept) >= MOST:
                kept.clear()
            found = kept[key] = caller()
        return found

    app.jinja_env.globals["keep"] = keep
