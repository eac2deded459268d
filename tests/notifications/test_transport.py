"""How mail is sent, to a server on this machine."""

from __future__ import annotations

import stat
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from bookingapp.notifications import transport
from bookingapp.notifications.transport import FileOutbox, MailDelayed, MailRefused, MailServerAway, SmtpRelay
from tests.notifications.smtp import MailServer, certificate
from tests.servers import free_port


def a_mail(to: str = "grace@example.org", *, subject: str = "You are booked") -> EmailMessage:
    """A small mail with an accent and a line that begins with a dot."""
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = Address("Builder Hours", addr_spec="no-reply@hours.example")
    user, _, domain = to.partition("@")
    message["To"] = Address("Zoë", user, domain)
    message["Message-ID"] = "<confirmed-client.0123@hours.example>"
    message.set_content("Zoë, you are booked.\n.\n", cte="8bit")
    return message


def relay(server: MailServer, **how: object) -> SmtpRelay:
    """A relay to that server, by default in the clear."""
    return SmtpRelay(**{"host": "127.0.0.1", "port": server.port, "starttls": False, **how})  # type: ignore[arg-type]


def test_a_mail_arrives_as_it_was_written() -> None:
    """Envelope, headers, accents and dots."""
    with MailServer() as server:
        relay(server).send(a_mail())
    (raw,) = server.received
    got = message_from_bytes(raw, policy=default)
    assert isinstance(got, EmailMessage)
    assert got.get_content().replace("\r\n", "\n") == "Zoë, you are booked.\n.\n"
    assert got["To"] == "Zoë <grace@example.org>"
    assert server.said("MAIL") == ["mail FROM:<no-reply@hours.example> BODY=8BITMIME"]
    assert server.said("RCPT") == ["rcpt TO:<grace@example.org>"]
    assert server.said("QUIT")


def test_an_old_server_gets_seven_bits() -> None:
    with MailServer(extensions=()) as server:
        relay(server).send(a_mail())
    assert server.received[0].isascii()
    got = message_from_bytes(server.received[0], policy=default)
    assert isinstance(got, EmailMessage)
    assert "Zoë, you" in got.get_content()


def test_password_and_mail_come_after_starttls(tmp_path: Path) -> None:
    """With a certificate that was checked."""
    server_tls, client_tls = certificate(tmp_path)
    with MailServer(tls=server_tls) as server:
        relay(server, starttls=True, tls=client_tls, user="us", password="secret").send(a_mail())
    words = [command.split(" ")[0].upper() for command in server.commands]
    assert words[:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]
    assert len(server.received) == 1


@pytest.mark.parametrize("fault", ["no STARTTLS", "an unknown certificate", "another host's certificate"])
def test_a_server_that_cannot_encrypt_gets_no_password_and_no_mail(tmp_path: Path, fault: str) -> None:
    server_tls, client_tls = certificate(
        tmp_path, "127.0.0.9" if fault.startswith("another") else "127.0.0.1"
    )
    trust = None if fault == "an unknown certificate" else client_tls
    with MailServer(tls=None if fault == "no STARTTLS" else server_tls) as server:
        mailer = relay(server, starttls=True, tls=trust, user="us", password="secret")
        with pytest.raises(MailServerAway):
            mailer.send(a_mail())
    assert not server.said("AUTH")
    assert not server.said("MAIL")
    assert server.received == []


@pytest.mark.parametrize(
    ("command", "answer", "error"),
    [
        ("RCPT", "550 no such mailbox", MailRefused),
        ("RCPT", "451 come again", MailDelayed),
        ("RCPT", "421 closing", MailDelayed),
        (".", "554 we do not like it", MailRefused),
        (".", "452 no room", MailDelayed),
        ("DATA", "554 no", MailRefused),
    ],
)
def test_the_server_refuses_or_delays_a_mail(command: str, answer: str, error: type[Exception]) -> None:
    """5xx is for ever, 4xx is for now; the next mail is sent either way."""
    with MailServer(answers={command: answer}) as server:
        mailer = relay(server)
        with pytest.raises(error) as caught:
            mailer.send(a_mail())
        assert type(caught.value) is error
        assert "example.org" not in str(caught.value)
        server.answers.clear()
        mailer.send(a_mail("ada@example.com"))
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("CONNECT", "554 go away"),
        ("AUTH", "535 wrong password"),
        ("MAIL", "550 not from you"),
        ("RCPT", "530 5.7.0 Authentication required"),
        ("EHLO", "421 too busy"),
    ],
)
def test_trouble_with_the_server_is_not_the_mails_fault(command: str, answer: str) -> None:
    """The mail waits until the server is repaired."""
    with MailServer(answers={command: answer}) as server:
        with pytest.raises(MailServerAway) as caught:
            relay(server, user="us", password="secret").send(a_mail())
        assert caught.value.awaits
        assert "secret" not in str(caught.value)
    assert server.received == []


def test_a_server_that_is_away_is_left_alone_for_a_while() -> None:
    now = [100.0]
    with MailServer(answers={"CONNECT": "421 too busy"}) as server:
        mailer = relay(server, clock=lambda: now[0])
        for _ in range(3):
            with pytest.raises(MailServerAway):
                mailer.send(a_mail())
        assert server.connections == 1
        now[0] += transport.REST_SECONDS + 1
        server.answers.clear()
        mailer.send(a_mail())
        assert (server.connections, len(server.received)) == (2, 1)


@pytest.mark.parametrize("hang", ["EHLO", "RCPT", "."])
def test_a_server_that_hangs_costs_a_moment(monkeypatch: pytest.MonkeyPatch, hang: str) -> None:
    monkeypatch.setattr(transport, "GREETING_SECONDS", 0.2)
    monkeypatch.setattr(transport, "HAND_OVER_SECONDS", 0.2)
    with MailServer(hang=hang) as server, pytest.raises(MailServerAway):
        relay(server).send(a_mail())


def test_no_server_at_all() -> None:
    with pytest.raises(MailServerAway):
        SmtpRelay(host="127.0.0.1", port=free_port(), starttls=False).send(a_mail())


def test_an_error_after_the_mail_was_accepted_is_ignored() -> None:
    with MailServer(answers={"QUIT": "500 what"}) as server:
        relay(server).send(a_mail())
    assert len(server.received) == 1


def test_an_address_beyond_ascii_needs_a_server_that_takes_it() -> None:
    with MailServer() as server, pytest.raises(MailRefused):
        relay(server).send(a_mail("zoë@example.org"))
    with MailServer(extensions=("8BITMIME", "SMTPUTF8")) as server:
        relay(server).send(a_mail("zoë@example.org"))
    assert server.said("RCPT") == ["rcpt TO:<zoë@example.org>"]


def test_no_mail_inside_a_transaction() -> None:
    asked: list[str] = []

    def guard() -> None:
        asked.append("guard")
        raise RuntimeError("a transaction is open")

    with MailServer() as server:
        with pytest.raises(RuntimeError):
            relay(server, before_send=guard).send(a_mail())
        assert (asked, server.connections) == (["guard"], 0)


def test_files_are_whole_and_named_after_their_mail(tmp_path: Path) -> None:
    """The same mail again is the same file."""
    outbox = FileOutbox(tmp_path / "deep" / "outbox")
    message = a_mail(subject="You are booked: " + "a very long title " * 5)
    message.replace_header("To", Address("Grace", addr_spec="grace@example.org"))
    outbox.send(message)
    outbox.send(message)
    (path,) = (tmp_path / "deep" / "outbox").iterdir()
    assert path.name == "confirmed-client.0123.eml"
    assert stat.S_ISREG(path.stat().st_mode)
    raw = path.read_bytes()
    assert b"Subject: You are booked: a very long title" in raw
    assert message_from_bytes(raw, policy=default)["To"] == "Grace <grace@example.org>"


@pytest.mark.parametrize(
    ("url", "host", "port", "user", "password", "encrypted"),
    [
        ("smtp://us:pass%40tests@mail.example.org:2525", "mail.example.org", 2525, "us", "pass@tests", True),
        ("smtp://mail.example.org", "mail.example.org", 587, None, None, True),
        ("smtp://127.0.0.1:25", "127.0.0.1", 25, None, None, False),
        ("smtp://localhost", "localhost", 587, None, None, False),
    ],
)
def test_the_address_of_a_server(
    url: str, host: str, port: int, user: str | None, password: str | None, *, encrypted: bool
) -> None:
    """Only one on this machine is spoken to in the clear."""
    made = transport.build_transport(url, before_send=lambda: None)
    assert isinstance(made, SmtpRelay)
    assert (made._host, made._port, made._user, made._password) == (host, port, user, password)
    assert (made._tls is not None) is encrypted


def test_the_address_of_a_folder(tmp_path: Path) -> None:
    for url in (f"file:{tmp_path}", f"file://{tmp_path}"):
        made = transport.build_transport(url, before_send=lambda: None)
        assert isinstance(made, FileOutbox)
        assert made._folder == tmp_path
