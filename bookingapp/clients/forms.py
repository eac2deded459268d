"""The form in which a client asks for a sign-in link."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import EmailField, HiddenField
from wtforms.validators import DataRequired, Length

from bookingapp.accounts.fields import normalized_email
from bookingapp.core.i18n import lazy_gettext


class AddressForm(FlaskForm):
    """An address, and the path to return to once it is verified."""

    email = EmailField(
        lazy_gettext("Your e-mail"),
        validators=[
            DataRequired(lazy_gettext("Please enter your e-mail address.")),
            Length(max=254, message=lazy_gettext("That address is too long.")),
            normalized_email,
        ],
    )
    return_to = HiddenField(validators=[Length(max=200)])
