"""The bookings of all builders: finding one, and its page. What an operator does to it: ``booking_acts``."""

from __future__ import annotations

from flask import make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.bookings.codes import ATTENDANCE_FLAGS
from bookingapp.bookings.models import Actor
from bookingapp.bookings.search import find_tracking_id
from bookingapp.bookings.service import get_by_tracking_id
from bookingapp.checkout.words import STATUS_LABELS, payment_label
from bookingapp.console import bookings as service
from bookingapp.console.acts import list_acts_on
from bookingapp.console.models import SubjectKind
from bookingapp.console.views.blueprint import blueprint, id_before
from bookingapp.console.views.booking_acts import ACT_NAMES, offered_acts
from bookingapp.console.words import attention as attention_words
from bookingapp.console.words.acts import ACTS
from bookingapp.console.words.disputes import dispute_sentence
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.htmx import is_htmx, see_other, vary_on_htmx
from bookingapp.dashboard.booking_details import load_details
from bookingapp.dashboard.forms import page_number
from bookingapp.dashboard.timeline import Kind
from bookingapp.dashboard.words import timeline as timeline_words
from bookingapp.payments.service import list_disputes
from bookingapp.text import read_code

PER_PAGE = 25
LONGEST_SEARCH = 300


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
    session, now, show = db.session(), utcnow(), request.args.get("show", "")
    found = get_by_tracking_id(session, tracking_id)
    kind = read_code(Kind, show)
    details = load_details(session, found, reader=Actor.OPERATOR, kind=kind, page=page_number(), now=now)
    check = details.check
    return render_template(
        "console/booking.html",
        **vars(details),
        builder=found.builder,
        flags=[
            (
                flag,
                attention_words.flag_sentence(flag.code, flag.facts),
                attention_words.acts_for(flag.code),
                flag.code not in ATTENDANCE_FLAGS,
            )
            for flag in found.open_flags
        ],
        disputes=[(one, dispute_sentence(one)) for one in list_disputes(session, found.id)],
        acts=offered_acts(found, details, now=now),
        acts_done=list_acts_on(session, SubjectKind.BOOKING, found.id),
        words=ACTS,
        act_names=ACT_NAMES,
        kinds=timeline_words.kind_labels(),
        check_words=timeline_words.describe_check(check, found.builder.timezone) if check else None,
        is_checking=check is not None and check.job.state.is_open,
        booking_endpoint="operator.booking",
        delivery_endpoint="operator.delivery",
    )
