"""The dashboard's first page."""

from __future__ import annotations

from flask import flash, render_template, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts.guard import current_account
from bookingapp.bookings import unattached
from bookingapp.builders.guard import current_builder, find_current_builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.htmx import see_other
from bookingapp.core.i18n import gettext
from bookingapp.dashboard.home import load_home
from bookingapp.dashboard.views.blueprint import blueprint
from bookingapp.dashboard.words.checks import check_line


@blueprint.get("")
def index() -> str | BaseResponse:
    """The next sessions and what needs attention. An operator without a profile is sent to the console."""
    account = current_account()
    if account is not None and account.is_operator and find_current_builder() is None:
        return see_other(url_for("operator.index"))
    builder = current_builder()
    now = utcnow()
    home = load_home(db.session(), builder, now=now)
    return render_template(
        "dashboard/index.html",
        builder=builder,
        home=home,
        checks=[check_line(check, builder.timezone, now=now) for check in home.checks],
    )


@blueprint.post("/unattached/<int:number>/keep")
def keep_unattached(number: int) -> BaseResponse:
    """Accept a time in Calendly that belongs to no booking."""
    builder = current_builder()
    with transaction(db.session()) as session:
        unattached.keep_unattached(session, builder, number, now=utcnow())
    flash(gettext("The time stays in your calendar, without a payment."), "ok")
    return see_other(url_for(".index"))
