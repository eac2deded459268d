"""Form fields for a person's name and e-mail address, as every form of the site reads them."""

from __future__ import annotations

from wtforms import EmailField, Field, Form, StringField
from wtforms.validators import DataRequired, Length, ValidationError

from bookingapp.accounts.names import normalize_name
from bookingapp.accounts.service import LONGEST_ADDRESS, normalize_email
from bookingapp.core.errors import Invalid
from bookingapp.core.i18n import lazy_gettext

LONGEST_NAME = 120


def normalized_name(_form: Form, field: Field) -> None:
    """A validator that normalizes a name. Raises ``ValidationError`` where it is none."""
    try:
        field.data = normalize_name(field.data or "")
    except Invalid as error:
        raise ValidationError(error.message) from None


def normalized_email(_form: Form, field: Field) -> None:
    """A validator that normalizes an e-mail address. Raises ``ValidationError`` where it is invalid."""
    try:
        field.data = normalize_email(field.data or "")
    except Invalid as error:
        raise ValidationError(error.message) from None


def name_field(label: str) -> StringField:
    """The name of the person who fills in the form."""
    return StringField(
        label,
        validators=[
            DataRequired(lazy_gettext("Please enter your name.")),
            Length(max=LONGEST_NAME, message=lazy_gettext("This name is too long.")),
            normalized_name,
        ],
    )


def email_field(label: str) -> EmailField:
    """The e-mail address of the person who fills in the form."""
    return EmailField(
        label,
        validators=[
            DataRequired(lazy_gettext("Please enter your e-mail address.")),
            Length(max=LONGEST_ADDRESS, message=lazy_gettext("This address is too long.")),
            normalized_email,
        ],
    )
