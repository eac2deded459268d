"""HTTP sessions for providers: without cookies, and without a proxy where the address is this machine."""

from __future__ import annotations

import ipaddress
import os
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests


def new_session(base_url: str) -> requests.Session:
    """A session for the provider at ``base_url``. It accepts no cookies: all tenants would share them."""
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # A company's proxy from the environment cannot reach this machine, but its certificates are good here too.
    session.trust_env = not is_loopback(base_url)
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
    return session


def is_loopback(url: str) -> bool:
    """Whether an address leads to this very machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
