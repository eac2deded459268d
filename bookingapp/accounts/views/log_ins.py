"""The list of log-ins and of security events, and ending log-ins."""

from __future__ import annotations

from flask import Response, flash, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts import events
from bookingapp.accounts import log_ins as service
from bookingapp.accounts.codes import LogInEnd, SecurityCode
from bookingapp.accounts.events import record_event
from bookingapp.accounts.forms import PasswordForm
from bookingapp.accounts.views.blueprint import blueprint, is_confirmed, is_recent, page, this_log_in
from bookingapp.accounts.words import describe_end, describe_event, log_in_words
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import NotFound
from bookingapp.core.htmx import see_other
from bookingapp.core.i18n import gettext, ngettext


@blueprint.get("/account/log-ins")
def log_ins() -> Response:
    """Where the account is logged in, where it was, and what happened to it."""
    log_in, now = this_log_in(), utcnow()
    current, past = service.recent_log_ins(db.session(), log_in.account_id, now=now)
    return page(
        "log_ins.html",
        this_id=log_in.id,
        current=[log_in_words(one) for one in current],
        past=[(log_in_words(one), describe_end(one)) for one in past],
        events=[(one, describe_event(one)) for one in events.recent_events(db.session(), log_in.account_id)],
        tries=events.count_tries(db.session(), log_in.account_id, now=now),
    )


@blueprint.post("/account/log-ins/<int:log_in_id>/end")
def end_log_in(log_in_id: int) -> BaseResponse:
    """End one; needs the password where this log-in is not recent. Raises :class:`NotFound` for another account's."""
    log_in, now = this_log_in(), utcnow()
    found = service.find_own(db.session(), log_in.account_id, log_in_id)
    if found is None:
        raise NotFound
    unconfirmed = _unconfirmed(gettext("Log out %(browser)s?", browser=log_in_words(found).browser))
    if unconfirmed is not None:
        return unconfirmed
    with transaction(db.session()) as database:
        if service.end_one(database, log_in.account_id, log_in_id, now=now):
            record_event(
                database, SecurityCode.LOG_IN_ENDED, account_id=log_in.account_id, now=now, log_in=log_in_id
            )
    flash(gettext("That browser is logged out."), "ok")
    return see_other(url_for(".log_ins"))


@blueprint.post("/account/log-ins/end-others")
def end_other_log_ins() -> BaseResponse:
    """End all but this one; needs the password where this one is not recent."""
    log_in, now = this_log_in(), utcnow()
    unconfirmed = _unconfirmed(gettext("Log out everywhere else?"))
    if unconfirmed is not None:
        return unconfirmed
    with transaction(db.session()) as database:
        number = service.end_all(database, log_in.account_id, how=LogInEnd.BY_OWNER, kept=log_in.id, now=now)
        record_event(
            database, SecurityCode.OTHERS_ENDED, account_id=log_in.account_id, now=now, number=number
        )
    flash(
        ngettext("%(num)s other browser is logged out.", "%(num)s other browsers are logged out.", number),
        "ok",
    )
    return see_other(url_for(".log_ins"))


def _unconfirmed(question: str) -> Response | None:
    """The page that asks for the password, where it has to be entered and was not; its form is sent to this address."""
    form = PasswordForm()
    if is_recent(this_log_in()) or is_confirmed(form):
        return None
    if form.present.name not in request.form:
        form.present.errors = []
    return page("confirm_end.html", 422 if form.present.errors else 200, form=form, question=question)
