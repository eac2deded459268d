"""The forms of somebody who becomes a builder."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask_wtf import FlaskForm
from wtforms import EmailField, PasswordField, SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, Optional, ValidationError

from bookingapp.accounts.names import normalize_name
from bookingapp.accounts.service import normalize_email
from bookingapp.core.clock import zone_names
from bookingapp.core.errors import Invalid
from bookingapp.core.i18n import gettext, lazy_gettext
from bookingapp.text import printable

LONGEST_ABOUT = 1000
LONGEST_LINK = 300


def _checked_name(field: StringField) -> None:
    try:
        field.data = normalize_name(field.data or "")
    except Invalid as error:
        raise ValidationError(error.message) from None


class AcceptForm(FlaskForm):
    """What an invited person needs to begin. The password is checked where it is hashed."""

    name = StringField(
        lazy_gettext("Your name, as clients read it"),
        validators=[
            DataRequired(lazy_gettext("Please enter your name.")),
            Length(max=120, message=lazy_gettext("This name is too long.")),
        ],
    )
    password = PasswordField(
        lazy_gettext("Choose a password"),
        validators=[DataRequired(lazy_gettext("Please choose a password.")), Length(max=200)],
    )
    timezone = SelectField(
        lazy_gettext("Your time zone"),
        choices=lambda: [(name, name.replace("_", " ")) for name in zone_names()],
    )

    def validate_name(self, field: StringField) -> None:
        """Normalize the name. Raises ``ValidationError`` where it is none."""
        _checked_name(field)


class ApplicationForm(FlaskForm):
    """An application to become a builder."""

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
    about = TextAreaField(
        lazy_gettext("What do you build, and what would you teach?"),
        validators=[
            DataRequired(lazy_gettext("Please write a few sentences.")),
            Length(max=LONGEST_ABOUT, message=lazy_gettext("At most 1,000 characters, please.")),
        ],
    )
    link = StringField(
        lazy_gettext("A link to something you have made"),
        validators=[Optional(), Length(max=LONGEST_LINK, message=lazy_gettext("This link is too long."))],
    )

    def validate_name(self, field: StringField) -> None:
        """Normalize the name. Raises ``ValidationError`` where it is none."""
        _checked_name(field)

    def validate_email(self, field: EmailField) -> None:
        """Normalize the address. Raises ``ValidationError`` where it is invalid."""
        try:
            field.data = normalize_email(field.data or "")
        except Invalid as error:
            raise ValidationError(error.message) from None

    def validate_link(self, field: StringField) -> None:
        """Complete the address of a web page. Raises ``ValidationError`` where it is none."""
        text = printable(field.data or "")
        address = text if "://" in text else f"https://{text}"
        try:
            parts = urlsplit(address)
            is_web = (
                parts.scheme in {"http", "https"} and "." in (parts.hostname or "") and " " not in address
            )
        except ValueError:
            is_web = False
        if not is_web:
            raise ValidationError(gettext("Please enter a web address, like https://example.com."))
        field.data = address
