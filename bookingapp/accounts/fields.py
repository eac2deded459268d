"""Form fields for a person's name, e-mail address and time zone, as every form of the site reads them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape
from wtforms import EmailField, Field, Form, SelectField, StringField
from wtforms.form import BaseForm
from wtforms.validators import DataRequired, Length, ValidationError
from wtforms.widgets import Select, html_params

from bookingapp.accounts.names import normalize_name
from bookingapp.accounts.service import LONGEST_ADDRESS, normalize_email
from bookingapp.core.clock import is_zone
from bookingapp.core.errors import Invalid
from bookingapp.core.i18n import gettext, lazy_gettext
from bookingapp.core.zones import other_names, todays_name, zone_choices

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
    is_short = Length(max=LONGEST_NAME, message=lazy_gettext("This name is too long."))
    # Measured as it is typed, and as it is kept.
    return StringField(
        label,
        validators=[
            DataRequired(lazy_gettext("Please enter your name.")),
            is_short,
            normalized_name,
            is_short,
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


@lru_cache(maxsize=4096)
def _write_option(value: str, label: str, former: str, *, selected: bool) -> Markup:
    attributes = html_params(value=value, data_former=former or False, selected=selected)
    return Markup(f"<option {attributes}>{escape(label)}</option>")  # noqa: S704 - html_params escapes


class _ZoneSelect(Select):
    """Writes each option once for all forms: one form has 500, which took three quarters of its page's time."""

    @classmethod
    def render_option(cls, choice: Any, **_more: object) -> Markup:  # type: ignore[override] # The stubs are older.
        """One option; nothing else than what is given here differs."""
        former = choice.render_kw.get("data-former", "") if choice.render_kw else ""
        return _write_option(choice.value, choice.label, former, selected=choice.selected)


class ZoneField(SelectField):
    """A time zone, chosen by its city. Every zone is accepted, also by a name that is not offered; its name of today is
    what the field has.
    """

    widget = _ZoneSelect()

    def process_data(self, value: Any) -> None:
        """Show a zone by its name of today."""
        super().process_data(todays_name(value))

    def process(self, *args: Any, **how: Any) -> None:
        """Offer the zones; WTForms calls this once for each form."""
        super().process(*args, **how)
        offered = zone_choices(self.data if is_zone(self.data) else None)
        self.choices = {
            label: [(one.name, one.label, {"data-former": one.former} if one.former else {}) for one in group]
            for label, group in ((gettext("Places"), offered), (gettext("Other names"), other_names()))
        }

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Read a zone by its name of today."""
        super().process_formdata(valuelist)
        self.data = todays_name(self.data)

    def pre_validate(self, form: BaseForm) -> None:  # noqa: ARG002 - WTForms'.
        """Raises ``ValidationError`` for what is no zone."""
        if self.validate_choice and not is_zone(self.data):
            raise ValidationError(gettext("Please choose a time zone."))
