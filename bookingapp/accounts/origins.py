"""Where a request came from, as it is kept of log-ins and security events: a network and a browser.

Of the address only the network is kept, which many people share: of IPv4 the first three numbers, of IPv6 the first
three groups. It says enough to recognize one's own, and no place is looked up for it.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import timedelta

from flask import request

from bookingapp.core import cookies
from bookingapp.core.encryption import hash_secret
from bookingapp.core.i18n import gettext
from bookingapp.core.visitors import read_address
from bookingapp.text import one_line

BROWSER_COOKIE = "browser"
BROWSER_KEPT = timedelta(days=365)
LONGEST_USER_AGENT = 300
_IPV4_KEPT, _IPV6_KEPT = 24, 48

# The first that is found: later ones are named by browsers that are built upon them.
_BROWSERS = (
    (re.compile(r"\bEdg(?:e|A|iOS)?/"), "Microsoft Edge"),
    (re.compile(r"\b(?:OPR|Opera)/"), "Opera"),
    (re.compile(r"\bSamsungBrowser/"), "Samsung Internet"),
    (re.compile(r"\bVivaldi/"), "Vivaldi"),
    (re.compile(r"\b(?:Firefox|FxiOS)/"), "Firefox"),
    (re.compile(r"\b(?:Chrome|CriOS|Chromium|HeadlessChrome)/"), "Chrome"),
    (re.compile(r"\bVersion/\S+.*\bSafari/"), "Safari"),
)
_SYSTEMS = (
    (re.compile(r"\b(?:iPhone|iPod)\b"), "iPhone"),
    (re.compile(r"\biPad\b"), "iPad"),
    (re.compile(r"\bAndroid\b"), "Android"),
    (re.compile(r"\bWindows\b"), "Windows"),
    (re.compile(r"\bCrOS\b"), "ChromeOS"),
    (re.compile(r"\bMac OS X\b|\bMacintosh\b"), "Mac"),
    (re.compile(r"\bLinux\b|\bX11\b"), "Linux"),
)


@dataclass(frozen=True)
class Origin:
    """The sender of a request. ``browser_hash`` is None where the browser brought no cookie of ours."""

    network: str = ""
    user_agent: str = ""
    browser_hash: str | None = None


BY_OPERATOR = Origin()
"""An operator, on the command line or the console: nothing about them is shown to the account's owner."""


def current_origin() -> Origin:
    """The sender of this request."""
    secret = cookies.read(BROWSER_COOKIE)
    return Origin(
        network=network_of(request.remote_addr or ""),
        user_agent=one_line(request.user_agent.string, longest=LONGEST_USER_AGENT),
        browser_hash=hash_secret(secret) if secret else None,
    )


def network_of(address: str) -> str:
    """The network of an address, as in ``192.0.2.0/24``; empty for what is no address."""
    found = read_address(address)
    if found is None:
        return ""
    kept = _IPV4_KEPT if found.version == 4 else _IPV6_KEPT  # noqa: PLR2004 - the version.
    return str(ipaddress.ip_network((found, kept), strict=False))


def describe_network(network: str) -> str:
    """A network in words, as in ``192.0.2.x``."""
    start, _, _ = network.partition("/")
    if not start:
        return gettext("Unknown network")
    return f"{start.rpartition('.')[0]}.x" if "." in start else f"{start.rstrip(':')}:x"


def describe_browser(user_agent: str) -> str:
    """A browser in words, as in ``Firefox on Windows``. What it says of itself proves nothing."""
    browser = _first(_BROWSERS, user_agent)
    system = _first(_SYSTEMS, user_agent)
    if browser and system:
        return gettext("%(browser)s on %(system)s", browser=browser, system=system)
    return browser or system or gettext("Unknown browser")


def _first(table: tuple[tuple[re.Pattern[str], str], ...], text: str) -> str | None:
    return next((name for pattern, name in table if pattern.search(text)), None)
