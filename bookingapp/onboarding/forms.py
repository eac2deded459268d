"""The forms of somebody who becomes a builder."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask_wtf import FlaskForm
from wtforms import PasswordField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, Optional, ValidationError

from bookingapp.accounts.fields import ZoneField, email_field, name_field
from bookingapp.core.i18n import gettext, lazy_gettext
from bookingapp.text import printable

LONGEST_ABOUT = 1000
LONGEST_LINK = 300


class AcceptForm(FlaskForm):
    """What an invited person needs to begin. The password is checked where it is hashed."""

    name = name_field(lazy_gettext("Your name, as clients read it"))
    password = PasswordField(
        lazy_gettext("Choose a password"),
        validators=[DataRequired(lazy_gettext("Please choose a password.")), Length(max=200)],
    )
    timezone = ZoneField(lazy_gettext("Your time zone"))


class ApplicationForm(FlaskForm):
    """An application to become a builder."""

    name = name_field(lazy_gettext("Your name"))
    email = email_field(lazy_gettext("Your e-mail"))
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
