"""The forms of the console. Each act of an operator needs a reason."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import BooleanField, EmailField, SelectField, StringField
from wtforms.validators import DataRequired, Length

from bookingapp.accounts.fields import normalized_email
from bookingapp.bookings.mail_triggers import Mail
from bookingapp.builders.models import Tier
from bookingapp.core.i18n import lazy_gettext
from bookingapp.dashboard.booking_forms import NoteForm
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


class InvitationForm(ReasonForm):
    """Whom to invite. The name is checked by the service."""

    name = StringField(
        lazy_gettext("Name"),
        validators=[
            DataRequired(lazy_gettext("Please enter a name.")),
            Length(max=120, message=lazy_gettext("This name is too long.")),
        ],
    )
    email = EmailField(
        lazy_gettext("E-mail"),
        validators=[
            DataRequired(lazy_gettext("Please enter an e-mail address.")),
            Length(max=254, message=lazy_gettext("This address is too long.")),
            normalized_email,
        ],
    )


class TierForm(ReasonForm):
    """A builder's tier."""

    tier = SelectField(lazy_gettext("Tier"), choices=lambda: [(one.value, one.label) for one in Tier])


class AddressForm(ReasonForm):
    """Another address for a builder's account."""

    email = EmailField(
        lazy_gettext("New e-mail address"),
        validators=[DataRequired(lazy_gettext("Please enter an e-mail address.")), normalized_email],
    )


class UserForm(ReasonForm):
    """A Calendly user of the platform's organization; the view fills in the choices."""

    user = SelectField(lazy_gettext("Calendly user"), choices=[])


class CancelForm(ReasonForm):
    """Of a group event: for one person, or for everybody."""

    everybody = BooleanField(lazy_gettext("For everybody in the group session"))


class MailForm(ReasonForm):
    """Which mail is sent once more."""

    mail = SelectField(lazy_gettext("E-mail"), coerce=Mail)


class OperatorNoteForm(NoteForm, ReasonForm):
    """A note of an operator, which the builder may be shown."""

    is_shared = BooleanField(lazy_gettext("The builder may read it"))
