"""Mails are in the language of who reads them; nobody makes a request while they are written."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account
from bookingapp.builders.models import Builder
from bookingapp.clients import service as clients
from bookingapp.core import i18n
from bookingapp.core.db import transaction
from tests import pseudo
from tests.factories import NOW, reread
from tests.mailbox import Mailbox, html, text, work
from tests.notifications.conftest import BUILDER, CLIENT, confirmed


@pytest.fixture(autouse=True)
def _pseudo(monkeypatch: pytest.MonkeyPatch) -> None:
    pseudo.offer(monkeypatch)


@pytest.mark.parametrize(("booked", "builders"), [(pseudo.CODE, "en"), ("en", pseudo.CODE)])
def test_a_booking_is_confirmed_to_each_in_their_language(
    session: Session, ada: Builder, mailbox: Mailbox, booked: str, builders: str
) -> None:
    """Subject, both parts and the calendar file."""
    with transaction(session):
        session.get_one(Account, ada.account_id).language = builders
    confirmed(session, ada, language=booked)
    work(session, now=NOW)
    for address, code in ((CLIENT, booked), (BUILDER, builders)):
        mail = mailbox.one(address)
        is_pseudo = code == pseudo.CODE
        assert (pseudo.OPEN in str(mail["Subject"])) is is_pseudo
        assert (pseudo.OPEN in text(mail)) is is_pseudo
        assert f'lang="{code}"' in html(mail)
        for file in mail.iter_attachments():
            assert (pseudo.OPEN in str(file.get_content())) is is_pseudo


def test_a_sign_in_link_is_in_the_language_of_the_page_that_asked(
    session: Session, ada: Builder, mailbox: Mailbox
) -> None:
    reread(session, confirmed(session, ada))
    work(session, now=NOW)
    with i18n.speaking(pseudo.CODE), transaction(session):
        clients.request_link(session, email=CLIENT, return_to=None, now=NOW)
    work(session, now=NOW)
    assert pseudo.OPEN in str(mailbox.to(CLIENT)[-1]["Subject"])
