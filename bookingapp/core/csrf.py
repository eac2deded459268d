"""Which forms are accepted: those that carry this browser's token and that no other site's page has sent."""

from __future__ import annotations

from typing import NoReturn

import structlog
from flask import current_app, request
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError

from bookingapp.core.errors import ForeignOrigin

log = structlog.get_logger(__name__)

# A form of our own page; or a request that no page has sent, such as one that the person repeats.
_OUR_OWN_SITE = ("same-origin", "none")


class FormProtection(CSRFProtect):
    """Flask-WTF's check of the token, and ours of the sender.

    Flask-WTF's check of the sender needs a Referer, which privacy settings remove, and compares it with the Host, which
    a proxy may replace. It is off (``WTF_CSRF_SSL_STRICT``).
    """

    def protect(self, apply_exemptions: bool = False) -> None:  # noqa: FBT001, FBT002 - Flask-WTF's signature.
        """Refuse a form that another site's page has sent, and one without the token."""
        is_checked = request.method in current_app.config["WTF_CSRF_METHODS"] and request.endpoint
        if is_checked and not (apply_exemptions and self._is_exempt()):
            _refuse_other_sites()
        super().protect(apply_exemptions)

    def _error_response(self, reason: str) -> NoReturn:
        log.warning("form_token_refused", endpoint=request.endpoint, reason=reason)
        raise CSRFError(reason)


def _refuse_other_sites() -> None:
    """Compare the sender with PUBLIC_URL. A browser that names none is judged by the token alone.

    ``Origin`` is "null" where privacy settings hide it; then ``Sec-Fetch-Site``, which they do not change, decides.
    """
    sender, site = request.origin or "null", request.headers.get("Sec-Fetch-Site", "")
    ours = str(current_app.config["PUBLIC_ORIGIN"])
    if (sender == ours) if sender != "null" else (not site or site in _OUR_OWN_SITE):
        return
    log.warning("foreign_origin", origin=sender[:200], site=site[:20], expected=ours)
    raise ForeignOrigin(ours)
