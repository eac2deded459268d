"""The account's own page."""

from __future__ import annotations

from flask import Response

from bookingapp.accounts import addresses, log_ins
from bookingapp.accounts.two_step import recovery_codes_left
from bookingapp.accounts.views.blueprint import blueprint, page, this_log_in
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db


@blueprint.get("/account")
def account() -> Response:
    """The account's address, password, two-step log-in and number of log-ins."""
    log_in, database, now = this_log_in(), db.session(), utcnow()
    return page(
        "account.html",
        account=log_in.account,
        change=addresses.find_change(database, log_in.account_id, now=now),
        codes_left=recovery_codes_left(database, log_in.account_id),
        open_log_ins=len(log_ins.list_current(database, log_in.account_id, now=now)),
    )
