"""The form that confirms an erasure."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import BooleanField
from wtforms.validators import DataRequired

from bookingapp.core.i18n import lazy_gettext


class EraseForm(FlaskForm):
    """What is erased cannot be brought back, so a box has to be ticked."""

    sure = BooleanField(
        lazy_gettext("Yes, erase my data. I know that this cannot be undone."),
        validators=[DataRequired(lazy_gettext("Please tick the box first."))],
    )
