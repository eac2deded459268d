"""The builder's own profile."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import BooleanField, SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length

from bookingapp.builders.models import Availability
from bookingapp.core.clock import zone_names


class ProfileForm(FlaskForm):
    """What clients read about a builder."""

    display_name = StringField("Name", validators=[DataRequired("Write your name."), Length(max=120)])
    headline = StringField(
        "Headline", validators=[Length(max=160, message="At most 160 characters, please.")]
    )
    bio = TextAreaField(
        "About you", validators=[Length(max=5000, message="At most 5,000 characters, please.")]
    )
    skills = StringField("Skills, separated by commas", validators=[Length(max=300)])
    timezone = SelectField("Time zone", choices={name: name.replace("_", " ") for name in zone_names()})
    availability = SelectField(
        "Availability", choices=lambda: [(one.value, one.label) for one in Availability]
    )
    listed = BooleanField("Show me in the directory")

    def skill_list(self) -> list[str]:
        """The skills as a list: trimmed, without repeats, in the order written."""
        parts = (" ".join(part.split()) for part in (self.skills.data or "").split(","))
        return list(dict.fromkeys(part for part in parts if part))[:12]
