"""What an operator does to a booking: one page for each act, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from flask import request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.bookings.absence_claims import is_undecided
from bookingapp.bookings.attention import is_flagged
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Booking
from bookingapp.bookings.service import get_by_tracking_id
from bookingapp.bookings.slot import find_seats
from bookingapp.checkout import booking_mail, cancellation
from bookingapp.console.acts import Decision
from bookingapp.console.booking_acts import list_others_of_event, perform_act
from bookingapp.console.forms import CancelForm, MailForm, OperatorNoteForm, ReasonForm
from bookingapp.console.models import ActCode
from bookingapp.console.views.act_page import offer_act
from bookingapp.console.views.blueprint import blueprint
from bookingapp.console.words.acts import ACTS, mail_line
from bookingapp.core import quotas
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import Conflict, NotFound
from bookingapp.core.i18n import gettext
from bookingapp.core.money import format_money
from bookingapp.dashboard.booking_details import BookingDetails
from bookingapp.dashboard.booking_forms import RefundForm
from bookingapp.payments import chosen_refunds

# The acts by their names in addresses.
NAMES: Final[Mapping[str, ActCode]] = {
    "resolve": ActCode.FLAGS_RESOLVED,
    "refund-warned": ActCode.WARNED_REFUNDED,
    "send-again": ActCode.MAILS_SENT_AGAIN,
    "ask-providers": ActCode.PROVIDERS_ASKED,
    "cancel": ActCode.BOOKING_CANCELED,
    "refund": ActCode.AMOUNT_REFUNDED,
    "no-show": ActCode.NO_SHOW_MARKED,
    "came": ActCode.CAME_MARKED,
    "absence": ActCode.ABSENCE_REPORTED,
    "builder-was-there": ActCode.ABSENCE_DISMISSED,
    "keep-no-show": ActCode.NO_SHOW_KEPT,
    "mail": ActCode.MAIL_REPEATED,
    "note": ActCode.NOTE_ADDED,
}
ACT_NAMES: Final[Mapping[ActCode, str]] = {act: name for name, act in NAMES.items()}
DANGEROUS: Final = frozenset(
    (ActCode.WARNED_REFUNDED, ActCode.BOOKING_CANCELED, ActCode.AMOUNT_REFUNDED, ActCode.ABSENCE_REPORTED)
)
# Limits that operators share with the builder.
_QUOTAS: Final = {
    ActCode.MAIL_REPEATED: quotas.REPEATED_MAILS,
    ActCode.PROVIDERS_ASKED: quotas.CHECKS_OF_BOOKING,
}


def offered_acts(booking: Booking, details: BookingDetails, *, now: datetime) -> list[tuple[str, str, str]]:
    """The acts that are possible now: name in the address, words, icon. ``details`` are those of the booking's page."""
    view = details.b
    possible = (
        (ActCode.BOOKING_CANCELED, view.can_cancel, "cross"),
        (ActCode.ABSENCE_REPORTED, details.can_report_absence, "cross"),
        (ActCode.ABSENCE_DISMISSED, is_undecided(booking), "check"),
        (ActCode.NO_SHOW_KEPT, is_flagged(booking, FlagCode.NO_SHOW_DENIED), "cross"),
        (ActCode.AMOUNT_REFUNDED, details.can_refund, "card"),
        (ActCode.NO_SHOW_MARKED, details.can_mark and not view.no_show, "cross"),
        (ActCode.CAME_MARKED, details.can_mark and view.no_show, "check"),
        (ActCode.MAIL_REPEATED, bool(booking_mail.list_repeatable(db.session(), booking, now=now)), "mail"),
        (ActCode.NOTE_ADDED, True, "info"),
    )
    return [
        (ACT_NAMES[act], str(ACTS[act].title), icon) for act, is_possible, icon in possible if is_possible
    ]


@blueprint.route("/bookings/<tracking_id>/<act>", methods=["GET", "POST"])
def booking_act(tracking_id: str, act: str) -> BaseResponse:
    """One act on a booking, with its reason."""
    code = NAMES.get(act)
    if code is None:
        raise NotFound
    session, now = db.session(), utcnow()
    found = get_by_tracking_id(session, tracking_id)
    form, effect = _ask(found, code, now)
    refund = _refund_form(found) if code is ActCode.AMOUNT_REFUNDED else None

    def perform(decision: Decision) -> None:
        typed = _read(form, refund)
        for_everybody = code is ActCode.ABSENCE_REPORTED or typed.get("everybody")
        # Listed before the first act, after which the event may have no bookings.
        others = list_others_of_event(session, found) if for_everybody else ()
        _perform(found.id, code, typed, decision)
        # Each is an act of its own. One that has ended otherwise meanwhile stays as it is.
        for other in others:
            with suppress(Conflict):
                _perform(other, code, typed, decision)

    about = gettext(
        "%(title)s, %(client)s with %(builder)s",
        title=found.title,
        client=found.client_name,
        builder=found.builder.display_name,
    )
    back = url_for(".booking", tracking_id=tracking_id)
    is_danger = code in DANGEROUS
    return offer_act(
        code, perform, about=about, back=back, form=form, extra=refund, effect=effect, is_danger=is_danger
    )


def _perform(booking_id: int, code: ActCode, typed: Mapping[str, Any], decision: Decision) -> None:
    if code in _QUOTAS:
        quotas.spend(_QUOTAS[code], str(booking_id))
    with transaction(db.session()) as session:
        perform_act(session, booking_id, code, typed, decision)


def _ask(booking: Booking, code: ActCode, now: datetime) -> tuple[ReasonForm | None, str | None]:
    """The form of an act that needs more than a reason, and its effect where that depends on the booking.

    Raises :class:`Conflict` where it is not possible now.
    """
    session = db.session()
    if code is ActCode.BOOKING_CANCELED:
        preview = cancellation.preview_cancellation(session, booking, now=now, by_builder=True)
        seats = find_seats(session, booking)
        form = CancelForm() if seats is not None and seats.are_shared else None
        return form, _refund_effect(preview.refund_minor, preview.currency)
    if code is ActCode.ABSENCE_REPORTED:
        gone = cancellation.preview_absence(session, booking, now=now)
        return None, _refund_effect(gone.refund_minor, gone.currency)
    if code is ActCode.MAIL_REPEATED:
        mails = MailForm()
        mails.mail.choices = [
            (mail.value, mail_line(mail, booking.client_name))
            for mail, _ in booking_mail.list_repeatable(db.session(), booking, now=now)
        ]
        return mails, None
    return (OperatorNoteForm(), None) if code is ActCode.NOTE_ADDED else (None, None)


def _refund_effect(minor: int, currency: str) -> str | None:
    if not minor:
        return None
    amount = format_money(minor, currency)
    return gettext("%(amount)s goes back to the client, who gets an e-mail with an apology.", amount=amount)


def _refund_form(booking: Booking) -> RefundForm:
    """Raises :class:`Conflict` where nothing is left to refund."""
    left = chosen_refunds.get_refundable(db.session(), booking)
    form = RefundForm(left, data={"edition": left.edition})
    form.amount.description = chosen_refunds.words_for_limits(left)
    form.reason.description = gettext("The client reads this.")
    return form


def _read(form: ReasonForm | None, refund: RefundForm | None) -> dict[str, Any]:
    """What was typed, for :func:`~bookingapp.console.booking_acts.perform_act`."""
    if refund is not None:
        return {
            "amount_minor": refund.minor,
            "reason": refund.chosen_reason,
            "edition": refund.edition.data or 0,
        }
    return {"flag": request.args.get("flag"), **(form.data if form is not None else {})}
