"""The forms of accounts."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import EmailField, PasswordField, StringField
from wtforms.validators import DataRequired, Length

from bookingapp.accounts.fields import normalized_email
from bookingapp.accounts.passwords import LONGEST_PASSWORD
from bookingapp.accounts.service import LONGEST_ADDRESS
from bookingapp.core.i18n import lazy_gettext

LONGEST_CODE = 40


class LogInForm(FlaskForm):
    """E-mail and password."""

    email = EmailField(
        lazy_gettext("E-mail"),
        validators=[
            DataRequired(lazy_gettext("Please enter your e-mail address.")),
            Length(max=LONGEST_ADDRESS),
        ],
    )
    password = PasswordField(
        lazy_gettext("Password"),
        validators=[
            DataRequired(lazy_gettext("Please enter your password.")),
            Length(max=LONGEST_PASSWORD),
        ],
    )

    form_error: str | None = None


class CodeForm(FlaskForm):
    """A code of an authenticator app, or a recovery code."""

    code = StringField(
        lazy_gettext("Code"),
        validators=[DataRequired(lazy_gettext("Please enter the code.")), Length(max=LONGEST_CODE)],
    )

    form_error: str | None = None


class AddressForm(FlaskForm):
    """An e-mail address, normalized."""

    email = EmailField(
        lazy_gettext("E-mail"),
        validators=[
            DataRequired(lazy_gettext("Please enter your e-mail address.")),
            Length(max=LONGEST_ADDRESS, message=lazy_gettext("That address is too long.")),
            normalized_email,
        ],
    )


class NewPasswordForm(FlaskForm):
    """A password to be set."""

    password = PasswordField(
        lazy_gettext("New password"),
        validators=[DataRequired(lazy_gettext("Please choose a password."))],
    )


class PresentPassword(FlaskForm):
    """The present password, for a change of the account."""

    present = PasswordField(
        lazy_gettext("Your present password"),
        validators=[
            DataRequired(lazy_gettext("Please enter your password.")),
            Length(max=LONGEST_PASSWORD),
        ],
    )


class PasswordForm(PresentPassword):
    """The present password alone."""


class ChangePasswordForm(NewPasswordForm, PresentPassword):
    """The present password and the new one."""


class ChangeAddressForm(AddressForm, PresentPassword):
    """The new address, and the present password."""

    email = EmailField(
        lazy_gettext("New e-mail address"),
        validators=[
            DataRequired(lazy_gettext("Please enter your e-mail address.")),
            Length(max=LONGEST_ADDRESS, message=lazy_gettext("That address is too long.")),
            normalized_email,
        ],
    )
