"""The bookings of all builders: finding one, its page, and what an operator does to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.bookings.search import find_tracking_id
from bookingapp.checkout.words import STATUS_LABELS, payment_label
from bookingapp.console import bookings as service
from bookingapp.console.acts import list_acts_on
from bookingapp.console.booking_acts import perform_act
from bookingapp.console.forms import ReasonForm
from bookingapp.console.models import ActCode, SubjectKind
from bookingapp.console.views.act_page import offer_act
from bookingapp.console.views.blueprint import blueprint, id_before, operator_id
from bookingapp.console.words.acts import ACTS
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import NotFound
from bookingapp.core.htmx import is_htmx, see_other, vary_on_htmx
from bookingapp.core.i18n import gettext
from bookingapp.dashboard.booking_details import load_details

PER_PAGE = 25
LONGEST_SEARCH = 300

# The acts by their names in addresses.
NAMES: Final[Mapping[str, ActCode]] = {
    "resolve": ActCode.FLAGS_RESOLVED,
    "refund-warned": ActCode.WARNED_REFUNDED,
    "send-again": ActCode.MAILS_SENT_AGAIN,
    "ask-providers": ActCode.PROVIDERS_ASKED,
}
ACT_NAMES: Final[Mapping[ActCode, str]] = {act: name for name, act in NAMES.items()}
DANGEROUS: Final = frozenset((ActCode.WARNED_REFUNDED,))


@blueprint.get("/bookings", endpoint="bookings")
def list_() -> BaseResponse:
    """All bookings, the newest first, or those that ``q`` finds."""
    anything, before = request.args.get("q", "")[:LONGEST_SEARCH].strip(), id_before()
    # A reference opens the client's pages, so that no page of ours goes on with it.
    tracking_id = find_tracking_id(db.session(), anything)
    if tracking_id is not None:
        if not is_htmx():
            return see_other(url_for(".bookings", q=tracking_id))
        anything = tracking_id
    found = service.list_bookings(db.session(), anything, before=before, limit=PER_PAGE + 1)
    body = render_template(
        "console/_bookings.html" if is_htmx() else "console/bookings.html",
        lines=found[:PER_PAGE],
        anything=anything,
        status_labels=STATUS_LABELS,
        payment_label=payment_label,
        before=before,
        next_before=found[PER_PAGE - 1].id if len(found) > PER_PAGE else None,
    )
    return vary_on_htmx(make_response(body))


@blueprint.get("/bookings/<tracking_id>")
def booking(tracking_id: str) -> str:
    """One booking: what is known of it, and what an operator can do."""
    session = db.session()
    found = service.get_booking(session, tracking_id)
    details = load_details(session, found, now=utcnow())
    return render_template(
        "console/booking.html",
        booking=found,
        builder=found.builder,
        operators_acts=list_acts_on(session, SubjectKind.BOOKING, found.id),
        words=ACTS,
        **vars(details),
    )


@blueprint.route("/bookings/<tracking_id>/<act>", methods=["GET", "POST"])
def booking_act(tracking_id: str, act: str) -> BaseResponse:
    """One act on a booking, with its reason."""
    code = NAMES.get(act)
    if code is None:
        raise NotFound
    found = service.get_booking(db.session(), tracking_id)

    def perform(form: ReasonForm) -> None:
        with transaction(db.session()) as session:
            perform_act(
                session,
                found.id,
                code,
                operator_id=operator_id(),
                reason=form.reason.data or "",
                typed={"flag": request.args.get("flag")},
                now=utcnow(),
            )

    about = gettext(
        "%(title)s, %(client)s with %(builder)s",
        title=found.title,
        client=found.client_name,
        builder=found.builder.display_name,
    )
    back = url_for(".booking", tracking_id=tracking_id)
    return offer_act(code, perform, about=about, back=back, is_danger=code in DANGEROUS)
