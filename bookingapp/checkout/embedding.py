"""Whether a page may load Calendly's calendar: always, or once the visitor has agreed (``EMBED_CONSENT``)."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from werkzeug.wrappers import Response

from bookingapp.core import cookies
from bookingapp.core.security import allow_sources, origin
from bookingapp.core.settings import Settings

CONSENT_COOKIE = "calendly_embed"
CONSENT_LASTS = timedelta(days=365)

Consent = Literal["not_needed", "asked", "given"]


def read_consent(settings: Settings) -> Consent:
    """Whether the visitor of this request has to agree first, and whether they have."""
    if settings.embed_consent == "off":
        return "not_needed"
    return "given" if cookies.read(CONSENT_COOKIE) == "yes" else "asked"


def store_consent(response: Response, *, agreed: bool) -> None:
    """Let the browser remember for a year that its visitor has agreed, or forget it."""
    if not agreed:
        cookies.forget(response, CONSENT_COOKIE)
    else:
        cookies.keep(response, CONSENT_COOKIE, "yes", lasts=CONSENT_LASTS)


def allow_embedding(settings: Settings) -> None:
    """Let this one page load Calendly's script, style and images, and frame its pages."""
    assets, pages = origin(settings.calendly_assets_url), origin(settings.calendly_booking_url)
    allow_sources(script_src=assets, style_src=assets, img_src=assets, frame_src=pages)
