"""The list of the builder's bookings. The page of one is in ``booking``."""

from __future__ import annotations

from flask import render_template, request

from bookingapp.bookings.states import Status
from bookingapp.builders.guard import current_builder
from bookingapp.checkout.words import STATUS_LABELS
from bookingapp.core.db import db
from bookingapp.dashboard import service
from bookingapp.dashboard.forms import page_number
from bookingapp.dashboard.views.blueprint import blueprint


@blueprint.get("/bookings")
def bookings() -> str:
    """All bookings, the newest first; ``status`` narrows the list."""
    builder, status = current_builder(), request.args.get("status", "")
    page = page_number()
    chosen = Status(status) if status in set(Status) else None
    rows, pages = service.list_bookings(db.session(), builder, status=chosen, page=page)
    return render_template(
        "dashboard/bookings.html",
        builder=builder,
        rows=rows,
        status_filter=chosen,
        statuses=STATUS_LABELS.items(),
        page=page,
        pages=pages,
    )
