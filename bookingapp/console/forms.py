"""The forms of the console. Each act of an operator needs a reason."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import DataRequired, Length

from bookingapp.core.i18n import lazy_gettext
from bookingapp.text import one_line

SHORTEST_REASON = 5
LONGEST_REASON = 300


class ReasonForm(FlaskForm):
    """Why the operator does it, in a short sentence; other forms of the console add their fields."""

    form_error: str | None = None

    reason = StringField(
        lazy_gettext("Reason"),
        filters=[lambda text: one_line(text) if text else text],
        validators=[
            DataRequired(lazy_gettext("Please write why, in a short sentence.")),
            Length(
                min=SHORTEST_REASON,
                max=LONGEST_REASON,
                message=lazy_gettext("Please write why, in a short sentence of 5 to 300 characters."),
            ),
        ],
    )
