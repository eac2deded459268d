"""The booking form."""

from __future__ import annotations

from flask_wtf import FlaskForm

from bookingapp.accounts.fields import ZoneField, email_field, name_field
from bookingapp.core.i18n import lazy_gettext


class BookingForm(FlaskForm):
    """The client's name, e-mail address and time zone."""

    name = name_field(lazy_gettext("Your name"))
    email = email_field(lazy_gettext("Your e-mail"))
    timezone = ZoneField(lazy_gettext("Your time zone"), validate_choice=False)

    def fix_address(self, address: str) -> None:
        """Use the verified address in place of the one that was sent."""
        self.email.process_formdata([address])
