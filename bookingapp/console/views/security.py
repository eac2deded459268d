"""The security events of all accounts."""

from __future__ import annotations

from flask import render_template

from bookingapp.accounts.origins import describe_browser, describe_network
from bookingapp.accounts.words import describe_event
from bookingapp.console import security as service
from bookingapp.console.views.blueprint import blueprint, id_argument, id_before
from bookingapp.core.db import db

PER_PAGE = 25


@blueprint.get("/security")
def security() -> str:
    """The newest first; ``account`` narrows the list to one."""
    account_id, before = id_argument("account"), id_before()
    found = service.list_events(db.session(), account_id=account_id, before=before, limit=PER_PAGE + 1)
    return render_template(
        "console/security.html",
        lines=found[:PER_PAGE],
        account_id=account_id,
        before=before,
        next_before=found[PER_PAGE - 1].event.id if len(found) > PER_PAGE else None,
        what=describe_event,
        browser=describe_browser,
        network=describe_network,
    )
