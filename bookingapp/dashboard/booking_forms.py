"""The forms of the page of one booking: an amount to refund, and a note."""

from __future__ import annotations

from typing import Any

from flask_wtf import FlaskForm
from wtforms import IntegerField, SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length, ValidationError
from wtforms.widgets import HiddenInput

from bookingapp.bookings import notes
from bookingapp.bookings.codes import RefundReason
from bookingapp.checkout.refund_words import refund_choices
from bookingapp.core.errors import Invalid
from bookingapp.core.i18n import gettext, lazy_gettext
from bookingapp.core.money import AmountError, parse_amount
from bookingapp.payments.chosen_refunds import Refundable, words_for_limits

LARGEST_EDITION = 10_000


class RefundForm(FlaskForm):
    """An amount of what ``refundable`` still has, and why. ``minor`` is the amount in minor units once it is valid.
    Without ``is_limited`` the amount may be more, because this form may have made the refund already.
    """

    amount = StringField(
        lazy_gettext("Amount"),
        validators=[DataRequired(lazy_gettext("Please enter an amount.")), Length(max=40)],
        render_kw={"inputmode": "decimal", "autocomplete": "off"},
    )
    reason = SelectField(
        lazy_gettext("Why"),
        choices=lambda: [
            ("", gettext("Please choose")),
            *((one.value, label) for one, label in refund_choices()),
        ],
        validators=[DataRequired(lazy_gettext("Please choose why. Your client reads it."))],
    )
    edition = IntegerField(widget=HiddenInput(), validators=[InputRequired()])

    def __init__(self, refundable: Refundable, *, is_limited: bool = True, **how: Any) -> None:
        super().__init__(**how)
        self._refundable, self._is_limited = refundable, is_limited
        self.minor = 0

    @property
    def chosen_reason(self) -> RefundReason:
        """The reason that was chosen, once the form is valid."""
        return RefundReason(self.reason.data)

    def validate_amount(self, field: StringField) -> None:
        """Read the amount. Raises ``ValidationError`` where it is none, or cannot be refunded."""
        found = self._refundable
        try:
            self.minor = parse_amount(field.data or "", found.currency)
        except AmountError as error:
            raise ValidationError(str(error)) from None
        if self._is_limited and not 0 < self.minor <= found.left_minor:
            raise ValidationError(words_for_limits(found))

    def validate_edition(self, field: IntegerField) -> None:
        """Raises ``ValidationError`` for a number that no page of ours has."""
        if not 0 <= int(field.data or 0) <= LARGEST_EDITION:
            raise ValidationError(gettext("Please open this page again."))


class NoteForm(FlaskForm):
    """A note about a booking."""

    text = TextAreaField(
        lazy_gettext("Note"),
        validators=[DataRequired(lazy_gettext("Please write something."))],
        render_kw={"rows": 3, "maxlength": notes.LONGEST},
    )

    def validate_text(self, field: TextAreaField) -> None:
        """Raises ``ValidationError`` where it is empty or too long."""
        try:
            notes.read_text(field.data or "")
        except Invalid as error:
            raise ValidationError(error.message) from None
