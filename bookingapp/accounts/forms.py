"""The log-in form."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import EmailField, PasswordField
from wtforms.validators import DataRequired, Length


class LogInForm(FlaskForm):
    """E-mail and password."""

    email = EmailField("E-mail", validators=[DataRequired("Write your e-mail address."), Length(max=254)])
    password = PasswordField("Password", validators=[DataRequired("Write your password."), Length(max=200)])

    form_error: str | None = None
