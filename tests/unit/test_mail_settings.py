"""Settings of mail and of the footer: what can never deliver, or leads nowhere, stops the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bookingapp.core.settings import Settings, SettingsError
from tests.conftest import make_settings
from tests.unit.test_settings import GOOD


def production(tmp_path: Path, **changes: str) -> Settings:
    """Good settings for production, with some changes."""
    values: dict[str, Any] = {name.lower(): value for name, value in {**GOOD, **changes}.items()}
    return Settings(_env_file=None, instance_dir=tmp_path, **values)


@pytest.mark.parametrize(
    "url",
    [
        "smtp://us@mail.example.org",
        "smtp://:secret@mail.example.org",
        "smtp://mail.example.org?starttls=no",
        "smtp://mail.example.org/#x",
        "smtps://",
        "smtp://us:example%C3%A4@mail.example.org",
        "smtp://\u00fcs:secret@mail.example.org",
        "smtp://us:secret@mail..example.org",
        "smtp://us:secret@mail example.org",
        "imap://mail.example.org",
    ],
)
def test_a_server_that_could_never_take_a_mail(tmp_path: Path, url: str) -> None:
    """A log-in without its half or that the protocol does not carry, no host, or more than is used."""
    with pytest.raises(ValidationError, match="must be smtp://"):
        make_settings(tmp_path, mail_url=url)


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    """Where a file is, no folder can be made."""
    (tmp_path / "file").touch()
    with pytest.raises(ValidationError, match="a folder to write to"):
        make_settings(tmp_path, mail_url=f"file:{tmp_path / 'file' / 'outbox'}")
    assert make_settings(tmp_path, mail_url=f"file://{tmp_path / 'deep' / 'outbox'}").mail_url


@pytest.mark.parametrize("sender", ["no-reply@localhost", "no-reply@10.0.0.7", "no-reply@mail"])
def test_a_sender_without_a_domain(tmp_path: Path, sender: str) -> None:
    """No server elsewhere accepts mail from it."""
    with pytest.raises(SettingsError, match=r"^MAIL_FROM must be an address at a domain"):
        production(tmp_path, MAIL_FROM=sender)


def test_a_site_without_a_domain_needs_a_sender(tmp_path: Path) -> None:
    """The usual sender is no-reply at the host of PUBLIC_URL."""
    with pytest.raises(SettingsError, match=r"^MAIL_FROM is missing"):
        production(tmp_path, PUBLIC_URL="https://10.0.0.7")
    assert production(tmp_path, PUBLIC_URL="https://10.0.0.7", MAIL_FROM="no-reply@example.org")
    assert production(tmp_path, PUBLIC_URL="https://m\u00fcller.example")


@pytest.mark.parametrize("url", ["smtp://127.0.0.1:2525", "file:outbox"])
def test_a_rehearsal_on_one_machine_needs_no_domain(tmp_path: Path, url: str) -> None:
    """The mails stay there."""
    assert production(tmp_path, APP_ENV="staging", PUBLIC_URL="http://127.0.0.1:8000", MAIL_URL=url)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("support_email", "Help <help@example.org>"),
        ("support_email", "help"),
        ("terms_url", "/terms"),
        ("terms_url", "javascript:alert(1)"),
        ("privacy_url", "example.org/privacy"),
    ],
)
def test_a_footer_that_would_lead_nowhere(tmp_path: Path, name: str, value: str) -> None:
    """Its links are addresses that anybody can open."""
    with pytest.raises(ValidationError):
        make_settings(tmp_path, **{name: value})
