"""TLS from the first byte, refusals that pass, and where an answer to a mail goes."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking
from bookingapp.builders.models import Builder
from bookingapp.clients import service as clients
from bookingapp.core.db import transaction
from bookingapp.core.settings import Settings
from bookingapp.notifications.transport import (
    MailDelayed,
    MailRefused,
    MailServerAway,
    SmtpRelay,
    build_transport,
)
from tests.conftest import make_settings
from tests.factories import NOW
from tests.mailbox import Mailbox, html, text, work
from tests.notifications.conftest import BUILDER, CLIENT, confirmed
from tests.notifications.smtp import MailServer, certificate
from tests.notifications.test_transport import a_mail, relay

SUPPORT, TERMS, PRIVACY = "help@hours.example", "https://hours.example/terms", "https://hours.example/privacy"


def test_tls_begins_with_the_connection(tmp_path: Path) -> None:
    """As on port 465: the server says nothing in the clear, and no STARTTLS is asked for."""
    server_tls, client_tls = certificate(tmp_path)
    with MailServer(tls=server_tls, tls_first=True) as server:
        relay(server, tls_first=True, tls=client_tls, user="us", password="secret").send(a_mail())
    words = [command.split(" ")[0].upper() for command in server.commands]
    assert words[:2] == ["EHLO", "AUTH"]
    assert "STARTTLS" not in words
    assert len(server.received) == 1


def test_its_certificate_is_checked(tmp_path: Path) -> None:
    """A server that is somebody else gets nothing."""
    server_tls, _ = certificate(tmp_path)
    with MailServer(tls=server_tls, tls_first=True) as server, pytest.raises(MailServerAway):
        relay(server, tls_first=True, user="us", password="secret").send(a_mail())
    assert server.commands == []


@pytest.mark.parametrize(
    ("url", "port", "tls_first"),
    [
        ("smtp://us:secret@mail.example.org:465", 465, True),
        ("smtps://us:secret@mail.example.org", 465, True),
        ("smtps://mail.example.org:4650", 4650, True),
        ("smtp://mail.example.org:587", 587, False),
        ("smtp://127.0.0.1:465", 465, True),
    ],
)
def test_which_addresses_mean_it(url: str, port: int, *, tls_first: bool) -> None:
    """The port, or the scheme."""
    made = build_transport(url, before_send=lambda: None)
    assert isinstance(made, SmtpRelay)
    assert (made._port, made._tls_first, made._tls is not None) == (port, tls_first, True)


@pytest.mark.parametrize("command", ["RCPT", "DATA", "."])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("550 5.4.5 Daily user sending quota exceeded", MailDelayed),
        ("552 5.2.2 The mailbox is over quota", MailDelayed),
        ("552 Requested mail action aborted", MailDelayed),
        ("554 5.3.2 System not accepting network messages", MailDelayed),
        ("550 Maximum credits exceeded", MailDelayed),
        ("550 Too many messages from this account, try again later", MailDelayed),
        ("550 5.7.1 Rate limit reached", MailDelayed),
        ("550 5.2.1 The user you are trying to contact is receiving mail at a rate that", MailDelayed),
        ("550 5.1.1 No such user", MailRefused),
        ("550 5.4.1 Recipient address rejected: Access denied", MailRefused),
        ("552 5.3.4 Message too big for system", MailRefused),
        ("554 5.7.1 Rejected as spam", MailRefused),
        ("550 no such mailbox", MailRefused),
    ],
)
def test_a_refusal_that_passes_is_tried_again(command: str, answer: str, error: type[Exception]) -> None:
    """By its enhanced code, else by its words; everything else of 5xx is for ever."""
    with MailServer(answers={command: answer}) as server, pytest.raises(error) as caught:
        relay(server).send(a_mail())
    assert type(caught.value) is error
    assert "quota" not in str(caught.value)


class TestWhatEveryMailHas:
    """Where an answer goes, whom to ask, and what applies."""

    @pytest.fixture
    def settings(self, tmp_path: Path, database_url: str) -> Settings:
        """With everything that an operator may name."""
        return make_settings(
            tmp_path, database_url=database_url, support_email=SUPPORT, terms_url=TERMS, privacy_url=PRIVACY
        )

    @pytest.fixture
    def booking(self, session: Session, ada: Builder) -> Booking:
        """A confirmed booking, whose mails are sent."""
        booking = confirmed(session, ada)
        work(session, now=NOW)
        return booking

    def test_an_answer_goes_to_the_other_party(self, booking: Booking, mailbox: Mailbox) -> None:
        """From the client to the builder, and from the builder to the client."""
        assert str(mailbox.one(CLIENT, "You are booked")["Reply-To"]) == f"Ada Okonkwo <{BUILDER}>"
        assert str(mailbox.one(BUILDER, "New booking")["Reply-To"]) == f"Grace Hall <{CLIENT}>"

    def test_an_answer_to_a_sign_in_link_goes_to_the_support(
        self, booking: Booking, session: Session, mailbox: Mailbox
    ) -> None:
        """It has no other party."""
        with transaction(session):
            clients.request_link(session, email=CLIENT, return_to=None, now=NOW)
        work(session, now=NOW)
        assert str(mailbox.one(CLIENT, "Your link")["Reply-To"]) == SUPPORT

    def test_support_and_terms_stand_at_its_end(self, booking: Booking, mailbox: Mailbox) -> None:
        """In the text and in the HTML."""
        for mail in mailbox.all():
            for address in (SUPPORT, TERMS, PRIVACY):
                assert address in text(mail)
                assert address in html(mail)
            assert f'href="mailto:{SUPPORT}"' in html(mail)


def test_without_settings_nothing_is_promised(session: Session, ada: Builder, mailbox: Mailbox) -> None:
    """No empty label at the end of a mail."""
    confirmed(session, ada)
    work(session, now=NOW)
    for mail in mailbox.all():
        for word in ("Support", "Terms", "Privacy"):
            assert word not in text(mail)
    assert session.scalar(sa.select(sa.func.count()).select_from(Booking)) == 1
