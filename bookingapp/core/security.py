"""Response headers: a strict Content-Security-Policy without nonces, because nothing is inline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from flask import Flask, Response, g

from bookingapp.core.settings import Settings

HTMX_URL = "https://cdn.jsdelivr.net/npm/htmx.org@2.0.11/dist/htmx.min.js"
HTMX_INTEGRITY = "sha384-2OatzQy1H+Zd/IIrjr1TcuDGqLXeHhbooAyJY1KdQMKnr4LZ22k31GBLdYKHmVjg"
HTMX_FALLBACK = "vendor/htmx-2.0.11.min.js"


def origin(url: str) -> str:
    """Scheme, host and port of an address, as browsers compare origins."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def allow_sources(**sources: str) -> None:
    """Widen the policy of this one response: ``allow(script_src="https://assets.calendly.com")``."""
    extra: dict[str, list[str]] = g.setdefault("csp_extra", {})
    for directive, source in sources.items():
        extra.setdefault(directive.replace("_", "-"), []).append(source)


def no_store(response: Response) -> Response:
    """Keep a page out of every cache: it belongs to one reader."""
    response.headers["Cache-Control"] = "no-store"
    return response


def init_app(app: Flask, settings: Settings) -> None:
    """Put the headers on every response."""
    policy = {
        "default-src": ["'none'"],
        "script-src": ["'self'", HTMX_URL],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],  # Pico draws its form icons as data: images.
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        # The pay form answers with a redirect to Stripe, which browsers check against form-action too.
        "form-action": ["'self'", origin(settings.stripe_checkout_url)],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }

    headers = {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # A booking's address is its key: it must not travel to Calendly or Stripe in a Referer. The form
        # protection of Flask-WTF needs a Referer on our own origin over https.
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    if settings.public_is_https:
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    usual = _in_words(policy)

    @app.after_request
    def _secure(response: Response) -> Response:
        extra: dict[str, list[str]] = g.get("csp_extra", {})
        names = {**policy, **extra}
        wider = {name: [*policy.get(name, []), *extra.get(name, [])] for name in names} if extra else None
        response.headers.setdefault("Content-Security-Policy", _in_words(wider) if wider else usual)
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response


def _in_words(policy: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in policy.items())
