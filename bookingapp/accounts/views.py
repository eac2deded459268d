"""The log-in page, logging in and logging out."""

from __future__ import annotations

import re

from flask import Blueprint, Response, make_response, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts import log_ins, service
from bookingapp.accounts.forms import LogInForm
from bookingapp.accounts.guard import COOKIE_KEY, current_account, require_account
from bookingapp.accounts.origins import current_origin
from bookingapp.accounts.passwords import verify_password
from bookingapp.core import quotas
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, reading, transaction
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import see_other
from bookingapp.core.i18n import gettext
from bookingapp.core.security import forbid_caching
from bookingapp.core.visitors import mailbox, visitor_address

blueprint = Blueprint("accounts", __name__)

LANDING = "dashboard.index"
_PRIVATE = re.compile(r"/(?:dashboard|operator)(?:[/?]|$)")


@blueprint.get("/login")
def login() -> Response | BaseResponse:
    """The form; a browser that is logged in is sent on to the dashboard."""
    if current_account() is not None:
        return redirect(url_for(LANDING), code=303)
    return _log_in_page(LogInForm())


@blueprint.post("/login")
@limiter.limit("10/minute")
def log_in() -> Response | BaseResponse:
    """Check e-mail and password. The answer does not say which of them is wrong: tries are counted by what was entered,
    whether there is such an account or not.
    """
    form = LogInForm()
    if not form.validate_on_submit():
        return _log_in_page(form, 422)
    account_name, address = mailbox(form.email.data or ""), visitor_address()
    wait = quotas.seconds_until_left(quotas.FAILED_LOG_INS, address)
    wait = wait or quotas.try_spend(quotas.LOG_INS, account_name)
    if wait:
        form.form_error = quotas.too_often(wait)
        response = _log_in_page(form, 429)
        response.headers["Retry-After"] = str(wait)
        return response
    with reading(db.session()) as database:
        credentials = service.find_credentials(database, form.email.data or "")
    verified, token = verify_password(credentials, form.password.data or ""), None
    if verified is not None:
        with transaction(db.session()) as database:
            account = service.find_verified(database, verified)
            if account is not None:
                _, token = log_ins.add_log_in(database, account, current_origin(), now=utcnow())
    if token is None:
        quotas.try_spend(quotas.FAILED_LOG_INS, address)
        form.form_error = gettext("E-mail or password is wrong.")
        return _log_in_page(form, 422)
    quotas.forget(quotas.LOG_INS, account_name)
    # A new session, so that nothing that was planted before the log-in is in it.
    session.clear()
    session[COOKIE_KEY] = token
    session.permanent = True
    return see_other(_local(request.args.get("next")) or url_for(LANDING))


@blueprint.post("/logout")
def logout() -> BaseResponse:
    """End the log-in, in this browser and in the database."""
    with transaction(db.session()) as database:
        log_ins.end_log_in(database, session.pop(COOKIE_KEY, None), now=utcnow())
    session.clear()
    return see_other(url_for("builders.index"))


@blueprint.get("/account/two-step")
def two_step() -> Response | BaseResponse:
    """Where two-step log-in is set up."""
    answer = require_account()
    return answer or forbid_caching(make_response(render_template("accounts/two_step.html")))


def _log_in_page(form: LogInForm, status: int = 200) -> Response:
    return forbid_caching(make_response(render_template("accounts/login.html", form=form), status))


def _local(target: str | None) -> str | None:
    """``target`` where it is an address of the dashboard or the console, else None: nothing that a browser reads as
    another site (two slashes, a backslash), that leads elsewhere, or that is not allowed in a header.
    """
    if not target or not target.isprintable() or any(part in target for part in ("\\", "//", "..")):
        return None
    return target.rstrip("?") if _PRIVATE.match(target) else None
