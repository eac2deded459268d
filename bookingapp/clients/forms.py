"""The form in which a client asks for a sign-in link."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import EmailField, HiddenField
from wtforms.validators import DataRequired, Length, ValidationError

from bookingapp.accounts.service import normalize_email
from bookingapp.core.errors import Invalid
from bookingapp.core.i18n import lazy_gettext


class AddressForm(FlaskForm):
    """An address, and the path to return to once it is verified."""

    email = EmailField(
        lazy_gettext("Your e-mail"),
        validators=[
            DataRequired(lazy_gettext("Please enter your e-mail address.")),
            Length(max=254, message=lazy_gettext("That address is too long.")),
        ],
    )
    return_to = HiddenField(validators=[Length(max=200)])

    def validate_email(self, field: EmailField) -> None:
        """Normalize the address. Raises :class:`ValidationError` where it is not an address."""
        try:
            field.data = normalize_email(field.data or "")
        except Invalid as error:
            raise ValidationError(error.message) from None
