"""The booking form."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import EmailField, SelectField, StringField
from wtforms.validators import DataRequired, Length, ValidationError

from bookingapp.accounts.service import normalize_email
from bookingapp.core.clock import zone_names
from bookingapp.core.errors import Invalid


class BookingForm(FlaskForm):
    """Who books, and in which time zone times are shown to them."""

    name = StringField(
        "Your name",
        validators=[DataRequired("Write your name."), Length(max=120, message="That name is too long.")],
    )
    email = EmailField(
        "Your e-mail",
        validators=[
            DataRequired("Write your e-mail address."),
            Length(max=254, message="That address is too long."),
        ],
    )
    timezone = SelectField("Your time zone", validate_choice=False)

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.timezone.choices = {name: name.replace("_", " ") for name in zone_names()}

    def fix_address(self, address: str) -> None:
        """Book with the address that is verified, whatever else was sent."""
        self.email.process_formdata([address])

    def validate_email(self, field: EmailField) -> None:
        """Normalize the address, or say what is wrong with it."""
        try:
            field.data = normalize_email(field.data or "")
        except Invalid as error:
            raise ValidationError(error.message) from None

    def validate_name(self, field: StringField) -> None:
        """A name is one line of text; anything else has no business in a mail or a calendar."""
        name = " ".join((field.data or "").split())
        if not name or not name.isprintable():
            raise ValidationError("Write your name.")
        field.data = name
