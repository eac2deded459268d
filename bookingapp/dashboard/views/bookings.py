"""The list of the builder's bookings, as pages and as a CSV file. The page of one is in ``booking``."""

from __future__ import annotations

from flask import Response, make_response, render_template, request, stream_with_context, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.bookings.search import find_tracking_id
from bookingapp.builders.guard import current_owner
from bookingapp.builders.service import Owner
from bookingapp.checkout.words import PAYMENT_LABELS, STATUS_LABELS
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.htmx import is_htmx, see_other, vary_on_htmx
from bookingapp.dashboard import listed
from bookingapp.dashboard.csv_file import write_csv
from bookingapp.dashboard.list_address import Asked, read_address
from bookingapp.dashboard.list_page import find_list
from bookingapp.dashboard.listing import Wanted
from bookingapp.dashboard.views.blueprint import blueprint
from bookingapp.dashboard.words.lists import SORTS


@blueprint.get("/bookings")
def bookings() -> Response | BaseResponse:
    """A page of the list; its address says which. A client's reference is found and never shown."""
    owner, session = current_owner(), db.session()
    asked = read_address(request.args)
    if (known := find_tracking_id(session, asked.q)) is not None:
        return see_other(url_for(".bookings", **asked.arguments(q=known)))
    # Fragments have no form, and need the types only where one is asked for.
    needs_types = asked.type or not is_htmx()
    types = listed.list_booked_types(session, owner.id) if needs_types else []
    found = find_list(session, asked, _wanted(asked, owner, types), owner.timezone)
    template = "dashboard/_booking_list.html" if is_htmx() else "dashboard/bookings.html"
    page = render_template(
        template,
        builder=owner,
        asked=found.asked,
        rows=found.rows,
        nothing_ahead=found.asked is not asked,
        before=found.before and url_for(".bookings", **found.asked.arguments(cursor=found.before)),
        after=found.after and url_for(".bookings", **found.asked.arguments(cursor=found.after)),
        types=types,
        statuses=STATUS_LABELS.items(),
        payments=PAYMENT_LABELS.items(),
        sorts=SORTS.items(),
    )
    response = make_response(page)
    if is_htmx():
        response.headers["HX-Push-Url"] = url_for(".bookings", **asked.arguments())
    return vary_on_htmx(response)


@blueprint.get("/bookings.csv")
def bookings_file() -> Response:
    """All rows of a list, without pages, as a file. It is sent while it is read."""
    owner, session = current_owner(), db.session()
    asked = read_address(request.args)
    wanted = _wanted(asked, owner, listed.list_booked_types(session, owner.id) if asked.type else [])
    lines = write_csv(session, wanted, owner.timezone)
    response = Response(stream_with_context(lines), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="bookings.csv"'
    return response


def _wanted(asked: Asked, owner: Owner, types: list[listed.BookedType]) -> Wanted:
    ids = {one.key: one.id for one in types}
    # An unknown type has no bookings.
    chosen = ids.get(asked.type, 0) if asked.type else None
    return asked.wanted(owner.id, owner.timezone, session_type_id=chosen, now=utcnow())
