"""How a mail leaves: to a server by SMTP, or as a file into a folder.

MailError
├── MailDelayed   the server asks to come again with this mail: retryable
│   └── MailServerAway   there is no talking to the server at all: its mail waits, however long that takes
└── MailRefused   the server will never take this message to this address: not retryable
"""

from __future__ import annotations

import ipaddress
import os
import smtplib
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from bookingapp.awaited import Awaited

DEFAULT_PORT = 587
LONGEST_LINE = 998  # RFC 5322, section 2.1.1.
# What each answer may take: until the server is ready for the mail, and while it takes it. Together they stay
# inside the lease of a job, so that no second worker begins on the same mail while the first still talks.
GREETING_SECONDS = 5.0
READY_WITHIN_SECONDS = 20.0
HAND_OVER_SECONDS = 8.0
# After a server could not be spoken to, it is left alone for a while, so that a queue full of mail does not keep
# refunds and expiring holds waiting behind it.
REST_SECONDS = 30.0


class MailError(Exception):
    """A mail has not left. The message carries no address and no text."""

    retryable = True


class MailDelayed(MailError):
    """Trying again later may work."""


class MailServerAway(MailDelayed):
    """The server does not answer, or does not let us in. That is not this mail's fault, so it uses up no try."""

    awaits = Awaited.MAIL_SERVER


class MailRefused(MailError):
    """Trying again cannot work."""

    retryable = False


class Transport(Protocol):
    """Where mails go."""

    def send(self, message: EmailMessage) -> None:
        """Hand over one message. Raises :class:`MailError`."""


class FileOutbox:
    """One ``.eml`` file for each mail, named after its Message-ID: a mail that is sent twice is one file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: EmailMessage) -> None:
        """Write the message; whoever lists the folder never sees half of one."""
        name = str(message["Message-ID"]).strip("<>").split("@", 1)[0]
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f".{name}.{os.getpid()}"
        draft.write_bytes(_wire(message, eight_bit=True, utf8=not _address(message, "To").isascii()))
        draft.replace(self._folder / f"{name}.eml")


class SmtpRelay:
    """A mail server that takes our mail, over STARTTLS unless it is on this machine."""

    def __init__(
        self,
        *,
        host: str,
        port: int = DEFAULT_PORT,
        user: str | None = None,
        password: str | None = None,
        starttls: bool = True,
        tls: ssl.SSLContext | None = None,
        before_send: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host, self._port = host, port
        self._user, self._password = user, password
        self._tls = (tls or ssl.create_default_context()) if starttls else None
        self._before_send, self._clock = before_send, clock
        self._resting_until = 0.0

    def send(self, message: EmailMessage) -> None:
        """One connection, one message. Raises :class:`MailError`."""
        self._before_send()
        if self._clock() < self._resting_until:
            raise MailServerAway("it was not there a moment ago")
        began = self._clock()
        try:
            client = self._connect()
            try:
                self._greet(client, began)
                self._hand_over(client, message)
            finally:
                # What was accepted is accepted, however the good-bye goes.
                with suppress(OSError):
                    client.quit()
                client.close()
        except MailError:
            raise
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, smtplib.SMTPNotSupportedError) as error:
            raise _verdict(error) from None
        except OSError as error:
            # smtplib's own errors, no connection, no answer in time, a certificate that is not the host's.
            self._resting_until = self._clock() + REST_SECONDS
            code = getattr(error, "smtp_code", "")
            raise MailServerAway(f"{type(error).__name__} {code}".strip()) from None

    def _connect(self) -> smtplib.SMTP:
        # A name of our own for the greeting, because the standard library would ask the DNS for one.
        return smtplib.SMTP(self._host, self._port, local_hostname="localhost", timeout=GREETING_SECONDS)

    def _greet(self, client: smtplib.SMTP, began: float) -> None:
        try:
            if self._tls is not None:
                client.starttls(context=self._tls)
            client.ehlo_or_helo_if_needed()
            if self._user:
                client.login(self._user, self._password or "")
        except smtplib.SMTPNotSupportedError:
            # That says something about the server and nothing about this mail.
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


def build_transport(url: str, *, before_send: Callable[[], None]) -> Transport:
    """What a checked ``MAIL_URL`` stands for."""
    if url.startswith("file:"):
        return FileOutbox(Path(url.removeprefix("file://").removeprefix("file:")))
    parts = urlsplit(url)
    host = parts.hostname or ""
    return SmtpRelay(
        host=host,
        port=parts.port or DEFAULT_PORT,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        starttls=not _is_loopback(host),
        before_send=before_send,
    )


def _wire(message: EmailMessage, *, eight_bit: bool, utf8: bool) -> bytes:
    """The message as it travels: seven bits where the server asks for them."""
    policy = SMTP.clone(cte_type="8bit" if eight_bit else "7bit", utf8=utf8)
    if all(str(value).isascii() for value in message.values()):
        # The standard library would begin a long subject on a line of its own, which some programs show.
        policy = policy.clone(max_line_length=LONGEST_LINE)
    return message.as_bytes(policy=policy)


def _address(message: EmailMessage, header: str) -> str:
    return str(message[header].addresses[0].addr_spec)


def _verdict(error: smtplib.SMTPException) -> MailError:
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return MailRefused("the server does not take such an address")
    codes = [error.smtp_code] if isinstance(error, smtplib.SMTPDataError) else []
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
    kind = MailRefused if all(500 <= code < 600 for code in codes) else MailDelayed  # noqa: PLR2004
    return kind(f"the server answered {', '.join(map(str, codes))}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
