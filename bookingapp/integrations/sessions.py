"""HTTP sessions for providers: without cookies or redirects, and without a proxy where the address is this machine."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter


class _Session(requests.Session):
    """Follows no redirect, whatever its caller asks for: the providers' APIs have none."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere."""


def new_session(base_url: str) -> requests.Session:
    """A session for the provider at ``base_url``. It accepts no cookies: all tenants would share them."""
    session = _Session()
    # Not blocking: with all sixteen connections hanging, one more caller must not wait without end.
    adapter = HTTPAdapter(pool_connections=2, pool_maxsize=16, max_retries=0, pool_block=False)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # A company's proxy from the environment cannot reach this machine, but its certificates are good here too.
    session.trust_env = not is_loopback(base_url)
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
    return session


def read_time(headers: Mapping[str, str]) -> datetime | None:
    """Which time it was for the server that has just answered (RFC 9110, section 6.6.1): whole seconds, aware. None
    where it does not say that, and where a cache had kept the answer.
    """
    if headers.get("Age", "0") != "0":
        return None
    try:
        at = parsedate_to_datetime(headers.get("Date") or "")
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or UTC)


def is_loopback(url: str) -> bool:
    """Whether an address leads to this very machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
