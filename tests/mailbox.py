"""What has been mailed: the files of the outbox, read as a mail program reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from sqlalchemy.orm import Session

from bookingapp.checkout.tasks import run_next
from bookingapp.core import services
from bookingapp.core.claims import Batch
from bookingapp.core.jobs import Collaborators
from bookingapp.core.queue import Job


class Mailbox:
    """The folder that development mails go to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[EmailMessage]:
        """Every mail, the oldest first."""
        found = (
            message_from_bytes(path.read_bytes(), policy=default)
            for path in sorted(self.folder.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
        )
        return [mail for mail in found if isinstance(mail, EmailMessage)]

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.all() if address in str(mail["To"])]

    def one(self, address: str, subject: str = "") -> EmailMessage:
        """The only mail for that address whose subject begins so."""
        found = [mail for mail in self.to(address) if str(mail["Subject"]).startswith(subject)]
        assert len(found) == 1, [str(mail["Subject"]) for mail in self.all()]
        return found[0]

    def subjects(self) -> list[str]:
        return sorted(str(mail["Subject"]) for mail in self.all())


def text(mail: EmailMessage) -> str:
    """The plain text in one line, with a plain hyphen for the dash between two times."""
    part = mail.get_body(("plain",))
    assert isinstance(part, EmailMessage)
    return " ".join(str(part.get_content()).replace("\N{EN DASH}", "-").split())


def html(mail: EmailMessage) -> str:
    """The HTML part, likewise."""
    part = mail.get_body(("html",))
    assert isinstance(part, EmailMessage)
    return str(part.get_content()).replace("\N{EN DASH}", "-")


def link(mail: EmailMessage) -> str:
    """The path of the link that works once."""
    kinds = "my-bookings/link|invitation|become-a-builder/confirm"
    found = re.search(rf"https?://\S+?(/(?:{kinds})/\S+)", text(mail))
    assert found, text(mail)
    return found[1]


def work(session: Session, *, now: datetime) -> None:
    """Do every job of the outbox that is due at ``now``."""
    clock: Callable[[], datetime] = lambda: now  # noqa: E731
    hand = Batch(Job)
    while run_next(session, services.get(Collaborators), hand, clock=clock):
        pass
    session.rollback()
