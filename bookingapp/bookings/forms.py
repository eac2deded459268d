"""The booking form."""

from __future__ import annotations

from typing import Any

from flask_wtf import FlaskForm
from wtforms import Field, Form, SelectField
from wtforms.validators import ValidationError

from bookingapp.accounts.fields import ZoneField, email_field, name_field
from bookingapp.core.i18n import gettext, lazy_gettext
from bookingapp.session_types.models import Pathway


def _chosen(_form: Form, field: Field) -> None:
    """A program that sends no such field has not been asked."""
    if field.raw_data and not field.data:
        raise ValidationError(gettext("Please choose a pathway."))


class BookingForm(FlaskForm):
    """The client's name, e-mail address, time zone and, where the session type asks for it, pathway."""

    name = name_field(lazy_gettext("Your name"))
    email = email_field(lazy_gettext("Your e-mail"))
    timezone = ZoneField(lazy_gettext("Your time zone"), validate_choice=False)
    pathway = SelectField(
        lazy_gettext("Your pathway"),
        coerce=lambda value: Pathway(value) if value else None,
        choices=lambda: [("", gettext("Please choose")), *((one.value, one.label) for one in Pathway)],
        validators=[_chosen],
    )

    def __init__(self, *, asks_for_pathway: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not asks_for_pathway:
            del self.pathway

    @property
    def chosen_pathway(self) -> Pathway | None:
        """The pathway, where the form asks for one."""
        return self.pathway.data if "pathway" in self else None

    def fix_address(self, address: str) -> None:
        """Use the verified address in place of the one that was sent."""
        self.email.process_formdata([address])
