"""The log-in form."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import EmailField, PasswordField
from wtforms.validators import DataRequired, Length

from bookingapp.core.i18n import lazy_gettext


class LogInForm(FlaskForm):
    """E-mail and password."""

    email = EmailField(
        lazy_gettext("E-mail"),
        validators=[DataRequired(lazy_gettext("Please enter your e-mail address.")), Length(max=254)],
    )
    password = PasswordField(
        lazy_gettext("Password"),
        validators=[DataRequired(lazy_gettext("Please enter your password.")), Length(max=200)],
    )

    form_error: str | None = None
