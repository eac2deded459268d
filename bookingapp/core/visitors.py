"""Who sends a request, as quotas count people: by address, by browser, by mailbox."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from contextlib import suppress
from dataclasses import dataclass

from flask import current_app, request, session

from bookingapp.text import printable

# One household or one rented machine has a whole network of this length.
_IPV6_NETWORK = 64
_WITH_PORT = re.compile(r"\[(.+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")
# Long enough to tell apart who books with one builder within hours, too short to be anybody's for certain.
_DIGEST_LENGTH = 12
_DOTS_DO_NOT_COUNT = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}


def visitor_address() -> str:
    """The address that the request came from; of IPv6 its network, because each visitor has a whole one."""
    text = request.remote_addr or ""
    address = read_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _IPV6_NETWORK), strict=False))
    return text if address is None else str(address)


def read_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address without its zone, and as IPv4 where it is one in the form of IPv6; None for any other text. Some
    proxies send the port too, which is another one for each connection.
    """
    sent = _WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address((sent[1] or sent[2] if sent else text).partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@dataclass(frozen=True)
class Visitor:
    """The sender of this request as keyed digests, which say nothing without our key. ``browser`` is None
    where it brought no cookie.
    """

    address: str
    browser: str | None


def current_visitor() -> Visitor:
    """The sender of this request. A browser is known by the secret of its forms, which every POST has to carry."""
    secret = session.get("csrf_token")
    return Visitor(_digest(visitor_address()), _digest(secret) if isinstance(secret, str) else None)


def _digest(text: str) -> str:
    key = str(current_app.secret_key).encode()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:_DIGEST_LENGTH]


def mailbox(email: str) -> str:
    """The mailbox of an e-mail address in one spelling: lower case, without invisible characters, without a ``+tag``,
    for Gmail without dots, the domain in punycode.
    """
    local, _, domain = printable(email).lower().rpartition("@")
    with suppress(UnicodeError):
        domain = domain.encode("idna").decode()
    local = local.partition("+")[0] or local
    if domain in _DOTS_DO_NOT_COUNT:
        local, domain = local.replace(".", ""), _DOTS_DO_NOT_COUNT[domain]
    return f"{local}@{domain}"
