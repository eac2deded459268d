"""The record of connections with Calendly, tokens and keys."""

from __future__ import annotations

from flask import render_template

from bookingapp.console import connections as service
from bookingapp.console.views.blueprint import blueprint, id_before
from bookingapp.console.words.connections import describe_entry
from bookingapp.core.db import db

PER_PAGE = 25


@blueprint.get("/connections")
def connections() -> str:
    """The newest first."""
    before = id_before()
    found = service.list_entries(db.session(), before=before, limit=PER_PAGE + 1)
    return render_template(
        "console/connections.html",
        lines=found[:PER_PAGE],
        before=before,
        next_before=found[PER_PAGE - 1].entry.id if len(found) > PER_PAGE else None,
        what=describe_entry,
    )
