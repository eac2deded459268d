"""The table of mails is whole."""

from __future__ import annotations

from bookingapp.bookings import mails
from bookingapp.bookings.mails import Mail
from bookingapp.notifications import letters


def test_every_mail_has_its_words_and_its_cause() -> None:
    """A new one fails here until both are decided."""
    assert set(letters._WRITERS) == set(Mail)
    caused = {mail for group in (*mails.ON_ENTERING.values(), *mails.ON_MOVING.values()) for mail in group}
    assert caused | set(mails.ABOUT_MONEY) == set(Mail)
