"""The table of mails is whole."""

from __future__ import annotations

from bookingapp.bookings import mail_triggers, reminders
from bookingapp.bookings.mail_triggers import Mail
from bookingapp.notifications import mails


def test_every_mail_has_its_words_and_its_cause() -> None:
    """A new one fails here until both are decided."""
    assert set(mails._WRITERS) == set(Mail)
    groups = (*mail_triggers.ON_ENTERING.values(), *mail_triggers.ON_MOVING.values())
    caused = {mail for group in (*groups, *reminders.MAILS.values()) for mail in group}
    caused |= {*mail_triggers.ABOUT_MONEY, *mail_triggers.ABOUT_ATTENDANCE, Mail.PLACE_CLIENT}
    assert caused == set(Mail)
