"""The account's own page."""

from __future__ import annotations

from flask import Response

from bookingapp.accounts import addresses, events, log_ins
from bookingapp.accounts.two_step import recovery_codes_left
from bookingapp.accounts.views.blueprint import blueprint, page, this_log_in
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db


@blueprint.get("/account")
def account() -> Response:
    """Who one is here, and how safe the account is."""
    log_in, database, now = this_log_in(), db.session(), utcnow()
    current, _ = log_ins.recent_log_ins(database, log_in.account_id, now=now)
    return page(
        "account.html",
        account=log_in.account,
        change=addresses.find_change(database, log_in.account_id, now=now),
        codes_left=recovery_codes_left(database, log_in.account_id),
        open_log_ins=len(current),
        tries=events.count_tries(database, log_in.account_id, now=now),
    )
