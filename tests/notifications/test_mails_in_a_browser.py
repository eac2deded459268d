"""Mails as a mail program on a phone shows them, in Chromium."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Browser
from sqlalchemy.orm import Session

from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor
from bookingapp.bookings.service import Cause
from bookingapp.builders.models import Builder
from bookingapp.checkout.cancellation import report_absence
from tests.browsers import CALM, overflow
from tests.factories import START
from tests.mailbox import Mailbox, html, work
from tests.notifications.conftest import CLIENT, confirmed

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("language", ["es", "de"])
def test_no_mail_is_wider_than_a_phone(
    session: Session, mailbox: Mailbox, ada: Builder, chromium: Browser, language: str
) -> None:
    """Nor is one whose last line is the address of a page."""
    booking = confirmed(session, ada, language=language)
    now = START + timedelta(minutes=30)
    report_absence(session, booking.id, cause=Cause(Actor.BUILDER, CauseCode.ABSENCE_REPORTED), now=now)
    work(session, now=now)
    page = chromium.new_context(viewport={"width": 360, "height": 640}, **CALM).new_page()
    kinds = []
    for mail in mailbox.to(CLIENT):
        page.set_content(html(mail))
        kinds.append(str(mail["Message-ID"]).strip("<>").partition(".")[0])
        assert overflow(page) <= 0, kinds[-1]
    assert "canceled-client" in kinds
