"""The form for the builder's own profile, and the page number of lists. Prices: ``session_types/forms.py``."""

from __future__ import annotations

from flask import request
from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, ValidationError
from wtforms.widgets import TextInput

from bookingapp.accounts.names import normalize_name
from bookingapp.builders.models import Availability, Way
from bookingapp.core.clock import zone_names
from bookingapp.core.errors import Invalid
from bookingapp.core.i18n import gettext, lazy_gettext

LAST_PAGE = 10_000
MOST_SKILLS = 12
LONGEST_SKILLS = 300


def page_number() -> int:
    """The page of a list that the request asks for, from 1; no larger than databases can count to."""
    return min(max(1, request.args.get("page", 1, type=int)), LAST_PAGE)


class SkillsField(Field):
    """A list of skills, written with commas: trimmed, without repeats, in the order written."""

    widget = TextInput()
    data: list[str] | None

    def _value(self) -> str:
        return str(self.raw_data[0]) if self.raw_data else ", ".join(self.data or ())

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read what was typed. Raises ``ValueError`` where it is too long."""
        if valuelist:
            if len(valuelist[0]) > LONGEST_SKILLS:
                raise ValueError(gettext("At most 300 characters, please."))
            parts = (" ".join(part.split()) for part in valuelist[0].split(","))
            self.data = list(dict.fromkeys(part for part in parts if part))[:MOST_SKILLS]


class ProfileForm(FlaskForm):
    """What clients read about a builder. Its fields have the names of the builder's columns."""

    display_name = StringField(
        lazy_gettext("Name"),
        validators=[DataRequired(lazy_gettext("Please enter your name.")), Length(max=120)],
    )
    headline = StringField(
        lazy_gettext("Headline"),
        validators=[Length(max=160, message=lazy_gettext("At most 160 characters, please."))],
    )
    bio = TextAreaField(
        lazy_gettext("About you"),
        validators=[Length(max=5000, message=lazy_gettext("At most 5,000 characters, please."))],
    )
    skills = SkillsField(lazy_gettext("Skills, separated by commas"), render_kw={"maxlength": LONGEST_SKILLS})
    timezone = SelectField(
        lazy_gettext("Time zone"), choices=lambda: [(name, name.replace("_", " ")) for name in zone_names()]
    )
    availability = SelectField(
        lazy_gettext("Availability"),
        coerce=Availability,
        choices=lambda: [(one.value, one.label) for one in Availability],
    )
    scheduling_first = SelectField(
        lazy_gettext("How clients choose a time"),
        coerce=lambda value: Way(value) if value else None,
        choices=lambda: [
            ("", gettext("As usual on this site")),
            *((one.value, gettext("%(way)s first", way=one.label)) for one in Way),
        ],
    )
    listed = BooleanField(lazy_gettext("Show me in the directory"))

    def validate_display_name(self, field: StringField) -> None:
        """Normalize the name. Raises ``ValidationError`` where it is none."""
        try:
            field.data = normalize_name(field.data or "")
        except Invalid as error:
            raise ValidationError(error.message) from None
