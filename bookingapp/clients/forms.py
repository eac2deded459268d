"""The form that asks for a link."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import EmailField, HiddenField
from wtforms.validators import DataRequired, Length, ValidationError

from bookingapp.accounts.service import normalize_email
from bookingapp.core.errors import Invalid


class AddressForm(FlaskForm):
    """An address, and where to go on once it is verified."""

    email = EmailField(
        "Your e-mail",
        validators=[
            DataRequired("Write your e-mail address."),
            Length(max=254, message="That address is too long."),
        ],
    )
    return_to = HiddenField(validators=[Length(max=200)])

    def validate_email(self, field: EmailField) -> None:
        """Normalize the address, or say what is wrong with it."""
        try:
            field.data = normalize_email(field.data or "")
        except Invalid as error:
            raise ValidationError(error.message) from None
