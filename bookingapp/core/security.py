"""The headers of responses: what browsers may load, embed, store and send to other sites.

The Content-Security-Policy needs no nonces, because pages have no inline script or style.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from flask import Flask, Response, g, request

from bookingapp.core.settings import Settings

HTMX_URL = "https://cdn.jsdelivr.net/npm/htmx.org@2.0.11/dist/htmx.min.js"
HTMX_INTEGRITY = "sha384-2OatzQy1H+Zd/IIrjr1TcuDGqLXeHhbooAyJY1KdQMKnr4LZ22k31GBLdYKHmVjg"
HTMX_FALLBACK = "vendor/htmx-2.0.11.min.js"


_USUAL_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> str:
    """``https://host:port`` of an address as browsers write it: in ASCII, without the scheme's usual port."""
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode("ascii")
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _USUAL_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def checkout_origins(settings: Settings) -> list[str]:
    """Where the pay form may lead: Stripe's own host, and the account's custom domain."""
    custom = settings.stripe_checkout_domain
    return [origin(settings.stripe_checkout_url), *([f"https://{custom}"] if custom else [])]


def allow_sources(**sources: str) -> None:
    """Add sources to the policy of this one response: ``allow_sources(script_src="https://assets.calendly.com")``."""
    extra: dict[str, list[str]] = g.setdefault("csp_extra", {})
    for directive, source in sources.items():
        extra.setdefault(directive.replace("_", "-"), []).append(source)


def forbid_caching(response: Response) -> Response:
    """No cache may store this response. For pages about a person; also as a blueprint's ``after_request``."""
    response.headers["Cache-Control"] = "no-store"
    return response


def forbid_caching_and_indexing(response: Response) -> Response:
    """Also keep it out of search engines: for a page whose address is its key."""
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return forbid_caching(response)


def init_app(app: Flask, settings: Settings) -> None:
    """Set the headers on every response."""
    policy = {
        "default-src": ["'none'"],
        "script-src": ["'self'", *([HTMX_URL] if settings.htmx_source == "cdn" else [])],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],  # Pico draws its form icons as data: images.
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        # The pay form answers with a redirect to Stripe, which browsers check against form-action too. They say nothing
        # about one that is not listed, so such a one is not sent (checkout.views).
        "form-action": ["'self'", *checkout_origins(settings)],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }

    headers = {
        # By this, pages know our answers from those of a proxy in front of us.
        "X-Answered-By": "bookingapp",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # A booking's address is its key: no Referer may carry it to Calendly or Stripe. "no-referrer" would also hide
        # the Origin of our own forms.
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    if settings.public_is_https:
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    usual_policy = _policy_header(policy)

    @app.after_request
    def _secure(response: Response) -> Response:
        sent = usual_policy
        if extra := g.get("csp_extra"):
            sent = _policy_header(
                {name: [*policy.get(name, []), *extra.get(name, [])] for name in {**policy, **extra}}
            )
        response.headers.setdefault("Content-Security-Policy", sent)
        # The token of a mailed link is in its address, which no Referer may carry, not even to ourselves.
        if "token" in (request.view_args or {}):
            response.headers["Referrer-Policy"] = "strict-origin"
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response


def _policy_header(policy: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in policy.items())
