"""The builder's form for one event type."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import BooleanField, SelectField, StringField
from wtforms.validators import DataRequired, Length

from bookingapp.core.money import CURRENCIES
from bookingapp.session_types.models import Category


class PriceForm(FlaskForm):
    """Price, currency, category and *published*. The price is checked against its currency by the service."""

    price = StringField(
        "Price", validators=[DataRequired("Write a price, or 0 for a free session."), Length(max=20)]
    )
    currency = SelectField("Currency", choices=[(code, code) for code in CURRENCIES])
    category = SelectField("Category", choices=[(c.value, c.label) for c in Category])
    published = BooleanField("Published: clients can book it")
