"""The forms of the profile page: texts and links, the picture, the cancellation policy."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from wtforms import (
    BooleanField,
    Field,
    FieldList,
    Form,
    FormField,
    IntegerField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.validators import Length, Optional, ValidationError
from wtforms.widgets import TextInput

from bookingapp.accounts.fields import ZoneField, name_field
from bookingapp.builders.models import Availability, Builder, Way
from bookingapp.builders.pictures import LARGEST_UPLOAD
from bookingapp.builders.policy import MOST_STEPS, Step, check_steps, steps_of
from bookingapp.core.errors import Invalid
from bookingapp.core.i18n import gettext, lazy_gettext
from bookingapp.text import one_line, printable

MOST_SKILLS = 12
LONGEST_SKILLS = 300
MOST_LINKS = 6
LONGEST_ADDRESS = 300


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


class LinkForm(Form):
    """One link of the profile; an empty row is none."""

    label = StringField(lazy_gettext("Label"), validators=[Length(max=40)])
    address = StringField(lazy_gettext("Address"), validators=[Length(max=LONGEST_ADDRESS)])

    def validate_label(self, field: StringField) -> None:
        """Raises ``ValidationError`` for an address without a label."""
        field.data = one_line(field.data or "")
        if self.address.data and not field.data:
            raise ValidationError(gettext("Please enter what clients read for this address."))

    def validate_address(self, field: StringField) -> None:
        """Complete an address. Raises ``ValidationError`` for one that is no web page."""
        address = printable(field.data or "")
        if not address:
            if self.label.data:
                raise ValidationError(gettext("Please enter an address, or clear the label."))
            return
        if "://" not in address:
            address = f"https://{address}"
        if not _is_web_page(address):
            raise ValidationError(
                gettext("Please enter the address of a web page that begins with https://.")
            )
        field.data = address


def _is_web_page(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    is_plain = not (parts.username or parts.password or any(c.isspace() or c in '<>"' for c in address))
    return is_plain and parts.scheme == "https" and "." in host.strip(".")


class ProfileForm(FlaskForm):
    """What clients read about a builder. Its fields have the names of the builder's columns."""

    display_name = name_field(lazy_gettext("Name"))
    headline = StringField(
        lazy_gettext("Headline"),
        validators=[Length(max=160, message=lazy_gettext("At most 160 characters, please."))],
    )
    bio = TextAreaField(
        lazy_gettext("About you"),
        validators=[Length(max=5000, message=lazy_gettext("At most 5,000 characters, please."))],
    )
    skills = SkillsField(lazy_gettext("Skills, separated by commas"), render_kw={"maxlength": LONGEST_SKILLS})
    link_rows = FieldList(FormField(LinkForm), max_entries=MOST_LINKS)
    timezone = ZoneField(lazy_gettext("Time zone"))
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

    @classmethod
    def of(cls, builder: Builder, **how: Any) -> ProfileForm:
        """The form with what was sent, else with what is stored; with ``formdata=None`` in any case with that. Behind
        the links is a row for another one.
        """
        rows = [{"label": label, "address": address} for label, address in builder.links.items()]
        form = cls(obj=builder, link_rows=rows[:MOST_LINKS], **how)
        filled = [any((row.form.label.data, row.form.address.data)) for row in form.link_rows]
        if all(filled) and len(filled) < MOST_LINKS:
            form.link_rows.append_entry()
        return form

    def validate_link_rows(self, field: FieldList[Any]) -> None:
        """Raises ``ValidationError`` where two links have one label."""
        labels = [row.form.label.data for row in field if row.form.label.data]
        if len(set(labels)) < len(labels):
            raise ValidationError(gettext("Two links have the same label. Please name them differently."))

    @property
    def links(self) -> dict[str, Any]:
        """The links that were entered: addresses by label."""
        rows = (row.form for row in self.link_rows)
        return {row.label.data or "": row.address.data for row in rows if row.address.data}


class PictureForm(FlaskForm):
    """A new picture and its description; the service checks the file."""

    picture = FileField(
        lazy_gettext("Picture"),
        validators=[FileRequired(lazy_gettext("Please choose a file."))],
        render_kw={"accept": "image/jpeg,image/png,image/webp"},
    )
    alt = StringField(lazy_gettext("What it shows"), validators=[Length(max=160)])

    def read(self) -> bytes:
        """What was uploaded, and one byte more than is accepted at most."""
        with self.picture.data.stream as file:
            content: bytes = file.read(LARGEST_UPLOAD + 1)
        return content


class StepForm(Form):
    """One step of a cancellation policy; an empty row is none."""

    hours_before = IntegerField(lazy_gettext("Hours before the start"), validators=[Optional()])
    percent = IntegerField(lazy_gettext("Percent of the price"), validators=[Optional()])


class PolicyForm(FlaskForm):
    """A builder's cancellation policy; empty for the usual one of this site. With ``none`` its steps do not count."""

    none = BooleanField(lazy_gettext("No refund when a client cancels"))
    steps = FieldList(FormField(StepForm), min_entries=MOST_STEPS, max_entries=MOST_STEPS)

    @classmethod
    def of(cls, builder: Builder) -> PolicyForm:
        """The form with the builder's policy, whatever was sent."""
        own = steps_of(builder) if builder.refund_steps is not None else ()
        is_none = builder.refund_steps == []
        return cls(formdata=None, steps=[step._asdict() for step in own], none=is_none)

    def read(self) -> list[Step] | None:
        """The steps that were entered, the longest notice first; an empty list for no refund, None for the usual
        policy. Raises :class:`Invalid`.
        """
        if self.none.data:
            return []
        is_valid, steps = self.validate(), []
        for row in self.steps:
            hours, percent = row.form.hours_before.data, row.form.percent.data
            if hours is not None and percent is not None:
                steps.append(Step(hours, percent))
            elif hours is not None or percent is not None:
                is_valid = False
                missing = row.form.percent if percent is None else row.form.hours_before
                missing.errors = [*missing.errors, gettext("Please enter this too, or clear both.")]
        if not is_valid:
            raise Invalid(
                gettext("Please enter hours and percent in each step as whole numbers, or clear both.")
            )
        return check_steps(steps) if steps else None
