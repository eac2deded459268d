"""How a reader changes the language: links on every page, the cookie that keeps it, and what caches have to know.

Which language a request has is decided in :mod:`bookingapp.core.i18n`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from babel import Locale
from flask import Flask, Response, current_app, g, request
from flask.globals import request_ctx
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.core import cookies
from bookingapp.core.i18n import ASKED, LANGUAGES, asked, language

KEPT = timedelta(days=365)


class LanguageLink(NamedTuple):
    """A language that this page can be read in, and where. ``name`` is its own."""

    code: str
    name: str
    address: str
    is_current: bool


def init_app(app: Flask) -> None:
    """Keep what a reader chooses, say the language of each answer, and give templates the links of their page."""
    app.after_request(_mark)
    app.jinja_env.globals.update(language_links=language_links, alternates=alternates)


def keep(response: BaseResponse, code: str) -> None:
    """Let this browser read that language from now on."""
    cookies.keep(response, ASKED, code, lasts=KEPT)


def hide_query() -> None:
    """Leave the query out of this page's links: somebody else has put a secret or a name into it."""
    g.query_is_hidden = True


def language_links() -> list[LanguageLink]:
    """This page in each language: the same path and query. None where there is one language."""
    if len(LANGUAGES) == 1:
        return []
    path, query = _page()
    kept = [(name, value) for name, value in query if name != ASKED]
    return [
        LanguageLink(code, _name(code), f"{path}?{urlencode([*kept, (ASKED, code)])}", code == language())
        for code in LANGUAGES
    ]


def alternates() -> Iterator[tuple[str, str]]:
    """The absolute addresses of a public page, for search engines: ``canonical`` is this one, ``x-default`` the one
    that shows each browser its own language, then one for each language by its code.
    """
    page, code = f"{current_app.config['PUBLIC_ORIGIN']}{request.path}", asked()
    yield "canonical", f"{page}?{ASKED}={code}" if code else page
    yield "x-default", page
    yield from ((code, f"{page}?{ASKED}={code}") for code in LANGUAGES)


@cache
def _name(code: str) -> str:
    name = str(Locale.parse(code).languages[code])
    return name[0].upper() + name[1:]


def _page() -> tuple[str, list[tuple[str, str]]]:
    """Path and query of this page; no path means this one's. Where a form was sent to an address that cannot be opened,
    it is the page of that form, as the browser names it; where that cannot be opened either (a form of the answer to a
    form), the nearest page above it that can.
    """
    if request.method in ("GET", "HEAD") or _can_be_opened(request.path):
        return "", [] if g.get("query_is_hidden") else list(request.args.items(multi=True))
    origin, referrer = current_app.config["PUBLIC_ORIGIN"], request.referrer or ""
    # What is not ours is not parsed: it need not be an address.
    if not referrer.startswith(f"{origin}/"):
        referrer = request.path
    parts = urlsplit(referrer)
    # Two slashes at the beginning would be another host.
    path = f"/{parts.path.lstrip('/')}"
    if _can_be_opened(path):
        return path, parse_qsl(parts.query)
    while path and not _can_be_opened(path):
        path = path.rpartition("/")[0]
    return path or "/", []


def _can_be_opened(path: str) -> bool:
    adapter = request_ctx.url_adapter
    return adapter is not None and adapter.test(path, method="GET")


def _mark(response: Response) -> Response:
    """Say which language the answer is in, and what that depends on, where it has any words; keep a choice."""
    if (found := g.get("language")) is not None:
        response.headers["Content-Language"] = found.code
        response.vary.update(("Accept-Language", "Cookie"))
    code = asked()
    if code is not None and code != cookies.read(ASKED):
        keep(response, code)
    return response
