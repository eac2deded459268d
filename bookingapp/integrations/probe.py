"""What ``flask doctor`` asks the world: a server's clock, and whether a signed delivery arrives at our own address."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import requests

from bookingapp.integrations.sessions import new_session, read_time

TIMEOUT = (3, 10)


class Answer(NamedTuple):
    """The status, and a header that was asked for."""

    status: int
    header: str | None


class CertificateRefused(OSError):
    """The server's certificate is not one that clients accept."""


def fetch_time(url: str) -> datetime | None:
    """Which time it is for that server; None where it does not say. Raises ``OSError`` where nothing answers."""
    with new_session(url) as session:
        return read_time(session.head(url, timeout=TIMEOUT, allow_redirects=False).headers)


def fetch_clock(url: str) -> timedelta | None:
    """By how much our clock is ahead of that server's; None where it does not say. Less than two seconds mean nothing.
    Raises ``OSError`` where nothing answers.
    """
    at = fetch_time(url)
    return datetime.now(UTC) - at if at is not None else None


def deliver(url: str, body: bytes, *, header: str, key: str, at: datetime, wanted: str) -> Answer:
    """Send a delivery signed as :mod:`bookingapp.integrations.signatures` says. Returns the status of the answer and
    its header ``wanted``; redirects are not followed, because providers follow none. Raises ``OSError`` where nothing
    answers, and :class:`CertificateRefused` where TLS fails.
    """
    seconds = int(at.timestamp())
    digest = hmac.new(key.encode(), b"%d." % seconds + body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", header: f"t={seconds},v1={digest}"}
    with new_session(url) as session:
        try:
            answer: requests.Response = session.post(
                url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False
            )
        except requests.exceptions.SSLError as error:
            raise CertificateRefused from error
        return Answer(answer.status_code, answer.headers.get(wanted))
