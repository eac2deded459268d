"""The builder's form for one event type."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import BooleanField, SelectField, StringField
from wtforms.validators import DataRequired, Length

from bookingapp.core.money import CURRENCIES
from bookingapp.session_types.models import Category, SessionType, asks_for_sign_in

SIGN_IN = {"no": "Anybody", "yes": "Clients with a confirmed e-mail address"}


class PriceForm(FlaskForm):
    """Price, currency, category, sign-in rule and *published*. The price is checked against its currency by the
    service.
    """

    price = StringField(
        "Price", validators=[DataRequired("Write a price, or 0 for a free session."), Length(max=20)]
    )
    currency = SelectField("Currency", choices={code: code for code in CURRENCIES})
    category = SelectField("Category", choices={c.value: c.label for c in Category})
    sign_in = SelectField("Who can book it", choices={"": "As usual for its category", **SIGN_IN})
    published = BooleanField("Published: clients can book it")

    def requires_sign_in(self) -> bool | None:
        """What was chosen; None for the category's own rule."""
        return {"yes": True, "no": False}.get(self.sign_in.data)

    @staticmethod
    def sign_in_choice(row: SessionType | None) -> str:
        """What is chosen for a type as it is."""
        if row is None or row.requires_sign_in is asks_for_sign_in(row.category):
            return ""
        return "yes" if row.requires_sign_in else "no"
