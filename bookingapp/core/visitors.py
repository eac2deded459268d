"""Who sends a request, as quotas count people: by address, by browser, by mailbox."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

from flask import request, session

# One household or one rented machine has a whole network of this length.
_IPV6_NETWORK = 64
_DOTS_DO_NOT_COUNT = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}


def visitor_address() -> str:
    """The address that the request came from; of IPv6 its network, because each visitor has a whole one."""
    text = request.remote_addr or ""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_NETWORK), strict=False))


def visitor_browser() -> str | None:
    """What tells this browser's cookie from others: the secret of its forms, which every POST has to come with."""
    found = session.get("csrf_token")
    return found if isinstance(found, str) else None


def mailbox(email: str) -> str:
    """The mailbox of an e-mail address in one spelling: lower case, without a ``+tag``, for Gmail without dots, the
    domain in punycode.
    """
    local, _, domain = email.strip().lower().rpartition("@")
    with suppress(UnicodeError):
        domain = domain.encode("idna").decode()
    local = local.partition("+")[0] or local
    if domain in _DOTS_DO_NOT_COUNT:
        local, domain = local.replace(".", ""), _DOTS_DO_NOT_COUNT[domain]
    return f"{local}@{domain}"
