"""Transports of mail: an SMTP server, or a folder of files.

MailError
├── MailDelayed   the server accepts no such mail for now, for example because a quota is used up: retryable
│   └── MailServerAway   the server cannot be reached or refuses the log-in: mails wait without using up tries
└── MailRefused   the server will never accept this mail: not retryable
"""

from __future__ import annotations

import ipaddress
import os
import re
import smtplib
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Protocol
from urllib.parse import unquote, urlsplit

from bookingapp.outcomes import Awaited

DEFAULT_PORT = 587
# On this port TLS begins with the connection (RFC 8314); on every other, by STARTTLS.
TLS_PORT = 465
LONGEST_LINE = 998  # RFC 5322, section 2.1.1.
# Time-outs until the server is ready, and while it accepts the mail. Together they stay within the lease of a job, so
# that no second worker starts on the same mail.
GREETING_SECONDS = 5.0
READY_WITHIN_SECONDS = 20.0
HAND_OVER_SECONDS = 8.0
# A server that failed is not called again for a while, so that a queue of mails does not delay refunds and expiries.
REST_SECONDS = 30.0
# Refusals "for ever" (5xx) that pass: enhanced codes (RFC 3463) of a full mailbox, a full or stopped system, a network
# that is down and a quota, and their words where a server sends no such code.
_PASSING_CODES = re.compile(r"\s*5\.(2\.2|3\.1|3\.2|4\.2|4\.3|4\.5)\b")
_PASSING_WORDS = re.compile(
    r"quota|mailbox (is )?full|over ?limit|limit (exceeded|reached)|exceeded .*limit|rate.?limit|at a rate|too many"
    r"|throttl|temporar|again later|credits",
    re.IGNORECASE | re.DOTALL,
)
_EXCEEDED_STORAGE = 552
# "Authentication required" (RFC 4954, section 6), which some servers say only to the recipient's address.
_LOG_IN_MISSING = 530


class MailError(Exception):
    """A mail was not sent. The message holds no address and no content."""

    retryable = True


class MailDelayed(MailError):
    """Retrying later may work."""


class MailServerAway(MailDelayed):
    """The server does not answer or refuses the log-in: no fault of this mail, so it uses up no try."""

    awaits = Awaited.MAIL_SERVER


class MailRefused(MailError):
    """Retrying cannot work."""

    retryable = False


class MailTransport(Protocol):
    """A way to send mails."""

    def send(self, message: EmailMessage) -> None:
        """Send one message. Raises :class:`MailError`."""

    def check(self) -> None:
        """Do everything but send a message. Raises :class:`MailError`."""


class FileOutbox:
    """Writes each mail as an ``.eml`` file named after its Message-ID: a mail that is sent twice is one file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: EmailMessage) -> None:
        """Write the message and rename it into place, so that no reader sees half a file."""
        name = str(message["Message-ID"]).strip("<>").split("@", 1)[0]
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f".{name}.{os.getpid()}"
        draft.write_bytes(_wire(message, eight_bit=True, utf8=not _address(message, "To").isascii()))
        draft.replace(self._folder / f"{name}.eml")

    def check(self) -> None:
        """The folder can be written to."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=self._folder, prefix=".check"):
                pass
        except OSError as error:
            raise MailServerAway(f"the folder cannot be written to: {error.strerror}") from None


class SmtpRelay:
    """Sends through an SMTP server. ``tls_first`` encrypts from the first byte, ``starttls`` before anything is said;
    without both the connection is plain.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int = DEFAULT_PORT,
        user: str | None = None,
        password: str | None = None,
        starttls: bool = True,
        tls_first: bool = False,
        tls: ssl.SSLContext | None = None,
        before_send: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host, self._port = host, port
        self._user, self._password = user, password
        self._tls_first = tls_first
        self._tls = (tls or ssl.create_default_context()) if starttls or tls_first else None
        self._before_send, self._clock = before_send, clock
        self._resting_until = 0.0

    def send(self, message: EmailMessage) -> None:
        """One connection, one message. Raises :class:`MailError`."""
        self._use(lambda client: self._hand_over(client, message))

    def check(self) -> None:
        """Connect and log in. Raises :class:`MailError`."""
        self._use(lambda _: None)

    def _use(self, hand_over: Callable[[smtplib.SMTP], None]) -> None:
        self._before_send()
        if self._clock() < self._resting_until:
            raise MailServerAway("it failed a moment ago")
        began = self._clock()
        try:
            client = self._connect()
            try:
                self._greet(client, began)
                hand_over(client)
            finally:
                # The mail was accepted, whether or not QUIT works.
                with suppress(OSError):
                    client.quit()
                client.close()
        except MailError:
            raise
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, smtplib.SMTPNotSupportedError) as error:
            raise _send_error(error) from None
        except OSError as error:
            # smtplib's own errors, no connection, no answer in time, a certificate that is not the host's.
            self._resting_until = self._clock() + REST_SECONDS
            code = getattr(error, "smtp_code", "")
            raise MailServerAway(f"{type(error).__name__} {code}".strip()) from None

    def _connect(self) -> smtplib.SMTP:
        # A name for the greeting, because the standard library would ask the DNS for one.
        host, port, name = self._host, self._port, "localhost"
        if self._tls_first:
            return smtplib.SMTP_SSL(host, port, name, timeout=GREETING_SECONDS, context=self._tls)
        return smtplib.SMTP(host, port, name, timeout=GREETING_SECONDS)

    def _greet(self, client: smtplib.SMTP, began: float) -> None:
        try:
            if self._tls is not None and not self._tls_first:
                client.starttls(context=self._tls)
            client.ehlo_or_helo_if_needed()
            if self._user:
                client.login(self._user, self._password or "")
        except smtplib.SMTPNotSupportedError:
            # A fault of the server, not of this mail.
            raise smtplib.SMTPHeloError(0, "no STARTTLS or no log-in") from None
        if self._clock() - began > READY_WITHIN_SECONDS:
            raise smtplib.SMTPServerDisconnected("the server is too slow")
        if client.sock is not None:
            client.sock.settimeout(HAND_OVER_SECONDS)

    def _hand_over(self, client: smtplib.SMTP, message: EmailMessage) -> None:
        sender, recipient = _address(message, "From"), _address(message, "To")
        eight_bit = client.has_extn("8bitmime")
        options = ["BODY=8BITMIME"] if eight_bit else []
        utf8 = not recipient.isascii()
        if utf8 and not client.has_extn("smtputf8"):
            raise smtplib.SMTPNotSupportedError
        options += ["SMTPUTF8"] if utf8 else []
        body = _wire(message, eight_bit=eight_bit, utf8=utf8)
        client.sendmail(sender, [recipient], body, mail_options=options)


def build_transport(url: str, *, before_send: Callable[[], None]) -> MailTransport:
    """The transport for a checked ``MAIL_URL``."""
    if url.startswith("file:"):
        return FileOutbox(Path(url.removeprefix("file://").removeprefix("file:")))
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (TLS_PORT if parts.scheme == "smtps" else DEFAULT_PORT)
    tls_first = parts.scheme == "smtps" or port == TLS_PORT
    return SmtpRelay(
        host=host,
        port=port,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        starttls=not tls_first and not _is_loopback(host),
        tls_first=tls_first,
        before_send=before_send,
    )


def _wire(message: EmailMessage, *, eight_bit: bool, utf8: bool) -> bytes:
    """The message as bytes for the wire, 7-bit where the server needs that."""
    policy = SMTP.clone(cte_type="8bit" if eight_bit else "7bit", utf8=utf8)
    if all(str(value).isascii() for value in message.values()):
        # Otherwise the standard library folds a long subject onto a line of its own, which some programs show.
        policy = policy.clone(max_line_length=LONGEST_LINE)
    return message.as_bytes(policy=policy)


def _address(message: EmailMessage, header: str) -> str:
    return str(message[header].addresses[0].addr_spec)


def _send_error(error: smtplib.SMTPException) -> MailError:
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return MailRefused("the server does not take such an address")
    answers = [(error.smtp_code, error.smtp_error)] if isinstance(error, smtplib.SMTPDataError) else []
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answers = list(error.recipients.values())
    if any(code == _LOG_IN_MISSING for code, _ in answers):
        return MailServerAway(f"the server wants a log-in: {_LOG_IN_MISSING}")
    kind = MailRefused if all(_is_for_ever(*answer) for answer in answers) else MailDelayed
    return kind(f"the server answered {', '.join(str(code) for code, _ in answers)}")


def _is_for_ever(code: int, text: bytes | str) -> bool:
    """Whether the server will never accept this mail: 5xx, unless what it says passes."""
    if not 500 <= code < 600:  # noqa: PLR2004
        return False
    words = text.decode("ascii", "replace") if isinstance(text, bytes) else text
    if re.match(r"\s*5\.\d+\.\d+", words):
        return not _PASSING_CODES.match(words) and not _PASSING_WORDS.search(words)
    return code != _EXCEEDED_STORAGE and not _PASSING_WORDS.search(words)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
