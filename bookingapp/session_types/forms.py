"""The form with which a builder prices and publishes one event type."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import BooleanField, SelectField, StringField
from wtforms.validators import DataRequired, Length

from bookingapp.core.i18n import gettext, lazy_gettext
from bookingapp.core.money import CURRENCIES
from bookingapp.session_types.models import Category, SessionType, Ways, asks_for_sign_in


class PriceForm(FlaskForm):
    """What a builder sets for one event type. The service checks the price against its currency."""

    price = StringField(
        lazy_gettext("Price"),
        validators=[
            DataRequired(lazy_gettext("Please enter a price, or 0 for a free session.")),
            Length(max=40),
        ],
    )
    currency = SelectField(lazy_gettext("Currency"), choices={code: code for code in CURRENCIES})
    category = SelectField(
        lazy_gettext("Category"), choices=lambda: [(one.value, one.label) for one in Category]
    )
    sign_in = SelectField(
        lazy_gettext("Who can book it"),
        choices=lambda: [
            ("", gettext("As usual for its category")),
            ("no", gettext("Anybody")),
            ("yes", gettext("Clients with a confirmed e-mail address")),
        ],
    )
    ways = SelectField(
        lazy_gettext("How it can be booked"),
        choices=lambda: [(one.value, one.label) for one in Ways],
        default=Ways.BOTH.value,
    )
    allows_guests = BooleanField(lazy_gettext("On the list of times, clients may invite guests"))
    published = BooleanField(lazy_gettext("Published: clients can book it"))

    def requires_sign_in(self) -> bool | None:
        """The chosen sign-in rule; None for the category's own."""
        return {"yes": True, "no": False}.get(self.sign_in.data)

    @staticmethod
    def sign_in_choice(row: SessionType | None) -> str:
        """The choice that shows a type's present sign-in rule."""
        if row is None or row.requires_sign_in is asks_for_sign_in(row.category):
            return ""
        return "yes" if row.requires_sign_in else "no"
