"""The booking form."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import EmailField, SelectField, StringField
from wtforms.validators import DataRequired, Length, ValidationError

from bookingapp.accounts.names import normalize_name
from bookingapp.accounts.service import normalize_email
from bookingapp.core.clock import zone_names
from bookingapp.core.errors import Invalid
from bookingapp.core.i18n import lazy_gettext


class BookingForm(FlaskForm):
    """The client's name, e-mail address and time zone."""

    name = StringField(
        lazy_gettext("Your name"),
        validators=[
            DataRequired(lazy_gettext("Please enter your name.")),
            Length(max=120, message=lazy_gettext("This name is too long.")),
        ],
    )
    email = EmailField(
        lazy_gettext("Your e-mail"),
        validators=[
            DataRequired(lazy_gettext("Please enter your e-mail address.")),
            Length(max=254, message=lazy_gettext("This address is too long.")),
        ],
    )
    timezone = SelectField(lazy_gettext("Your time zone"), validate_choice=False)

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.timezone.choices = {name: name.replace("_", " ") for name in zone_names()}

    def fix_address(self, address: str) -> None:
        """Use the verified address in place of the one that was sent."""
        self.email.process_formdata([address])

    def validate_email(self, field: EmailField) -> None:
        """Normalize the address. Raises ``ValidationError`` where it is invalid."""
        try:
            field.data = normalize_email(field.data or "")
        except Invalid as error:
            raise ValidationError(error.message) from None

    def validate_name(self, field: StringField) -> None:
        """Normalize the name. Raises ``ValidationError`` where it is none."""
        try:
            field.data = normalize_name(field.data or "")
        except Invalid as error:
            raise ValidationError(error.message) from None
